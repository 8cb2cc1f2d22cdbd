"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

# Typer calls for this value of a flag "<bool>"; a flag has none.
FLAG = ""


class Modality(StrEnum):
    """Which kind of image it is: `lowlight.degradation.MODALITIES`, named here because loading those takes seconds."""

    XRAY = "xray"
    DERMATOLOGY = "dermatology"
    ENDOSCOPY = "endoscopy"
    ULTRASOUND = "ultrasound"
    FUNDUS = "fundus"
    NATURAL = "natural"


Inputs = Annotated[
    list[Path],
    # Whether a file may be read is found out file by file: one that may not must not stop the others.
    typer.Argument(
        metavar="PATH...", readable=False, help="Files, or folders with all below them: PNG, JPEG, TIFF, NIfTI, DICOM."
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        readable=False,
        help="Folder for the results, with the sub-folders and names of the inputs; for a single file, also the name "
        "of its result. Earlier results are replaced, inputs never.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps: where the network runs.")
]
ValueRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--value-range",
        metavar="BLACK WHITE",
        help="Which values are black and white, in all files: for floats outside 0 to 1, or 12 bits in 16.",
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", metavar=FLAG, help="Print one JSON object per file and a summary as the last line, nothing else."
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", metavar=FLAG, help="Show warnings of libraries, and details of errors.")
]


def strength(largest: float, text: str) -> Any:
    """An option for a number from 0 to ``largest``."""

    def within(value: float | None) -> float | None:
        # Not by Typer's own limits: it says of "nan" that it should be smaller.
        if value is not None and not 0 <= value <= largest:
            raise typer.BadParameter(f"{value:g} is not a number from 0 to {largest:g}")
        return value

    return typer.Option(metavar=f"0..{largest:g}", callback=within, help=text)
