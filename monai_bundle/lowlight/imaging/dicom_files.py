"""DICOM data sets as files: written, read back and compared before anybody sees them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from pydicom.valuerep import PersonName

from lowlight.errors import InputError, OutputError
from lowlight.imaging import isolation
from lowlight.imaging.dicom_text import AsStored
from lowlight.imaging.limits import Limits

COMPRESSIONS = {
    "jpeg2000": (JPEG2000Lossless, "pylibjpeg"),
    "jpegls": (JPEGLSLossless, "pyjpegls"),
    "rle": (RLELossless, "pydicom"),
}
"""Lossless transfer syntaxes by the names that users give them, and who encodes them: others may abort the process."""

# What decoding, and the process around it, hold at most of an image's pixels.
_COPIES = 4
# Below, there is nothing to gain, and encoders fail: that of JPEG 2000 halves a frame five times.
_SMALLEST_COMPRESSED = 32


_PIXELS = Tag("PixelData")
# What has just been written here needs no protection from itself: it asks for as much as its source did.
_TRUSTED = Limits(
    memory=1 << 50, seconds=3600, pixels=1 << 40, total_pixels=1 << 40, frames=1 << 31, nesting=1000, elements=1 << 31
)

# Preamble, "DICM" and the element that says how long the file meta information is; the one of the transfer syntax.
_META_START = 144
_META_LENGTH = b"\x02\0\0\0UL\x04\0"
_LONGEST_META = 1_000_000
_SYNTAX = b"\x02\0\x10\0UI"


def write_checked(
    dataset: Dataset, stored: NDArray[Any], path: Path, temporary: Path, compress: str | None = None
) -> None:
    """Write a Part 10 file, Explicit VR Little Endian or compressed without loss, and read it back.

    Args:
        dataset: with pixel data in native encoding.
        stored: the same pixels as an array.
        path: named in errors.
        temporary: where to; overwritten.
        compress: one of `COMPRESSIONS`; None: not compressed. Pixels of one bit never are, nor frames of less
            than 32 pixels a side.

    Raises:
        OutputError: what is read back differs from what was written, or cannot be read back.
    """
    compressed = compress is not None and _compress(dataset, compress)
    pydicom.dcmwrite(temporary, dataset, implicit_vr=False, little_endian=True, enforce_file_format=True)
    again = pydicom.dcmread(temporary)
    try:
        pixels = isolation.decode(temporary, _TRUSTED, any_modality=True).stored if compressed else again.pixel_array
    except InputError as error:
        raise OutputError(path, f"cannot be read back ({error.fault})", "report this with the input") from None
    if not _same(dataset, again) or not np.array_equal(pixels, stored):
        raise OutputError(path, "reads back differently from what was written", "report this with the input")


def is_same_object(file: Path, other: Path, limits: Limits) -> bool:
    """Whether two files hold the same object: the same elements with the same values, and the same pixels.

    Args:
        file: one that this package wrote.
        other: another, which may come from anywhere.
        limits: under which the source of the file was read.

    Raises:
        InputError: the other is damaged, or asks for more than the limits and the size of the file allow.
    """
    if _content(file) == _content(other):
        return True
    one = isolation.decode(file, _TRUSTED, any_modality=True)
    # A result can be larger than its source: a palette becomes three colours, elements are added.
    memory = max(limits.memory, _COPIES * one.stored.nbytes)
    elements = max(limits.elements, 2 * sum(1 for _ in one.dataset.iterall()))
    two = isolation.decode(other, replace(limits, memory=memory, elements=elements), any_modality=True)
    return _same(one.dataset, two.dataset) and np.array_equal(one.stored, two.stored)


def _content(file: Path) -> tuple[bytes, bytes]:
    """Transfer syntax and digest of all behind the file meta information (PS3.10 7.1), which archives write anew."""
    with file.open("rb") as stream:
        head = stream.read(_META_START)
        length = int.from_bytes(head[-4:], "little") if head[-12:-4] == _META_LENGTH else 0
        meta = stream.read(min(length, _LONGEST_META))
        syntax = meta.partition(_SYNTAX)[2]
        size = int.from_bytes(syntax[:2], "little")
        return syntax[2 : 2 + size].rstrip(b"\0"), hashlib.file_digest(stream, "sha256").digest()


def _compress(dataset: Dataset, how: str) -> bool:
    """Compress the pixels, unless they are of a form that this encoder does not take."""
    syntax, encoder = COMPRESSIONS[how]
    if min(int(dataset.Rows), int(dataset.Columns)) < _SMALLEST_COMPRESSED or int(dataset.BitsAllocated) == 1:
        return False
    if syntax == JPEG2000Lossless and dataset.PhotometricInterpretation == "RGB":
        # Its reversible colour transform: smaller, and the one that ultrasound has to be stored with (PS3.3 C.8.5.6).
        dataset.PhotometricInterpretation = "YBR_RCT"
    dataset.compress(syntax, encoding_plugin=encoder, generate_instance_uid=False)
    return True


def _same(written: Dataset, again: Dataset) -> bool:
    """Whether two data sets hold the same elements with the same values, in sequences too, but for the pixels."""
    written_tags, again_tags = (set(dataset.keys()) - {_PIXELS} for dataset in (written, again))
    return written_tags == again_tags and all(_same_element(tag, written, again) for tag in written_tags)


def _same_element(tag: BaseTag, written: Dataset, again: Dataset) -> bool:
    stored, value = again.get_item(tag), written[tag].value
    if isinstance(value, AsStored) and isinstance(stored, RawDataElement):
        return value == stored.value
    return _equal(value, again[tag].value)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Sequence) or isinstance(other, Sequence):
        return len(one or []) == len(other or []) and all(map(_same, one or [], other or []))
    return _plain(one) == _plain(other)


def _plain(value: Any) -> Any:
    """A value without what encoding adds: padding to even length, and the different ways to say nothing."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode("latin-1")
    if isinstance(value, str):
        return value.rstrip(" \0")
    if isinstance(value, float) and math.isnan(value):
        # Which says in FL and FD that nothing is known, and equals nothing, itself included.
        return "nan"
    if isinstance(value, (MultiValue, list, tuple)):
        values = [_plain(part) for part in value]
        return values[0] if len(values) == 1 else values or ""
    return str(value).rstrip(" ") if isinstance(value, PersonName) else value
