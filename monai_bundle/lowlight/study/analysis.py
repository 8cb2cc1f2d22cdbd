"""What a study found: preferences, gradings, agreement and power, per modality and question."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lowlight.errors import StudyError
from lowlight.study import power, statistics
from lowlight.study.answers import Answers, answers
from lowlight.study.questions import CRITERIA, SCALE
from lowlight.study.studyfile import StudyFile, Version

ALL = "all"


@dataclass(frozen=True)
class Preference:
    """One version in pairs.

    Attributes:
        share, low, high: of its comparisons, those in which it was preferred, and the bootstrap interval.
        ability, ability_low, ability_high: Bradley-Terry, logit scale, the reference's 0.
        error: standard error of the ability from the information matrix, which takes all answers for independent.
        beats, beats_low, beats_high: probability of being preferred to the reference, from the abilities.
        p, p_adjusted: of no preference against the reference; NaN of the reference.
    """

    version: str
    comparisons: int
    share: float
    low: float
    high: float
    ability: float
    ability_low: float
    ability_high: float
    error: float
    beats: float
    beats_low: float
    beats_high: float
    p: float
    p_adjusted: float = float("nan")


@dataclass(frozen=True)
class Grading:
    """One version's grades for one question, beside the reference's.

    Attributes:
        counts: of each grade, worst first. mean: of the grades, for orientation: they are ordinal.
        curve: points (share of the reference, share of this version). area, low, high: under it, with its interval.
        odds, odds_low, odds_high, odds_p: visual grading regression; None where it could not be fitted.
    """

    version: str
    counts: list[int]
    mean: float
    curve: list[tuple[float, float]]
    area: float
    low: float
    high: float
    p: float
    odds: float | None = None
    odds_low: float | None = None
    odds_high: float | None = None
    odds_p: float | None = None
    p_adjusted: float = float("nan")
    odds_p_adjusted: float | None = None


@dataclass(frozen=True)
class Graded:
    """One question: the reference's grades and all other versions beside them."""

    question: str
    title: str
    reference_counts: list[int]
    gradings: list[Grading]
    between: float | None
    within: float | None
    repeated: int


@dataclass(frozen=True)
class Group:
    """Findings of one modality, or of all together.

    Attributes:
        preferences: of each version, the reference first; empty without pairs.
        bounded: some version always won or lost, and its ability is only bounded from below.
        between, within: Krippendorff's alpha of pairs, between readers and of readers with themselves; None: undefined.
        repeated: comparisons that were asked twice. left: share of answers "left".
        power: what the pairs could have found, in a sentence. grading_power: the same of gradings.
        few: fewer images than `statistics.LEAST_IMAGES`, so that p values are NaN and intervals may be too narrow.
    """

    name: str
    images: int
    readers: int
    comparisons: int
    preferences: list[Preference]
    bounded: bool
    between: float | None
    within: float | None
    repeated: int
    left: float | None
    power: str
    graded: list[Graded]
    grading_power: str
    few: bool


@dataclass(frozen=True)
class Findings:
    """All that a study found."""

    title: str
    simulated: bool
    reference: str
    answered: int
    asked: int
    readers: dict[str, int]
    seconds: float
    groups: list[Group]
    tests: int
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For the console."""
        active = sum(count > 0 for count in self.readers.values())
        readers = f"{active} of {len(self.readers)} readers" if active < len(self.readers) else f"{active} readers"
        said = [f"{self.title}: {self.answered} of {self.asked} items answered by {readers}"]
        for group in self.groups:
            for one in group.preferences[1:]:
                said.append(
                    f"{group.name}: {one.version} preferred to {self.reference} {one.beats:.1%} "
                    f"(95 % {one.beats_low:.1%} to {one.beats_high:.1%})"
                    + ("" if group.few else f", adjusted p {one.p_adjusted:.3g}")
                )
            for question in group.graded:
                for grading in question.gradings:
                    said.append(
                        f"{group.name}: {question.title}, {grading.version} against {self.reference}: VGC area "
                        f"{grading.area:.3f} (95 % {grading.low:.3f} to {grading.high:.3f})"
                    )
        return said + self.notes


def analyse(study: StudyFile, resamples: int, seed: int) -> Findings:
    """Analyse all standing answers.

    Args:
        resamples: of the bootstrap over readers and cases. seed: of it.

    Raises:
        StudyError: nothing was answered yet.
    """
    found = answers(study)
    versions = study.versions
    reference = _reference(versions)
    random = np.random.default_rng(seed)
    modalities = sorted({image.modality for image in study.images.values()})
    names = modalities if len(modalities) == 1 else [*modalities, ALL]
    groups = []
    for name in names:
        part = found if name == ALL or len(modalities) == 1 else _only(found, name)
        if len(part.pairs) or len(part.grades):
            groups.append(_group(name, part, versions, reference, resamples, random))
    groups, tests = _adjusted(groups)
    answered = pd.concat([found.pairs, found.grades])[["reader", "item", "seconds"]].drop_duplicates("item")
    per_reader = {reader: int((answered["reader"] == reader).sum()) for reader in found.readers}
    return Findings(
        title=study.fact("title"),
        simulated=study.simulated,
        reference=versions[reference].name,
        answered=len(answered),
        asked=found.asked,
        readers=per_reader,
        seconds=float(answered["seconds"].median()),
        groups=groups,
        tests=tests,
        notes=_notes(study, per_reader, groups),
    )


def _reference(versions: dict[int, Version]) -> int:
    """What versions are compared with: the original; without it the network's own guess; without it the first."""
    shown = [version for version in versions.values() if version.shown]
    if not shown:
        raise StudyError("study", "shows no version", "make it again")
    ranks = {"original": 0, "enhanced": 2, "other": 3}
    return min(shown, key=lambda one: (1 if (one.brightness, one.denoise) == (1, 1) else ranks[one.kind], one.id)).id


def _only(found: Answers, modality: str) -> Answers:
    pairs = found.pairs[found.pairs["modality"] == modality]
    grades = found.grades[found.grades["modality"] == modality]
    return Answers(pairs, grades, found.asked, found.readers)


def _group(
    name: str,
    found: Answers,
    versions: dict[int, Version],
    reference: int,
    resamples: int,
    random: np.random.Generator,
) -> Group:
    pairs = found.first_pairs
    preferences, bounded, pair_power = _preferences(pairs, versions, reference, resamples, random)
    graded, grading_power = _graded(found, versions, reference, resamples, random)
    both = pd.concat([pairs[["reader", "image"]], found.first_grades[["reader", "image"]]])
    return Group(
        name=name,
        images=int(both["image"].nunique()),
        readers=int(both["reader"].nunique()),
        comparisons=len(pairs),
        preferences=preferences,
        bounded=bounded,
        between=_between(_pair_values(pairs), "nominal"),
        within=_within(_pair_values(found.pairs), "nominal"),
        repeated=int(found.pairs["repeats"].notna().sum()),
        left=float((found.pairs["chosen"] == found.pairs["left"]).mean()) if len(found.pairs) else None,
        power=pair_power,
        graded=graded,
        grading_power=grading_power,
        few=int(both["image"].nunique()) < statistics.LEAST_IMAGES,
    )


def _preferences(
    pairs: pd.DataFrame, versions: dict[int, Version], reference: int, resamples: int, random: np.random.Generator
) -> tuple[list[Preference], bool, str]:
    if not len(pairs):
        return [], False, ""
    ids = sorted({reference, *pairs["chosen"], *pairs["other"]}, key=lambda one: (one != reference, one))
    place = {version: index for index, version in enumerate(ids)}
    chosen, other = (pairs[side].map(place).to_numpy() for side in ("chosen", "other"))
    fitted = statistics.bradley_terry(_wins(chosen, other, len(ids)))
    weights = statistics.resampled_weights(*_codes(pairs), resamples, random)
    resampled = np.stack([_wins(chosen, other, len(ids), row) for row in weights])
    abilities = statistics.bradley_terry_abilities(resampled, fitted.abilities)
    shares = np.stack([_shares(wins) for wins in resampled])
    overall = _shares(_wins(chosen, other, len(ids)))
    found = []
    for index, version in enumerate(ids):
        low, high = statistics.interval(abilities[:, index])
        is_reference = index == 0
        found.append(
            Preference(
                versions[version].name,
                int(np.sum(chosen == index) + np.sum(other == index)),
                float(overall[index]),
                *statistics.interval(shares[:, index]),
                float(fitted.abilities[index]),
                low,
                high,
                float(fitted.errors[index]),
                _logistic(fitted.abilities[index]),
                _logistic(low),
                _logistic(high),
                float("nan") if is_reference else statistics.bootstrap_p(abilities[:, index], 0.0),
            )
        )
    intervals = [(one.ability_low, one.ability_high) for one in found[1:]]
    told = power.of_pairs(len(pairs), intervals, pairs["reader"].nunique(), fitted.bounded)
    return found, fitted.bounded, told


def _wins(
    chosen: NDArray[np.int64], other: NDArray[np.int64], count: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    flat = np.bincount(chosen * count + other, weights=weights, minlength=count * count)
    return flat.reshape(count, count).astype(np.float64)


def _shares(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    met = wins.sum(1) + wins.sum(0)
    return np.divide(wins.sum(1), met, out=np.full(len(wins), np.nan), where=met > 0)


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def _codes(rows: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return pd.factorize(rows["reader"])[0], pd.factorize(rows["image"])[0]


def _pair_values(pairs: pd.DataFrame) -> pd.DataFrame:
    """What was chosen, by unit: the versions that were compared, whatever their sides, of an image."""
    low, high = pairs[["left", "right"]].min(axis=1), pairs[["left", "right"]].max(axis=1)
    unit = pairs["image"].astype(str) + ":" + low.astype(str) + ":" + high.astype(str)
    value = (pairs["chosen"] == low).astype(float)
    return pd.DataFrame({"unit": unit, "reader": pairs["reader"], "value": value, "repeats": pairs["repeats"]})


def _grade_values(grades: pd.DataFrame) -> pd.DataFrame:
    unit = grades["image"].astype(str) + ":" + grades["version"].astype(str)
    value = grades["value"].astype(float)
    return pd.DataFrame({"unit": unit, "reader": grades["reader"], "value": value, "repeats": grades["repeats"]})


def _between(values: pd.DataFrame, level: str) -> float | None:
    """Alpha between readers, of first answers."""
    if values.empty:
        return None
    return statistics.alpha(values.pivot_table(index="reader", columns="unit", values="value").to_numpy(), level)


def _within(values: pd.DataFrame, level: str) -> float | None:
    """Alpha of readers with themselves: each repeated question is a unit, its first and second answer the observers."""
    again = values[values["repeats"].notna()]
    first = values[values["repeats"].isna()]
    if again.empty:
        return None
    met = again.merge(first, on=["unit", "reader"], suffixes=("_again", "_first"))
    return statistics.alpha(met[["value_first", "value_again"]].to_numpy().T, level)


def _graded(
    found: Answers, versions: dict[int, Version], reference: int, resamples: int, random: np.random.Generator
) -> tuple[list[Graded], str]:
    graded, widths = [], []
    for criterion in CRITERIA:
        every = found.grades[found.grades["question"] == criterion.key]
        grades = found.first_grades[found.first_grades["question"] == criterion.key]
        own = grades[grades["version"] == reference]
        if grades.empty or own.empty:
            continue
        values, version_ids = grades["value"].to_numpy(np.int64), grades["version"].to_numpy(np.int64)
        weights = statistics.resampled_weights(*_codes(grades), resamples, random)
        odds = {one.version: one for one in statistics.grading_regression(grades.reset_index(drop=True), reference)}
        gradings = []
        for version in sorted(set(version_ids.tolist()) - {reference}):
            grading, spread = _grading(values, version_ids, weights, reference, version)
            widths.append(spread)
            gradings.append(_with_odds(grading, versions[version].name, odds.get(version)))
        all_values = _grade_values(every)
        graded.append(
            Graded(
                criterion.key,
                criterion.title,
                statistics.counts_of(own["value"].to_numpy(np.int64)).astype(int).tolist(),
                gradings,
                _between(_grade_values(grades), "ordinal"),
                _within(all_values, "ordinal"),
                int(every["repeats"].notna().sum()),
            )
        )
    if not widths:
        return graded, ""
    return graded, power.of_gradings(widths, found.first_grades["reader"].nunique())


def _grading(
    values: NDArray[np.int64],
    version_ids: NDArray[np.int64],
    weights: NDArray[np.float64],
    reference: int,
    version: int,
) -> tuple[Grading, float]:
    own, others = version_ids == reference, version_ids == version
    counts = statistics.counts_of(values[others])
    curve = statistics.vgc(statistics.counts_of(values[own]), counts)
    grade = np.eye(len(SCALE))[values - SCALE[0]]
    areas = statistics.vgc_areas(weights[:, own] @ grade[own], weights[:, others] @ grade[others])
    low, high = statistics.interval(areas)
    grading = Grading(
        version="",
        counts=counts.astype(int).tolist(),
        mean=float(values[others].mean()),
        curve=list(zip(curve.reference.tolist(), curve.test.tolist(), strict=True)),
        area=curve.area,
        low=low,
        high=high,
        p=statistics.bootstrap_p(areas, 0.5),
    )
    return grading, float(np.nanstd(areas))


def _with_odds(grading: Grading, name: str, odds: statistics.OddsRatio | None) -> Grading:
    if odds is None:
        return replace(grading, version=name)
    reach = 1.959964 * odds.error
    return replace(
        grading,
        version=name,
        odds=float(np.exp(odds.log_odds)),
        odds_low=float(np.exp(odds.log_odds - reach)),
        odds_high=float(np.exp(odds.log_odds + reach)),
        odds_p=odds.p,
    )


def _adjusted(groups: list[Group]) -> tuple[list[Group], int]:
    """P values adjusted together for each kind of test, over modalities, versions and questions; and how many."""
    groups = [_untested(group) if group.few else group for group in groups]
    pair_p = iter(_holm([one.p for group in groups for one in group.preferences[1:]]))
    area_p = iter(_holm([one.p for group in groups for part in group.graded for one in part.gradings]))
    fitted = [
        one.odds_p for group in groups for part in group.graded for one in part.gradings if one.odds_p is not None
    ]
    odds_p = iter(statistics.holm(fitted))
    done = []
    for group in groups:
        preferences = group.preferences[:1] + [replace(one, p_adjusted=next(pair_p)) for one in group.preferences[1:]]
        graded = [
            replace(
                part,
                gradings=[
                    replace(
                        one,
                        p_adjusted=next(area_p),
                        odds_p_adjusted=None if one.odds_p is None else next(odds_p),
                    )
                    for one in part.gradings
                ],
            )
            for part in group.graded
        ]
        done.append(replace(group, preferences=preferences, graded=graded))
    compared = sum(
        len(group.preferences[1:]) + sum(len(part.gradings) for part in group.graded)
        for group in groups
        if not group.few
    )
    return done, compared + len(fitted)


def _untested(group: Group) -> Group:
    """The group without p values."""
    nothing = float("nan")
    graded = [replace(part, gradings=[replace(one, p=nothing) for one in part.gradings]) for part in group.graded]
    return replace(group, preferences=[replace(one, p=nothing) for one in group.preferences], graded=graded)


def _holm(p: list[float]) -> list[float]:
    """Holm's adjustment of those that are told; NaN stays where nothing was tested."""
    adjusted = iter(statistics.holm([one for one in p if one == one]))
    return [next(adjusted) if one == one else one for one in p]


def _notes(study: StudyFile, per_reader: dict[str, int], groups: list[Group]) -> list[str]:
    notes = []
    if study.simulated:
        notes.append("SIMULATION: no person has seen these images; this says nothing about them.")
    active = [reader for reader, count in per_reader.items() if count]
    if len(active) == 1:
        notes.append(
            "One reader only: intervals are over cases alone and hold for this reader; agreement between readers is "
            "not defined. At least three readers are needed to speak of others."
        )
    if len(active) == 2:
        notes.append("Two readers only: intervals say little about others, for which at least three are needed.")
    few = [group.name for group in groups if group.few]
    if few:
        notes.append(
            f"Fewer than {statistics.LEAST_IMAGES} images ({', '.join(few)}): no p values are told, and intervals may "
            "be too narrow."
        )
    silent = [reader for reader, count in per_reader.items() if not count]
    if silent and active:
        notes.append(f"Not read yet by {', '.join(silent)}.")
    return notes
