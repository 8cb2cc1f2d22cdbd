"""Which DICOM objects are images that can be enhanced, and what is said of the others.

Everything here looks at the data set alone: nothing is decoded yet. No message repeats text from the file, which could
be a patient's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VM
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
    RLELossless,
)

from lowlight.errors import InputError, NotAnImageError
from lowlight.imaging.dicom_codestream import frame_header, rle_fault
from lowlight.imaging.limits import Limits, way_out

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"
_NOT_SUPPORTED = ("HSV", "ARGB", "CMYK", "YBR_PARTIAL_422", "XYB")

_AGAIN = "export it again from where it came"
_OTHER = "name image files"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# Objects with pixel data that are not looked at as images: segmentations, dose, parametric maps.
_NOT_SHOWN = ("SEG", "RTDOSE")
_NOT_SHOWN_CLASSES = tuple(_STORAGE + number for number in ("66.4", "66.7", "66.8", "30", "481.2"))
_MEASURING = {"CT": "CT", "MR": "MR", "PT": "PET", "NM": "nuclear medicine"}
_MEASURING_CLASSES = {
    **dict.fromkeys(("2", "2.1", "2.2"), "CT"),
    **dict.fromkeys(("4", "4.1", "4.3", "4.4"), "MR"),
    **dict.fromkeys(("128", "128.1", "130"), "PT"),
    "20": "NM",
}
# Components with leading zeros are against the standard and met all the same; they do no harm.
_UID_FORM = re.compile(r"[0-9]+(\.[0-9]+)*")
_COUNTS = {
    "NumberOfFrames": "Number of Frames",
    "Rows": "Rows",
    "Columns": "Columns",
    "SamplesPerPixel": "Samples per Pixel",
    "BitsAllocated": "Bits Allocated",
    "BitsStored": "Bits Stored",
    "PixelRepresentation": "Pixel Representation",
}
_NEEDED = ("Rows", "Columns", "BitsAllocated")


def class_name(dataset: Dataset) -> str:
    """The name that the standard gives its SOP Class."""
    uid = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    if not uid:
        return "no SOP class"
    name = UID(str(uid)).name
    return name if name != str(uid) else "a SOP class that is not known here"


def check_is_image(path: Path, dataset: Dataset) -> None:
    """Tell images from other objects, damaged ones and unsupported ones.

    Raises:
        NotAnImageError: a valid object that holds no picture to look at.
        InputError: a number that describes the pixels is none, a UID is none, pixels are missing from an image, or
            they are of a kind that is not supported.
    """
    _check_counts(path, dataset)
    _check_uids(path, dataset)
    if not isinstance(dataset.get("Modality") or "", str):
        raise InputError(path, "is damaged: it names several modalities", _AGAIN)
    name = class_name(dataset)
    if str(dataset.get("SOPClassUID", "")) in _NOT_SHOWN_CLASSES or dataset.get("Modality") in _NOT_SHOWN:
        raise NotAnImageError(path, f"is a DICOM object that is not meant to be looked at ({name})", _OTHER)
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise InputError(path, f"holds floating-point pixels ({name})", "convert it to integers with a rescale")
    if "PixelData" not in dataset:
        if "Image Storage" in name:
            raise InputError(path, f"is damaged or incomplete: it has no pixel data ({name})", _AGAIN)
        raise NotAnImageError(path, f"is a DICOM object without an image ({name})", _OTHER)
    missing = [_COUNTS[keyword] for keyword in _NEEDED if dataset.get(keyword) is None]
    if missing:
        raise InputError(path, f"is damaged: it has pixel data but no {', '.join(missing)} ({name})", "export it again")
    if not (dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")):
        raise InputError(path, "is damaged: it does not say of which SOP Class it is", _AGAIN)
    _check_kind_of_pixels(path, dataset)


def check_modality(path: Path, dataset: Dataset) -> None:
    """Refuse images whose values measure something: a tone curve would make the numbers wrong.

    Raises:
        InputError: the modality, or the SOP Class, is that of CT, MR, PET or nuclear medicine.
    """
    modality = str(dataset.get("Modality") or "")
    if modality not in _MEASURING:
        modality = _MEASURING_CLASSES.get(str(dataset.get("SOPClassUID", "")).removeprefix(_STORAGE), "")
    if modality:
        raise InputError(
            path,
            f'is a {_MEASURING[modality]} image: its values are measured, and "too dark" has no meaning for them',
            "set its window instead, or insist with --any-modality",
        )


def check_size(path: Path, dataset: Dataset, limits: Limits) -> int:
    """Refuse, before any pixel is decoded, a declared size that is empty or over a limit; returns the frame count."""
    height, width, count = int(dataset.Rows), int(dataset.Columns), frame_count(dataset)
    if height < 1 or width < 1:
        raise InputError(path, f"declares an empty image ({width} x {height})", "export it again")
    if count < 1:
        raise InputError(path, f"declares {count} frames", "export it again")
    if count > limits.frames:
        raise InputError(path, f"declares {count} frames, over the limit of {limits.frames}", way_out("frames"))
    if height * width > limits.pixels:
        fault = f"declares {width} x {height} pixels, over the limit of {limits.pixels / 1e6:g} million"
        raise InputError(path, fault, f"crop it or scale it down; {way_out('pixels')}")
    if height * width * count > limits.total_pixels:
        declared = f"declares {count} frames of {width} x {height} pixels"
        fault = f"{declared}, over the limit of {limits.total_pixels / 1e6:g} million"
        raise InputError(path, fault, f"split it into shorter files; {way_out('total_pixels')}")
    return count


def check_encoding(path: Path, dataset: Dataset) -> None:
    """Refuse pixels for which there is no decoder, or whose encoding contradicts what the data set declares."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in NATIVE and dataset["PixelData"].is_undefined_length is False:
        _check_native_length(path, dataset)
        return
    if syntax in NATIVE:
        # Frames in fragments under the name of an uncompressed syntax: what they say themselves has to do.
        return
    first = next(iter(_frames(path, dataset)), b"")
    _check_decoder(path, dataset, syntax, first)
    pixels = int(dataset.Rows) * int(dataset.Columns)
    for number, frame in enumerate(_frames(path, dataset), start=1):
        if syntax == RLELossless:
            planes = int(dataset.get("SamplesPerPixel", 1)) * int(dataset.BitsAllocated) // 8
            fault = rle_fault(frame, pixels, planes)
            if fault is not None:
                raise InputError(path, f"is damaged: frame {number}: {fault}", _AGAIN)
            continue
        header = frame_header(frame)
        if header is not None and (header.width, header.height) != (dataset.Columns, dataset.Rows):
            declared = f"declares {dataset.Columns} x {dataset.Rows} pixels"
            fault = f"{declared}, but its compressed frame {number} says {header.width} x {header.height}"
            raise InputError(path, fault, _AGAIN)


def frame_count(dataset: Dataset) -> int:
    """Number of Frames; 1 where it is not stated."""
    stated = dataset.get("NumberOfFrames")
    return 1 if stated is None or stated == "" else int(stated)


def _check_counts(path: Path, dataset: Dataset) -> None:
    for keyword, name in _COUNTS.items():
        try:
            value = dataset.get(keyword)
            if value is not None and value != "":
                int(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(path, f"is damaged: its {name} is not a whole number", _AGAIN) from None


def _check_uids(path: Path, dataset: Dataset) -> None:
    """UIDs name files and tie images together: what is no UID must not pass for one (PS3.5 9.1)."""
    for element in _uids(dataset):
        values = [element.value] if isinstance(element.value, str) else list(element.value or [])
        name = element.keyword or str(element.tag)
        if any(value and (len(value) > 64 or not _UID_FORM.fullmatch(value)) for value in values):
            raise InputError(path, f"is damaged: its {name} is no valid UID", _AGAIN)
        if len(values) > 1 and dictionary_has_tag(element.tag) and dictionary_VM(element.tag) == "1":
            raise InputError(path, f"is damaged: its {name} has several values", _AGAIN)


def _uids(dataset: Dataset) -> Iterator[Any]:
    for holder in (dataset.file_meta, dataset):
        yield from (element for element in holder if element.VR == "UI" and not element.tag.is_private)


def _check_kind_of_pixels(path: Path, dataset: Dataset) -> None:
    allocated, stated = int(dataset.BitsAllocated), dataset.get("BitsStored")
    stored = allocated if stated is None or stated == "" else int(stated)
    if allocated not in (1, 8, 16):
        raise InputError(path, f"stores {allocated} bits a pixel", "convert it to 8 or 16 bits")
    if not 1 <= stored <= allocated:
        raise InputError(path, f"is damaged: it stores {stored} bits in {allocated}", _AGAIN)
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if photometric not in (*GREY, *COLOUR, PALETTE):
        known = photometric in _NOT_SUPPORTED
        fault = (
            f"has the photometric interpretation {photometric}"
            if known
            else "has an unknown photometric interpretation"
        )
        raise InputError(path, fault, "convert it to grey or RGB")
    samples = int(dataset.get("SamplesPerPixel", 1))
    expected = 3 if photometric in COLOUR else 1
    if samples != expected:
        fault = f"is damaged: {photometric} has {expected} samples a pixel, it declares {samples}"
        raise InputError(path, fault, _AGAIN)
    if allocated == 1 and expected == 3:
        raise InputError(path, "stores 1 bit a colour", "convert it to 8 bits")


def _check_native_length(path: Path, dataset: Dataset) -> None:
    values = int(dataset.Rows) * int(dataset.Columns) * frame_count(dataset) * int(dataset.get("SamplesPerPixel", 1))
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        values = values // 3 * 2
    expected = (values * int(dataset.BitsAllocated) + 7) // 8
    actual = len(dataset.PixelData)
    if actual < expected:
        fault = f"is damaged or incomplete: it declares {expected} bytes of pixels and holds {actual}"
        raise InputError(path, fault, _AGAIN)


def _frames(path: Path, dataset: Dataset) -> Iterator[bytes]:
    """The encoded frames, as many as declared."""
    count = frame_count(dataset)
    offsets = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    extended = (offsets[0], offsets[1]) if offsets[0] and offsets[1] else None
    number = 0
    try:
        for frame in islice(
            generate_frames(dataset.PixelData, number_of_frames=count, extended_offsets=extended), count
        ):
            number += 1
            yield frame
    except GeneratorExit:
        raise
    except Exception:
        raise InputError(path, "is damaged: its compressed frames cannot be told apart", _AGAIN) from None
    if number < count:
        raise InputError(path, f"is damaged or incomplete: it declares {count} frames and holds {number}", _AGAIN)


def _check_decoder(path: Path, dataset: Dataset, syntax: UID, frame: bytes) -> None:
    known = UID(syntax).name
    name = known.partition(" (")[0] if known != str(syntax) else "in a way that is not known here"
    remedy = "convert it to Explicit VR Little Endian"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise InputError(
            path, f"its pixels are compressed ({name}), and no decoder for that exists here", remedy
        ) from None
    header = frame_header(frame)
    bits = header.precision if header is not None else int(dataset.get("BitsStored") or dataset.BitsAllocated)
    if syntax == JPEGExtended12Bit and bits > 8 and "pylibjpeg" not in decoder.available_plugins:
        fault = f"its pixels are compressed as {bits}-bit {name}, for which the decoder pylibjpeg-libjpeg is missing"
        raise InputError(path, fault, f"install it (its licence is the GPL), or {remedy}")
    if not decoder.is_available:
        fault = f"its pixels are compressed ({name}), and no decoder for that is installed"
        raise InputError(path, fault, remedy)
