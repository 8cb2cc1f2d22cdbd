"""From measured pairs to what can be said of a group: mean, median, and how sure the mean is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from lowlight.evaluation.measuring import Measures, Row

ALL = "all"
"""Name of the group that holds every row."""

RESAMPLES = 2000
SEED = 20261121
CONFIDENCE = 0.95

LEAST_IMAGES = 5
"""Clean images below which an interval would be too narrow to be believed: resampling two gives little but the two."""


@dataclass(frozen=True)
class Statistic:
    """One measure over a group.

    Attributes:
        count: of pairs that have the measure.
        mean, median: over these; None where there is none.
        low, high: 95 % bootstrap interval of the mean; None for fewer than `LEAST_IMAGES` clean images.
    """

    count: int
    mean: float | None = None
    median: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Group:
    """Every measure over the pairs of a group."""

    name: str
    count: int
    measures: dict[str, Statistic]


def summarise(rows: Sequence[Row]) -> list[Group]:
    """Every group, by name, and all rows last (alone, if there is only one group)."""
    ordered = sorted(rows, key=lambda row: row.pair.group)
    groups = [(name, list(members)) for name, members in groupby(ordered, key=lambda row: row.pair.group)]
    if len(groups) == 1:
        groups = []
    if rows:
        groups.append((ALL, ordered))
    return [Group(name, len(members), _statistics(members)) for name, members in groups]


def interval_note() -> str:
    """How the interval was found, in one line."""
    return (
        f"{100 * CONFIDENCE:g} % interval of the mean: percentile bootstrap, {RESAMPLES} resamples of whole clean "
        f"images with all their observations, seed {SEED}; - below {LEAST_IMAGES} clean images"
    )


def bootstrap_interval(values: Sequence[float], clusters: Sequence[Hashable]) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of a mean (Efron and Tibshirani 1993).

    Whole clusters are drawn (Davison and Hinkley 1997, 3.8): three observations of one clean image are no three
    independent images, and drawing them singly would promise too narrow an interval. The same values give the same
    interval in every run.

    Args:
        values: what the mean is of.
        clusters: which of them belong together, one entry a value.

    Returns:
        (low, high), or None for fewer than `LEAST_IMAGES` clusters.
    """
    names: dict[Hashable, int] = {}
    where = np.asarray([names.setdefault(cluster, len(names)) for cluster in clusters])
    if len(names) < LEAST_IMAGES:
        return None
    sums = np.bincount(where, weights=np.asarray(values, np.float64))
    counts = np.bincount(where)
    drawn = np.random.default_rng(SEED).integers(len(names), size=(RESAMPLES, len(names)))
    means: NDArray[np.float64] = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _statistics(rows: Sequence[Row]) -> dict[str, Statistic]:
    return {field.name: _statistic(rows, field.name) for field in fields(Measures)}


def _statistic(rows: Sequence[Row], name: str) -> Statistic:
    measured = [(value, row.pair.clean.path) for row in rows if (value := getattr(row.measures, name)) is not None]
    if not measured:
        return Statistic(0)
    values = [value for value, _ in measured]
    low, high = bootstrap_interval(values, [path for _, path in measured]) or (None, None)
    return Statistic(len(values), float(np.mean(values)), float(np.median(values)), low, high)
