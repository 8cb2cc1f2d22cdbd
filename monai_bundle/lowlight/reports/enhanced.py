"""The page of `lowlight enhance --report`: before, after, and what changed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.exposure import display_of
from lowlight.artifacts.quantifying import LUMA
from lowlight.reports.charts import Histogram, histogram
from lowlight.reports.findings import FACTORS, Finding, findings, reassurance
from lowlight.reports.page import Drawn, ImagesPage, Term, sides
from lowlight.reports.pictures import Picture, factor_map, number, sequential_map, symmetric_map, thumbnail

if TYPE_CHECKING:
    from lowlight.enhance import Result

TERMS = (
    Term(
        "Gain",
        "By which factor the tone curve lifts mid grey at each place: 1 is unchanged, 4 makes half of white out of an "
        "eighth. It changes slowly over the image, and at each place brighter stays brighter.",
    ),
    Term(
        "Residual",
        "What the denoise path added (above 0) or took away (below 0) after the brightness, in per cent of the range "
        "from black to white; of colours the mean.",
    ),
    Term(
        "Uncertainty",
        "Expected root-mean-square error of the result at each place, in per cent of the range: by so much the network "
        "itself expects to be wrong.",
    ),
)


@dataclass(frozen=True)
class Change:
    """One artifact before and after."""

    before: Finding
    after: Finding


@dataclass(frozen=True)
class Row:
    """A line of the table of all images."""

    number: int
    name: str
    unchanged: bool
    undamaged: bool
    changes: list[Change]


@dataclass(frozen=True)
class Card:
    """All that the page says of one image; without ``after`` and maps where the image was left as it is."""

    number: int
    name: str
    about: str
    done: str
    unchanged: bool
    undamaged: bool
    why: str
    note: str
    before: Picture
    after: Picture | None
    histogram: Histogram
    histogram_after: Histogram | None
    maps: list[Drawn]
    changes: list[Change]


_PICTURE_SIDE, _MAP_SIDE = 800, 400


class EnhancedPage(ImagesPage):
    """The page of images and what became of them.

    Args:
        expected: how many images there may be: many make smaller pictures.
    """

    def __init__(self, expected: int) -> None:
        super().__init__("enhanced", expected, _PICTURE_SIDE, _MAP_SIDE)
        self.rows: list[Row] = []

    def add(self, card: Card) -> None:
        """Show one more image, as `draw_card` drew it."""
        card = dataclasses.replace(card, number=len(self.rows) + 1)
        self.page.keep(self.page.render(card))
        self.rows.append(Row(card.number, card.name, card.unchanged, card.undamaged, card.changes))

    def write(self, path: str | Path, left_out: int = 0) -> Path:
        """Write the page; ``left_out`` files were refused or skipped.

        Raises:
            OutputError: the file cannot be written.
        """
        return self.page.write(
            path,
            title="Enhancement report",
            total=len(self.rows),
            unchanged=sum(row.unchanged for row in self.rows),
            undamaged=sum(row.undamaged for row in self.rows),
            left_out=left_out,
            rows=self.rows,
            heads=FACTORS,
            terms=[*TERMS, *FACTORS],
        )


def draw_card(name: str, about: str, result: Result, expected: int) -> Card:
    """Judge and draw a result; of several frames the one that was judged is shown.

    Args:
        name: of the file, as text.
        about: size and kind of the image, in a line.
        result: as the `lowlight.Enhancer` gave it.
        expected: how many images the page may show, as for `EnhancedPage`.

    Returns:
        What the page says of it; its number is given when it is added. Can be sent to other processes.
    """
    report, (picture_side, map_side) = result.report, sides(expected, _PICTURE_SIDE, _MAP_SIDE)
    unchanged = result.unchanged
    before, after = findings(report["before"]), findings(report["after"])
    shown = _frame(result, report.get("frame"))
    display = display_of(shown.source, shown.value_range)
    enhanced = None if unchanged else display_of(shown.image, shown.value_range)
    return Card(
        number=0,
        name=name,
        about=about,
        done=_done(report),
        unchanged=unchanged,
        undamaged=result.undamaged,
        why=result.why_unchanged,
        note=reassurance(report["before"]) if result.undamaged else "",
        before=thumbnail(display, picture_side),
        after=None if enhanced is None else thumbnail(enhanced, picture_side),
        histogram=histogram(_luminance(display)),
        histogram_after=None if enhanced is None else histogram(_luminance(enhanced)),
        maps=[] if unchanged else _maps(shown, map_side),
        changes=[Change(one, other) for one, other in zip(before, after, strict=True)],
    )


def _maps(result: Result, side: int) -> list[Drawn]:
    residual = result.residual if result.residual.ndim == 2 else result.residual.mean(axis=2)
    return [
        Drawn(factor_map(result.gain, side), "Gain", "How much brighter each place became."),
        Drawn(
            symmetric_map(100 * residual, side, "% of range"),
            "Residual",
            "What was taken away as noise and damage, or added.",
        ),
        Drawn(
            sequential_map(100 * result.uncertainty, side, "% of range"),
            "Uncertainty",
            "How far from the truth the network expects to be.",
        ),
    ]


def _frame(result: Result, index: int | None) -> Result:
    """The result of one frame; that of an image without frames as it is."""
    if index is None:
        return result
    predictions = result.predictions[index : index + 1]
    return dataclasses.replace(result, source=result.source[index], frames=False, predictions=predictions)


def _done(report: dict[str, Any]) -> str:
    strengths = f"brightness {number(report['brightness'])}, denoise {number(report['denoise'])}"
    error = report["expected_error"]
    if error is None:
        return strengths
    made = f"size {report['size']}, engine {report['engine']}"
    return f"{strengths}; expected error {number(100 * error)} % of range; {made}"


def _luminance(display: NDArray[np.float32]) -> NDArray[np.float32]:
    return display if display.ndim == 2 else display @ np.array(LUMA, np.float32)
