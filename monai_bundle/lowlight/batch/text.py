"""Words for the console: one line each, whatever a file is called and whatever an exception says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowlight.imaging import MedicalImage

REPORT = "please report it where you got LowLightEnhance from; --debug shows the details"


def printable(text: str | Path) -> str:
    """The text on one line, with control characters and undecodable bytes of file names escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in str(text)
    )


def unexpected(error: BaseException) -> str:
    """One line about an exception that nobody foresaw."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; close other programs, or split the image or scale it down"
    said = " ".join(str(error).split())
    shortened = said if len(said) <= 200 else said[:197] + "..."
    return f"unexpected {type(error).__name__}" + (f" ({shortened})" if shortened else "") + f"; {REPORT}"


def counted(count: int, thing: str) -> str:
    """A number with its noun: 1 image, 2 images."""
    return f"{count} {thing}" + ("" if count == 1 else "s")


KINDS = {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "nifti": "NIfTI", "dicom": "DICOM"}


def described(image: MedicalImage, frame: int | None = None) -> str:
    """An image in a line: size, colour, kind of file, and how many frames it has or which one is meant."""
    height, width = image.pixels.shape[1:3] if image.frames else image.pixels.shape[:2]
    parts = [f"{width} x {height} pixels", "grey" if image.channels == 1 else "colour", KINDS[image.kind]]
    if image.frames:
        count = counted(len(image.pixels), "frame")
        parts.append(count if frame is None else f"frame {frame + 1} of {count.split()[0]}")
    return ", ".join(parts)
