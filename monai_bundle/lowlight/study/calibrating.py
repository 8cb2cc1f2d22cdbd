"""From ratings to default strengths: per modality, kept in the user's settings, where `Enhancer` reads them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from lowlight.enhance.settings import Settings
from lowlight.errors import StudyError
from lowlight.study.answers import Answers, answers
from lowlight.study.preferred_strength import Comparisons, Preferred, estimate, preferred
from lowlight.study.studyfile import UNKNOWN, StudyFile, Version

LEAST_COMPARISONS = 60
"""Of one modality, fewer than which fit no parabola worth the name."""

LEAST_READERS = 3
"""Fewer do not tell how much readers differ."""

PRECISION = 0.1
"""Half-width of the 95 % interval, of which a default has to be known."""

PLANNED = 200
"""Comparisons by 8 readers that reach the precision with simulated readers: asked for where nothing is known."""

PLAN_FOR_GRADINGS = "make a study of pairs (--task pairs), or without --items, so that readers grade every strength"
"""The way out where gradings cannot be compared."""


@dataclass(frozen=True)
class Calibration:
    """What one modality's answers say.

    Attributes:
        strengths: what was estimated; empty where there are too few answers for that.
        comparisons: how many they come from, gradings of two strengths by one reader included.
        readers: how many answered.
        refusal: why nothing is written for this modality, with what is needed; empty if it is.
        held_out: share of comparisons that the estimate foretells for readers that it has not seen, and the share that
            the strengths before foretold; None where nothing was estimated.
    """

    modality: str
    strengths: list[Preferred]
    comparisons: int
    readers: int
    refusal: str = ""
    held_out: tuple[float, float] | None = None


def calibrate(study: StudyFile, before: dict[str, dict[str, float]], precision: float = PRECISION) -> list[Calibration]:
    """Estimate the preferred strengths of each modality.

    Comparisons between enhanced versions count, and so do gradings of the same image by the same reader, where the mean
    grades differ. The original and other methods' results have no strength and do not count, nor do repetitions.

    Args:
        study: with answers.
        before: default strengths so far, with the key "default".
        precision: largest half-width of the 95 % interval with which a strength is accepted.

    Raises:
        StudyError: no answers, or no two enhanced versions of different strength.
    """
    versions = study.versions
    names = compared_strengths(study)
    if not names:
        raise StudyError(
            study.path, "compares no two strengths", "make a study with --brightness 0.4,0.55,0.7,0.85,1 or the like"
        )
    found = answers(study)
    modalities = sorted({image.modality for image in study.images.values()})
    return [_one(modality, found, versions, names, before, precision) for modality in modalities]


def compared_strengths(study: StudyFile) -> tuple[str, ...]:
    """Which strengths differ between the enhanced versions that readers see: brightness, denoise, both or none."""
    enhanced = [version for version in study.versions.values() if version.kind == "enhanced" and version.shown]
    return tuple(name for name in ("brightness", "denoise") if len({getattr(one, name) for one in enhanced}) > 1)


def apply(settings: Settings, calibrations: Sequence[Calibration], study: StudyFile, today: date) -> Settings:
    """Settings with the strengths that were accepted, each with where it comes from."""
    for one in calibrations:
        if one.refusal:
            continue
        values = {part.name: round(part.value, 3) for part in one.strengths}
        told = "; ".join(
            f"{part.name} 95 % {part.low:.2f} to {part.high:.2f}" if part.peaked else f"{part.name} an end of the scale"
            for part in one.strengths
        )
        note = f"{one.comparisons} comparisons by {one.readers} readers, {told}, {today.isoformat()}"
        if study.simulated:
            note = f"SIMULATION, no reader saw an image: {note}"
        kept = {
            name: value
            for name, value in settings.entries.get(one.modality, {}).items()
            if name in ("brightness", "denoise")
        }
        entry = {**kept, **values, "weights_sha256": study.fact("weights_sha256"), "note": note}
        settings = settings.with_strengths(one.modality, entry)
    return settings


def _one(
    modality: str,
    found: Answers,
    versions: dict[int, Version],
    names: tuple[str, ...],
    before: dict[str, dict[str, float]],
    precision: float,
) -> Calibration:
    comparisons = _comparisons(found, modality, versions, names)
    gradings = _gradings(found, modality, versions)
    count, readers = len(comparisons), len(np.unique(comparisons.reader))
    by = "1 reader" if readers == 1 else f"{readers} readers"
    if modality == UNKNOWN:
        why = "the kind of image is not known; make the study with --modality"
        return Calibration(modality, [], count, readers, why)
    if gradings and not count:
        readers = len({reader for reader, _, _ in gradings})
        return Calibration(modality, [], 0, readers, _nothing_compared(gradings))
    if count < LEAST_COMPARISONS or readers < LEAST_READERS:
        why = (
            f"{count} comparisons by {by} are too few: at least {LEAST_COMPARISONS} by "
            f"{LEAST_READERS} are needed, and about {PLANNED} by 8 for an interval of ± {precision:g}"
        )
        if gradings:
            why += (
                f"; of the {len(gradings)} gradings those count in which a reader graded two strengths of one image "
                f"unlike: {PLAN_FOR_GRADINGS}"
            )
        return Calibration(modality, [], count, readers, why)
    estimated = preferred(comparisons)
    return Calibration(
        modality,
        estimated,
        count,
        readers,
        _refusal(comparisons, estimated, precision),
        _held_out(comparisons, before.get(modality, before["default"])),
    )


def _nothing_compared(gradings: set[tuple[str, int, int]]) -> str:
    """Why gradings, which there are, tell nothing of strengths."""
    if len({(reader, image) for reader, image, _ in gradings}) < len(gradings):
        return "readers graded all strengths of an image alike, so none is better; ask for pairs (--task pairs)"
    return (
        f"no reader graded two strengths of one image, so the {len(gradings)} gradings do not tell which is better; "
        f"{PLAN_FOR_GRADINGS}"
    )


def _refusal(comparisons: Comparisons, estimated: Sequence[Preferred], precision: float) -> str:
    count = len(comparisons)
    for part in estimated:
        if not part.is_known:
            return (
                f"the answers show no best {part.name} among the strengths that were shown (they lean to "
                f"{part.value:g}); show strengths on both sides of it, to about {max(PLANNED, 2 * count)} comparisons"
            )
        if part.half_width > precision:
            needed = math.ceil(count * (part.half_width / precision) ** 2)
            return (
                f"{part.name} is known to ± {part.half_width:.2f} only, and ± {precision:g} is asked for; about "
                f"{needed} comparisons are needed ({needed - count} more), by more readers if these disagree"
            )
    return ""


def _held_out(comparisons: Comparisons, before: dict[str, float]) -> tuple[float, float]:
    """Agreement with readers left out of the fit: of the strengths found without them, and of those before."""
    after_hits, before_hits = [], []
    old = np.array([before[name] for name in comparisons.names])
    for reader in np.unique(comparisons.reader):
        kept = comparisons.reader != reader
        new = estimate(comparisons.only(kept))
        rest = comparisons.only(~kept)
        after_hits.append(_foretold(rest, new))
        before_hits.append(_foretold(rest, old))
    return float(np.mean(np.concatenate(after_hits))), float(np.mean(np.concatenate(before_hits)))


def _foretold(comparisons: Comparisons, strengths: np.ndarray) -> np.ndarray:
    """1 where the version nearer to these strengths was chosen, 0 where the other was, a half between equals."""
    nearer = np.abs(comparisons.other - strengths).sum(1) - np.abs(comparisons.chosen - strengths).sum(1)
    return np.where(np.abs(nearer) < 1e-9, 0.5, (nearer > 0).astype(float))


def _gradings(found: Answers, modality: str, versions: dict[int, Version]) -> set[tuple[str, int, int]]:
    """The gradings of enhanced versions: reader, image, version."""
    grades = found.first_grades[found.first_grades["modality"] == modality]
    given = zip(grades["reader"], grades["image"], grades["version"], strict=True)
    return {one for one in given if versions[one[2]].kind == "enhanced"}


def _comparisons(found: Answers, modality: str, versions: dict[int, Version], names: tuple[str, ...]) -> Comparisons:
    rows: list[tuple[Any, Any, Any, Any]] = []
    pairs = found.first_pairs
    for pair in pairs[pairs["modality"] == modality].itertuples():
        rows.append((pair.chosen, pair.other, pair.reader, pair.image))
    grades = found.first_grades
    means = grades[grades["modality"] == modality].groupby(["reader", "image", "version"])["value"].mean()
    for (reader, image), group in means.groupby(level=[0, 1]):
        for (one, first), (two, second) in itertools.combinations(group.droplevel([0, 1]).items(), 2):
            if first != second:
                rows.append((*((one, two) if first > second else (two, one)), reader, image))
    rows = [row for row in rows if versions[row[0]].kind == versions[row[1]].kind == "enhanced"]

    def strengths(index: int) -> np.ndarray:
        values = [[getattr(versions[row[index]], name) for name in names] for row in rows]
        return np.array(values, np.float64).reshape(len(rows), len(names))

    readers = {reader: number for number, reader in enumerate(found.readers)}
    return Comparisons(
        strengths(0),
        strengths(1),
        np.array([readers[row[2]] for row in rows], np.int64),
        np.array([row[3] for row in rows], np.int64),
        names,
    )
