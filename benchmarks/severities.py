"""Pictures for the model card: one place at three severities by three sizes, and real microaneurysms likewise.

    python benchmarks/severities.py --output monai_bundle/docs

Both images come with scikit-image; the network was not trained on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lowlight import Enhancer
from lowlight.enhance.demo import EXAMPLES, Example
from lowlight.evaluation import compare
from lowlight.imaging import write_png

SEVERITIES = ("light", "medium", "heavy")
SIZES = ("fast", "default", "best")
RETINA = EXAMPLES["retina"]
PLACE = (slice(180, 360), slice(20, 260))
"""Rows and columns that are shown: the optic disc, vessels of all widths, and the macula at their end."""
MICROANEURYSMS = Example("skimage", "data/microaneurysms.png", "fundus", "part of a fundus photograph")
ENLARGED = 3

GAP, HEAD, LABEL, FOOT = 8, 34, 88, 28
BACKGROUND, TITLE, TEXT = (24, 24, 26), (255, 255, 255), (190, 190, 195)

Panel = tuple[NDArray[np.uint8], str]


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="severities.png, findings.png")
    folder = parser.parse_args().output
    columns = ["dark", *SIZES, "truth"]
    rows = [[(image[PLACE], line) for image, line in row(RETINA, severity)] for severity in SEVERITIES]
    note = f"{RETINA.origin}; a part of it, pixel for pixel. Decibels of all of it."
    write_png(table(columns, SEVERITIES, rows, note), folder / "severities.png")
    rows = [[(enlarged(image), line) for image, line in row(MICROANEURYSMS, severity)] for severity in SEVERITIES]
    note = f"{MICROANEURYSMS.origin}, green channel, with microaneurysms; from scikit-image (CC0). Enlarged."
    write_png(table(columns, SEVERITIES, rows, note), folder / "findings.png")


def row(example: Example, severity: str) -> list[Panel]:
    """The dark image, what each size makes of it, and the truth, each with its decibels."""
    truth = example.pixels()
    dark, _ = example.darkened(severity)
    images = [dark, *(engine(size)(dark, modality=example.modality).image for size in SIZES)]
    panels = [(image, f"{compare(image / 255, truth / 255).psnr:.1f} dB") for image in images]
    return [*panels, (truth, "")]


@cache
def engine(size: str) -> Enhancer:
    """The engine of one size."""
    return Enhancer(device="cpu", size=size)


def enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every pixel as a square: no interpolation that could flatter or blur."""
    return image.repeat(ENLARGED, 0).repeat(ENLARGED, 1)


def table(
    columns: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Panel]], note: str
) -> NDArray[np.uint8]:
    """Rows of panels of one size under their columns' names, (H, W, 3)."""
    height, width = rows[0][0][0].shape[:2]
    size = (LABEL + len(columns) * (width + GAP), HEAD + len(rows) * (height + HEAD) + FOOT)
    canvas = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    title, text = (ImageFont.load_default(points) for points in (18, 13))
    for column, name in enumerate(columns):
        draw.text((LABEL + column * (width + GAP), 8), name, TITLE, title)
    for number, (name, panels) in enumerate(zip(names, rows, strict=True)):
        top = HEAD + number * (height + HEAD)
        draw.text((GAP, top), name, TITLE, title)
        for column, (image, line) in enumerate(panels):
            left = LABEL + column * (width + GAP)
            canvas.paste(Image.fromarray(image).convert("RGB"), (left, top))
            draw.text((left, top + height + 6), line, TEXT, text)
    draw.text((GAP, size[1] - FOOT + 4), f"{note[0].upper()}{note[1:]}", TEXT, text)
    return np.asarray(canvas)


if __name__ == "__main__":
    main()
