"""The page of `lowlight study report`, and the table of raw answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lowlight.reports import write_csv
from lowlight.reports.page import Page, Term
from lowlight.study.analysis import Findings, Grading, Group, analyse
from lowlight.study.answers import raw_rows
from lowlight.study.questions import PAIR_QUESTION
from lowlight.study.studyfile import StudyFile

WIDTH, HEIGHT, MARGIN = 480, 26, 6
"""Of the strip that shows one estimate, in the drawing's own units; a page scales it."""

CURVE = 200
"""Side of the drawing of a VGC curve."""

TERMS = (
    Term(
        "Preferred to the reference",
        "Probability that a reader prefers this version to the reference, from the Bradley-Terry model of all "
        "comparisons together; 50 % is no preference.",
    ),
    Term("Comparisons won", "Share of this version's comparisons, whatever the other was, in which it was preferred."),
    Term(
        "Ability",
        "The Bradley-Terry model's logit of being preferred to the reference (Bradley and Terry 1952), by maximum "
        "likelihood.",
    ),
    Term(
        "95 % interval",
        "Percentiles of a bootstrap over readers and over cases at once, so that it speaks of other readers and other "
        "images; odds ratios have an interval of their own, from a covariance clustered by image.",
    ),
    Term(
        "VGC area",
        "Area under the visual grading characteristics curve (Båth and Månsson 2007), by trapezoids: the probability "
        "that the version gets a higher grade than the reference, ties counted half. 0.5 is no difference.",
    ),
    Term(
        "Odds ratio",
        "By which factor the odds of a higher grade exceed the reference's: visual grading regression (Smedby and "
        "Fredrikson 2010), proportional odds with an effect of each reader. Not told with fewer than ten "
        "images, or where grades hardly overlap.",
    ),
    Term(
        "Agreement",
        "Krippendorff's alpha, ordinal for grades and nominal for choices, between readers and, where questions came "
        "twice, of readers with themselves: 1 is perfect, 0 is chance; below 0.667 conclusions are commonly not drawn.",
    ),
    Term(
        "Adjusted p",
        "P value after Holm's correction (1979) for all tests of the same kind on this page. Without it, one in twenty "
        "true null hypotheses would look like a finding.",
    ),
)


@dataclass(frozen=True)
class Strip:
    """One estimate with its interval, as positions in the drawing's units and in words."""

    name: str
    at: float
    low: float
    high: float
    text: str
    interval: str
    cells: list[tuple[str, str]]


@dataclass(frozen=True)
class CurveDrawn:
    """A VGC curve as an SVG path in a square of `CURVE` units."""

    name: str
    path: str
    area: str
    style: int


@dataclass(frozen=True)
class QuestionDrawn:
    """One question: its strips, its curves, how often each grade was given, and agreement."""

    title: str
    strips: list[Strip]
    curves: list[CurveDrawn]
    counts: list[tuple[str, list[int]]]
    between: str
    within: str
    repeated: int


@dataclass(frozen=True)
class GroupDrawn:
    """One modality."""

    group: Group
    strips: list[Strip]
    questions: list[QuestionDrawn]
    between: str
    within: str
    left: str


def write_report(study: Path, page: Path, table: Path, resamples: int, seed: int) -> Findings:
    """Analyse a study, write its page and the table of its raw answers.

    Raises:
        StudyError: the study cannot be used, or holds no answers.
        OutputError: a file cannot be written.
    """
    with StudyFile(study) as opened:
        findings = analyse(opened, resamples, seed)
        rows = raw_rows(opened)
        facts = {key: opened.fact(key) for key in ("seed", "created", "model", "weights_sha256", "simulation")}
    write_csv(rows, table)
    with Page("study") as drawn:
        for group in findings.groups:
            drawn.add(_group(group, findings.reference))
        drawn.write(
            page,
            title=findings.title,
            findings=findings,
            facts=facts,
            resamples=resamples,
            bootstrap_seed=seed,
            question=PAIR_QUESTION,
            terms=TERMS,
        )
    return findings


def _group(group: Group, reference: str) -> GroupDrawn:
    strips = [
        Strip(
            one.version,
            _at(one.beats),
            _at(one.beats_low),
            _at(one.beats_high),
            _percent(one.beats),
            f"{_percent(one.beats_low)} to {_percent(one.beats_high)}",
            [
                ("Comparisons won", f"{_percent(one.share)} of {one.comparisons}"),
                ("Ability", f"{one.ability:+.2f}"),
                ("Adjusted p", _p(one.p_adjusted)),
            ],
        )
        for one in group.preferences[1:]
    ]
    if group.preferences:
        own = group.preferences[0]
        won = f"{_percent(own.share)} of {own.comparisons}"
        cells = [("Comparisons won", won), ("Ability", "0"), ("Adjusted p", "-")]
        strips.insert(0, Strip(f"{reference} (reference)", _at(0.5), _at(0.5), _at(0.5), "50 %", "-", cells))
    questions = [
        QuestionDrawn(
            part.title,
            [_area(one) for one in part.gradings],
            [_curve(one, number) for number, one in enumerate(part.gradings)],
            [(reference, part.reference_counts), *((one.version, one.counts) for one in part.gradings)],
            _alpha(part.between),
            _alpha(part.within),
            part.repeated,
        )
        for part in group.graded
    ]
    left = "" if group.left is None else _percent(group.left)
    return GroupDrawn(group, strips, questions, _alpha(group.between), _alpha(group.within), left)


def _area(one: Grading) -> Strip:
    if one.odds is None or one.odds_low is None or one.odds_high is None:
        odds, adjusted = "not told", "-"
    else:
        odds = f"{_ratio(one.odds)} ({_ratio(one.odds_low)} to {_ratio(one.odds_high)})"
        adjusted = _p(one.odds_p_adjusted if one.odds_p_adjusted is not None else float("nan"))
    return Strip(
        one.version,
        _at(one.area),
        _at(one.low),
        _at(one.high),
        f"{one.area:.3f}",
        f"{one.low:.3f} to {one.high:.3f}",
        [("Adjusted p", _p(one.p_adjusted)), ("Odds ratio", odds), ("Adjusted p of odds", adjusted)],
    )


def _curve(one: Grading, number: int) -> CurveDrawn:
    points = "L".join(f"{CURVE * x:.1f} {CURVE * (1 - y):.1f}" for x, y in one.curve)
    return CurveDrawn(one.version, f"M{points}", f"{one.area:.3f}", number % 6)


def _at(share: float) -> float:
    return MARGIN + (WIDTH - 2 * MARGIN) * min(max(share, 0.0), 1.0)


def _percent(value: float) -> str:
    return "-" if value != value else f"{100 * value:.1f} %"


def _ratio(value: float) -> str:
    if value > 999:
        return "> 999"
    return "< 0.001" if value < 0.001 else f"{value:.3g}"


def _p(value: float) -> str:
    if value != value:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _alpha(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2f}"
