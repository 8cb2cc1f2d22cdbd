"""Options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lowlight.imaging.limits import DicomReading

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


class Size(StrEnum):
    """Of the network: what the shipped bundle's inference.yaml has."""

    FAST = "fast"
    DEFAULT = "default"
    BEST = "best"


NetworkSize = Annotated[
    Size,
    typer.Option(
        "--size",
        help="Of the network: fast is smaller and takes less time, best looks at each image in eight ways and takes "
        "about seven times as long.",
    ),
]


class EngineName(StrEnum):
    """What runs the network: as `lowlight.enhance.loading.ENGINES` has it, which takes time to load."""

    AUTO = "auto"
    ONNX = "onnx"
    TORCH = "torch"
    TORCH_BFLOAT16 = "torch-bfloat16"


RunningEngine = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What runs the network. Default: what suits the device. torch-bfloat16 (extra bundle) computes in 16 bits "
        "where the device has units for them: faster, and a quarter of the pixels differ by a grey level.",
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


Window = Annotated[
    int,
    typer.Option(
        "--window", metavar="K", min=1, help="DICOM: which of the file's windows (then lookup tables) shows the image."
    ),
]
AnyModality = Annotated[
    bool,
    typer.Option(
        "--any-modality", metavar=FLAG, help="DICOM: also take CT, MR, PET and nuclear medicine, whose values measure."
    ),
]
LimitWishes = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=NUMBER",
        help="What one DICOM file or film may cost: memory=4GB, seconds=20 (for each 10 MB), pixels=150M (a frame); "
        "DICOM: total_pixels=1G, frames=20k, inflated=1GB, nesting=32, elements=500k.",
    ),
]
NamedAsInputs = Annotated[
    bool,
    typer.Option(
        "--phi",
        metavar=FLAG,
        help="DICOM: name results, and images on pages, as the inputs are; without, by a hash, as names of files and "
        "folders may be those of patients.",
    ),
]


class Compression(StrEnum):
    """How DICOM results are compressed, without loss: `lowlight.imaging.dicom_files.COMPRESSIONS`."""

    JPEG2000 = "jpeg2000"
    JPEGLS = "jpegls"
    RLE = "rle"


def _memory(text: str | None) -> str | None:
    memory_of(text)
    return text


MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        callback=_memory,
        help="How much memory the enhancement itself may take: 1GB, 800MB. Less makes smaller tiles and takes longer.",
    ),
]


def _address(text: str | None) -> str | None:
    from lowlight.services.cluster.connecting import Address

    try:
        if text is not None:
            Address.of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


ClusterAddress = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="WHERE",
        callback=_address,
        help="Where the work is done, with Dask: local[N] for N processes on this machine, tcp://HOST:PORT or "
        "tls://HOST:PORT for a scheduler. Only on networks that you trust: see docs/archive.md.",
    ),
]


def memory_of(text: str | None) -> int | None:
    """Bytes that an option names.

    Raises:
        typer.BadParameter: no such number.
    """
    from lowlight.imaging.limits import whole_number

    try:
        return None if text is None else whole_number(text, text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def dicom_reading(window: int, any_modality: bool, limits: list[str] | None) -> DicomReading:
    """What the options say about reading DICOM.

    Raises:
        typer.BadParameter: a limit that is none.
    """
    from lowlight.imaging.limits import DEFAULT, DicomReading

    try:
        return DicomReading(window, any_modality, DEFAULT.raised(limits or []))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--limit'") from None


def strength(largest: float, text: str) -> Any:
    """An option for a number from 0 to ``largest``."""

    def within(value: float | None) -> float | None:
        # Not by Typer's own limits: it says of "nan" that it should be smaller.
        if value is not None and not 0 <= value <= largest:
            raise typer.BadParameter(f"{value:g} is not a number from 0 to {largest:g}")
        return value

    return typer.Option(metavar=f"0..{largest:g}", callback=within, help=text)
