"""The page of `lowlight evaluate`: how close results come to the truth, in plots, numbers and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowlight.evaluation import ALL, MEANINGS, Group, Meaning, Row, interval_note
from lowlight.imaging import Found
from lowlight.reports.page import Page
from lowlight.reports.pictures import Picture, thumbnail

WIDTH, HEIGHT = 480, 26
"""Of the strip of one group, in the drawing's own units; a page scales it."""

MARGIN = 6
MOST_DOTS = 1500
"""In one strip; of more values, as many are drawn as evenly as they lie, the extremes among them."""

MOST_GROUPS = 12
"""With examples: more would make a page that nobody reads and a tablet does not open."""

PICTURE_SIDE = 360


@dataclass(frozen=True)
class Strip:
    """One measure over one group: a dot for each image, its mean with the interval, its median.

    Attributes:
        dots: SVG path of dots. mean, median, low, high: positions in the drawing's units; low and high are None where
            there is no interval.
        name, count: of the group. mean_text, interval_text, median_text: the numbers, written out.
    """

    name: str
    count: int
    dots: str
    mean: float
    median: float
    low: float | None
    high: float | None
    mean_text: str
    interval_text: str
    median_text: str


@dataclass(frozen=True)
class Plot:
    """One measure over all groups on a common scale.

    Attributes:
        ideal: where a perfect result lies, in the drawing's units; None if there is no such value.
        ticks: texts at the left end, the middle and the right end of the scale.
    """

    meaning: Meaning
    strips: list[Strip]
    ideal: float | None
    ticks: tuple[str, str, str]


@dataclass(frozen=True)
class Example:
    """One pair, shown: pictures in the order before (if known), after, truth, and its numbers."""

    number: int
    name: str
    why: str
    pictures: list[tuple[str, Picture]]
    numbers: list[tuple[str, str]]


def write_page(
    rows: Sequence[Row],
    groups: Sequence[Group],
    path: str | Path,
    left_out: int = 0,
    value_range: tuple[float, float] | None = None,
) -> Path:
    """Write the page. The images that it shows as examples are read again.

    Args:
        rows: at least one measured pair.
        groups: `lowlight.evaluation.summarise` of them.
        path: of the .html file.
        left_out: how many files were refused or skipped.
        value_range: (black, white) of the files, where they do not say.

    Raises:
        OutputError: the file cannot be written.
        InputError: an image can no longer be read.
    """
    with Page("evaluation") as page:
        chosen = _chosen(rows)
        for number, (row, why) in enumerate(chosen, 1):
            page.keep(page.render(_example(number, row, why, value_range)))
        return page.write(
            path,
            title="Comparison with the truth",
            total=len(rows),
            truths=len({row.pair.clean.path for row in rows}),
            left_out=left_out,
            tiles=_tiles(groups[-1]),
            plots=plots(rows, groups),
            width=WIDTH,
            height=HEIGHT,
            examples=len(chosen),
            note=interval_note(),
        )


def plots(rows: Sequence[Row], groups: Sequence[Group]) -> list[Plot]:
    """A plot for each measure that any row has, in the order of `MEANINGS`."""
    return [
        _plot(rows, groups, name, meaning)
        for name, meaning in MEANINGS.items()
        if any(group.measures[name].count for group in groups)
    ]


def _plot(rows: Sequence[Row], groups: Sequence[Group], name: str, meaning: Meaning) -> Plot:
    everything = _values(rows, name)
    ends = [min(everything), max(everything)] + ([] if meaning.ideal is None else [meaning.ideal])
    low, high = min(ends), max(ends)
    span = high - low or 1.0

    def at(value: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (value - low) / span

    strips = []
    for group in groups:
        one = group.measures[name]
        if one.mean is None or one.median is None:
            continue
        members = rows if group.name == ALL else [row for row in rows if row.pair.group == group.name]
        interval = "-" if one.low is None else f"{meaning.written(one.low)} to {meaning.written(one.high)}"
        strips.append(
            Strip(
                name=group.name,
                count=one.count,
                dots=_dots([at(value) for value in _values(members, name)]),
                mean=at(one.mean),
                median=at(one.median),
                low=None if one.low is None else at(one.low),
                high=None if one.high is None else at(one.high),
                mean_text=meaning.written(one.mean),
                interval_text=interval,
                median_text=meaning.written(one.median),
            )
        )
    ticks = (meaning.written(low), meaning.written(low + span / 2), meaning.written(low + span))
    return Plot(meaning, strips, None if meaning.ideal is None else at(meaning.ideal), ticks)


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [value for row in rows if (value := getattr(row.measures, name)) is not None]


def _dots(positions: Sequence[float]) -> str:
    """Lines of no length, which round ends make dots; spread in height, so that equal values can be told apart."""
    ordered = np.sort(positions)
    if len(ordered) > MOST_DOTS:
        ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_DOTS).round().astype(int)]
    # Multiples of the golden ratio: neighbours in value lie far apart in height, the same in every run.
    heights = HEIGHT * (0.2 + 0.6 * (np.arange(len(ordered)) * 0.618034 % 1))
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in zip(ordered, heights, strict=True))


def _tiles(everything: Group) -> list[tuple[str, str]]:
    """The numbers that most readers look for first, over all pairs."""
    shown = []
    for name in ("psnr", "ssim", "detail_fidelity", "spurious_detail"):
        mean, meaning = everything.measures[name].mean, MEANINGS[name]
        if mean is not None:
            shown.append((f"{meaning.written(mean)} {meaning.unit}".strip(), f"mean {meaning.title}"))
    return shown


def _chosen(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    """Of each group the pair in the middle and the one farthest from the truth, by PSNR."""
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(row.pair.group, []).append(row)
    chosen = []
    for name in sorted(members)[:MOST_GROUPS]:
        ordered = sorted(members[name], key=lambda row: row.measures.psnr)
        where = "" if len(members) == 1 else f" of {name}"
        if len(ordered) > 1:
            chosen.append((ordered[len(ordered) // 2], f"in the middle{where}"))
        chosen.append((ordered[0], f"farthest from the truth{where}" if len(ordered) > 1 else f"alone{where}"))
    return chosen


def _example(number: int, row: Row, why: str, value_range: tuple[float, float] | None) -> Example:
    one = row.pair
    sides = [("before", one.observed), ("after", one.enhanced), ("truth", one.clean)]
    pictures = [(name, _picture(found, value_range)) for name, found in sides if found is not None]
    numbers = [
        (meaning.title, f"{meaning.written(value)} {meaning.unit}".strip())
        for name, meaning in MEANINGS.items()
        if (value := getattr(row.measures, name)) is not None
    ]
    return Example(number, one.name, why, pictures, numbers)


def _picture(found: Found, value_range: tuple[float, float] | None) -> Picture:
    image = found.read(value_range)
    display = image.normalised()
    return thumbnail(display[len(display) // 2] if image.frames else display, PICTURE_SIDE)
