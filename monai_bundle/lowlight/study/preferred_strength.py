"""Which strength readers prefer: a Bradley-Terry model whose utility is a parabola in the strength.

Two versions of strengths x and y are chosen between with the odds exp(U(x) - U(y)), U(x) = -((x - m) / w)^2, summed
over brightness and denoise. In 2 m / w^2 and 1 / w^2 that is a logistic regression without intercept on x - y and
y^2 - x^2: the ideal-point form of the model of Bradley and Terry (Biometrika 39, 1952). The interval is that of the
jackknife over readers, with Student's t of readers - 1 degrees of freedom, so that it holds for other readers too;
where leaving out images moves the estimate more than leaving out readers, that jackknife counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

STEEPEST = 60.0
"""Bound of 1 / w^2 in units of the squared range of strengths: perfectly consistent answers would ask for infinity."""

_RIDGE = 1e-3
_NEWTON_STEPS = 60


@dataclass(frozen=True)
class Comparisons:
    """Comparisons between two enhanced versions of the same image.

    Attributes:
        chosen, other: strengths (count, strengths) of the one that was preferred and of the other.
        reader, image: (count,), whose and of what.
        names: of the strengths, which are those that differ between versions.
    """

    chosen: NDArray[np.float64]
    other: NDArray[np.float64]
    reader: NDArray[np.int64]
    image: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.chosen)

    def only(self, kept: NDArray[np.bool_]) -> Comparisons:
        """A part of them."""
        return Comparisons(self.chosen[kept], self.other[kept], self.reader[kept], self.image[kept], self.names)


@dataclass(frozen=True)
class Preferred:
    """A preferred strength.

    Attributes:
        value: the estimate, within what was shown. low, high: 95 % interval.
        peaked: whether the answers have a best strength at all.
    """

    name: str
    value: float
    low: float
    high: float
    peaked: bool

    @property
    def is_known(self) -> bool:
        """Whether it is an estimate: the answers have a best strength, or it leans to all or no denoising."""
        return self.peaked or (self.name == "denoise" and self.value in (0.0, 1.0))

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


def preferred(comparisons: Comparisons) -> list[Preferred]:
    """Estimate each strength that differs between versions, with its 95 % interval.

    Args:
        comparisons: of at least two readers.
    """
    found, peaked = _fit(comparisons)
    spread = np.maximum(_jackknife(comparisons, comparisons.reader), _jackknife(comparisons, comparisons.image))
    readers = len(np.unique(comparisons.reader))
    reach = float(student.ppf(0.975, max(readers - 1, 1))) * spread
    return [
        Preferred(name, float(value), float(value - width), float(value + width), bool(has_peak))
        for name, value, width, has_peak in zip(comparisons.names, found, reach, peaked, strict=True)
    ]


def estimate(comparisons: Comparisons) -> NDArray[np.float64]:
    """The preferred strengths alone, within what was shown."""
    return _fit(comparisons)[0]


def _fit(comparisons: Comparisons) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The preferred strengths, and whether there is a peak for each."""
    low = np.minimum(comparisons.chosen, comparisons.other).min(0)
    high = np.maximum(comparisons.chosen, comparisons.other).max(0)
    middle, span = (low + high) / 2, np.maximum(high - low, 1e-9)
    chosen, other = ((side - middle) / span for side in (comparisons.chosen, comparisons.other))
    count = len(comparisons.names)
    features = np.concatenate([chosen - other, other**2 - chosen**2], axis=1)
    weights = _logistic(features)
    linear, curved = weights[:count], np.minimum(weights[count:], STEEPEST)
    peaked = curved > 0
    # Without a peak, the end that the answers lean to.
    inside = np.where(peaked, linear / (2 * np.where(peaked, curved, 1.0)), np.sign(linear))
    return np.clip(middle + span * inside, low, high), peaked & (np.abs(inside) <= 0.5)


def _logistic(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic regression on answers that are all "yes", by Newton's method, with a trace of ridge."""
    weights = np.zeros(features.shape[1])
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        gradient = features.T @ (1 - probability) - _RIDGE * weights
        curvature = (features * (probability * (1 - probability))[:, None]).T @ features
        step = np.linalg.solve(curvature + _RIDGE * np.eye(len(weights)), gradient)
        weights = weights + np.clip(step, -20, 20)
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _jackknife(comparisons: Comparisons, groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standard error from leaving out one group at a time."""
    names: Sequence[int] = np.unique(groups).tolist()
    if len(names) < 2:
        return np.zeros(len(comparisons.names))
    without = np.stack([estimate(comparisons.only(groups != name)) for name in names])
    return np.sqrt((len(names) - 1) / len(names) * ((without - without.mean(0)) ** 2).sum(0))
