"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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
    typer.Argument(metavar="PATH...", help="Files, or folders with all below them: PNG, JPEG, TIFF, NIfTI, DICOM."),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="Folder for the results, with the sub-folders and names of the inputs; for a single file, also the name "
        "of its result. Earlier results are replaced, inputs never.",
    ),
]
ModalityOption = Annotated[
    Modality | None, typer.Option("--modality", help="Kind of image. Default: what the file says, if it does.")
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
    bool, typer.Option("--json", help="Print one JSON object per file and a summary as the last line, nothing else.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show warnings of libraries, and details of errors.")]
