"""The page of `lowlight quantify`: what is wrong with each image, in numbers and pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.exposure import display_of, uniform_border
from lowlight.artifacts.noise import noise_map
from lowlight.artifacts.published import block_variance_map, laplacian_map
from lowlight.artifacts.quantifying import LUMA
from lowlight.artifacts.severity import State
from lowlight.reports.charts import Histogram, histogram
from lowlight.reports.findings import FACTORS, SEVERITIES, Finding, Report, findings, reassurance, state, verdict
from lowlight.reports.page import Drawn, ImagesPage, Term
from lowlight.reports.pictures import Picture, sequential_map, thumbnail

TERMS = (
    Term(
        "Undamaged",
        "No artifact is worth treating: enhancing would return the image as it is.",
    ),
    Term(
        "Not judged",
        "No artifact is rated weak or worse, but too little speaks for the image, or too little can be measured, to "
        "call it undamaged.",
    ),
    Term(
        "None, weak, moderate, strong",
        "How much an artifact is expected to hurt, by limits fitted on images with known damage. The needle shows "
        "where the number lies between them.",
    ),
    Term("Not told", "The image does not let it be measured; the reason stands beside it. No value is made up."),
)


@dataclass(frozen=True)
class Row:
    """A line of the table of all images."""

    number: int
    name: str
    state: State
    findings: list[Finding]
    classes: str


@dataclass(frozen=True)
class Card:
    """All that the page says of one image."""

    number: int
    name: str
    about: str
    state: State
    verdict: str
    note: str
    classes: str
    findings: list[Finding]
    picture: Picture
    histogram: Histogram
    maps: list[Drawn]


class QuantifiedPage(ImagesPage):
    """The page of images and what was measured in them.

    Args:
        expected: how many images there may be: many make smaller pictures.
    """

    def __init__(self, expected: int) -> None:
        super().__init__("quantified", expected, picture_side=480, map_side=320)
        self.rows: list[Row] = []

    def add(
        self,
        name: str,
        about: str,
        pixels: NDArray[Any],
        value_range: tuple[float, float],
        report: Report,
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add an image.

        Args:
            name: of the file, as text.
            about: its size and kind, in a line.
            pixels: (H, W) or (H, W, 3), any integer or float dtype.
            value_range: (black, white) in units of the pixels.
            report: its numbers.
            valid: bool (H, W), False where a pixel is not judged; None: all but a uniform border.
        """
        number, found, held = len(self.rows) + 1, findings(report), state(report)
        bad = [one.key for one in found if one.severity in ("moderate", "strong")]
        classes = " ".join(f"is-{kind}" for kind in (held.replace(" ", "-"), *bad))
        display = display_of(pixels, value_range)
        luminance = display if display.ndim == 2 else display @ np.array(LUMA, np.float32)
        judged = ~uniform_border(luminance) if valid is None else valid
        self.page.add(
            Card(
                number=number,
                name=name,
                about=about,
                state=held,
                verdict=verdict(report),
                note=reassurance(report),
                classes=classes,
                findings=found,
                picture=thumbnail(display, self._picture_side),
                histogram=histogram(luminance, judged),
                maps=self._maps(luminance, judged),
            )
        )
        self.rows.append(Row(number, name, held, found, classes))

    def _maps(self, luminance: NDArray[np.floating[Any]], judged: NDArray[np.bool_]) -> list[Drawn]:
        drawn = [
            (
                laplacian_map(luminance),
                "of range",
                "Absolute Laplacian",
                "Change from pixel to pixel: edges, and noise.",
            ),
            (
                np.where(judged, noise_map(luminance, judged), 0),
                "of range",
                "Local noise",
                "Standard deviation of the noise around each place, as JPEG has left it. The flatter blocks lead "
                "it, but texture counts where there are few.",
            ),
        ]
        blocks = block_variance_map(luminance)
        if blocks.size:
            # As variances the few strongest edges would leave nothing else to see.
            spread = (
                np.sqrt(blocks),
                "of range",
                "Block variance",
                "Spread within 8 x 8 blocks, as a standard deviation.",
            )
            drawn.insert(1, spread)
        return [
            Drawn(sequential_map(values, self._map_side, unit), title, meaning)
            for values, unit, title, meaning in drawn
        ]

    def write(self, path: str | Path, left_out: int = 0, not_reached: int = 0) -> Path:
        """Write the page; ``left_out`` files were refused or skipped, ``not_reached`` came after an interruption.

        Raises:
            OutputError: the file cannot be written.
        """
        return self.page.write(
            path,
            title="Image quality report",
            total=len(self.rows),
            states=Counter(row.state for row in self.rows),
            left_out=left_out,
            not_reached=not_reached,
            rows=self.rows,
            words=SEVERITIES,
            heads=FACTORS,
            distribution=[self._distribution(index) for index in range(len(FACTORS))],
            choices=self._choices(),
            terms=[*TERMS, *FACTORS],
        )

    def _distribution(self, index: int) -> dict[str, Any]:
        counts = Counter(row.findings[index].severity for row in self.rows)
        return {"name": FACTORS[index].name, "counts": [counts[word] for word in SEVERITIES]}

    def _choices(self) -> list[dict[str, Any]]:
        """What the table can be narrowed down to; artifacts count where they are moderate or strong."""
        names = {"damaged": "damaged", "undamaged": "undamaged", "not-judged": "not judged"}
        names |= {factor.key: factor.name if factor.key == "jpeg" else factor.name.lower() for factor in FACTORS}
        counts = Counter(kind for row in self.rows for kind in row.classes.split())
        return [
            {"key": key, "name": name, "count": counts[f"is-{key}"]}
            for key, name in names.items()
            if counts[f"is-{key}"]
        ]
