"""From a DICOM file to its data set and stored values, with every check on the way.

Nothing here is called by the process that the user started: `lowlight.imaging.isolation` has it done in another one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from lowlight.errors import InputError, LowLightError
from lowlight.imaging import dicom_checks as checks
from lowlight.imaging.dicom_contents import Decoded, Described, Outline
from lowlight.imaging.dicom_overlays import lie_in_pixels, separate_overlays
from lowlight.imaging.dicom_structure import check_structure
from lowlight.imaging.dicom_text import keep_as_stored
from lowlight.imaging.jpeg import tables_of
from lowlight.imaging.limits import Limits, way_out

_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit)
_DELIMITERS = 0xFFFE
_PIXELS = 0x7FE00010
_WORDS = {"OW": 2, "OL": 4, "OF": 4, "OV": 8, "OD": 8}  # bytes
_AGAIN = "export it again from where it came"
# Encoded frame, decoded frame, and the copy that puts colours in order live at the same time.
_COPIES = 3
_TIMED = ("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate", "ActualFrameDuration")


def decode(path: Path, limits: Limits, any_modality: bool) -> Decoded:
    """Check and decode one file.

    Raises:
        NotAnImageError, InputError: see `lowlight.imaging.dicom_checks` and `lowlight.imaging.dicom_structure`.
    """
    dataset = _parsed(path, limits, pixels=True)
    with _damage_told(path):
        keep_as_stored(dataset)
    checks.check_is_image(path, dataset)
    count = checks.check_size(path, dataset, limits)
    _check_memory(path, dataset, count, limits)
    checks.check_encoding(path, dataset)
    if not any_modality:
        checks.check_modality(path, dataset)
    _complete(dataset)
    _to_little_endian(dataset)
    quantisation, encoded = _quantisation(dataset, count), len(dataset.PixelData)
    stored = _decoded(path, dataset)
    if dataset.PhotometricInterpretation == checks.PALETTE:
        stored = _eight_bit(apply_color_lut(stored, dataset))
    else:
        separate_overlays(dataset, stored)
    expected = (*((count,) if count > 1 else ()), int(dataset.Rows), int(dataset.Columns))
    if stored.shape[: len(expected)] != expected or stored.ndim > len(expected) + 1:
        raise InputError(path, "is damaged: its pixels decode to another size than it declares", _AGAIN)
    del dataset.PixelData
    _settle(path, dataset)
    return Decoded(dataset, stored, quantisation, encoded)


def describe(path: Path, limits: Limits) -> Described:
    """Read where an image belongs; pixels stay on the disk.

    Raises:
        InputError: its structure is damaged, or over a limit.
    """
    dataset = _parsed(path, limits, pixels=False)
    directory = dataset.get("DirectoryRecordSequence")
    referenced = None
    if directory is not None:
        names = (record.get("ReferencedFileID") for record in directory)
        referenced = tuple((name,) if isinstance(name, str) else tuple(map(str, name)) for name in names if name)
    orientation = tuple(round(value, 4) for value in _coordinates(dataset, "ImageOrientationPatient", 6))
    frame_of_reference = str(dataset.get("FrameOfReferenceUID") or "")
    return Described(
        series=str(dataset.get("SeriesInstanceUID") or ""),
        instance=str(dataset.get("SOPInstanceUID") or ""),
        number=_whole_number(dataset, "InstanceNumber"),
        position=_along_normal(dataset, orientation),
        form=tuple(
            str(dataset.get(keyword, ""))
            for keyword in (
                "SOPClassUID",
                "Modality",
                "Rows",
                "Columns",
                "PhotometricInterpretation",
                "BitsStored",
                "AcquisitionNumber",
            )
        ),
        timed=any(dataset.get(keyword) for keyword in (*_TIMED, "AcquisitionNumber")),
        plane=(frame_of_reference, orientation) if frame_of_reference and orientation else None,
        frames=checks.frame_count(dataset),
        referenced=referenced,
    )


def outline(path: Path, limits: Limits) -> Outline:
    """Read what tells whether an instance is wanted; pixels stay on the disk.

    Raises:
        InputError: its structure is damaged, or over a limit.
    """
    dataset = _parsed(path, limits, pixels=False)
    keywords = ("Modality", "StationName", "BodyPartExamined", "SeriesDescription", "StudyDescription")
    stated = str(dataset.get("ImagesInAcquisition") or "")
    equipment = dataset.get("ContributingEquipmentSequence") or ()
    return Outline(
        instance=str(dataset.get("SOPInstanceUID") or ""),
        study=str(dataset.get("StudyInstanceUID") or ""),
        series=str(dataset.get("SeriesInstanceUID") or ""),
        attributes={keyword: str(dataset.get(keyword) or "") for keyword in keywords},
        expected=int(stated) if stated.isdecimal() and int(stated) else None,
        equipment=tuple(str(item.get("ManufacturerModelName") or "") for item in equipment),
    )


def _whole_number(dataset: Dataset, keyword: str) -> int:
    """A number that decides about an order at most; 0 where it is missing or makes no sense."""
    try:
        return int(dataset.get(keyword) or 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def _coordinates(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """So many finite numbers; none where they are missing or make no sense."""
    try:
        values = tuple(float(value) for value in dataset.get(keyword) or ())
    except (TypeError, ValueError):
        return ()
    return values if len(values) == count and np.isfinite(values).all() else ()


def _along_normal(dataset: Dataset, orientation: tuple[float, ...]) -> float | None:
    position = _coordinates(dataset, "ImagePositionPatient", 3)
    if not position or not orientation:
        return None
    return float(np.dot(np.cross(orientation[:3], orientation[3:]), position))


def _parsed(path: Path, limits: Limits, pixels: bool) -> Dataset:
    """The data set of a file whose structure has been checked."""
    check_structure(path, limits)
    dataset = pydicom.dcmread(path, stop_before_pixels=not pixels)
    stray = [tag for tag in list(dataset.keys()) if tag.group == _DELIMITERS]
    for tag in stray:
        # Items without their sequence, which some devices leave behind.
        del dataset[tag]
    return dataset


def _check_memory(path: Path, dataset: Dataset, count: int, limits: Limits) -> None:
    values = int(dataset.Rows) * int(dataset.Columns) * count * int(dataset.get("SamplesPerPixel", 1))
    needed = _COPIES * values * max(int(dataset.BitsAllocated) // 8, 1)
    if needed > limits.memory:
        fault = f"needs about {needed / 1e6:.0f} MB to be decoded, over the limit of {limits.memory / 1e6:g} MB"
        raise InputError(path, fault, way_out("memory"))


def _decoded(path: Path, dataset: Dataset) -> NDArray[Any]:
    """Stored values, colours as RGB."""
    try:
        return pixel_array(dataset, correct_unused_bits=not lie_in_pixels(dataset))
    except MemoryError:
        raise
    except Exception:
        # What decoders say quotes values and knows no file; which of them met what is no help to the user either.
        name = dataset.file_meta.TransferSyntaxUID.name.partition(" (")[0]
        raise InputError(path, f"is damaged: its pixels, stored as {name}, cannot be decoded", _AGAIN) from None


def _complete(dataset: Dataset) -> None:
    """Add what can be known although it is not stated."""
    if not dataset.get("SOPClassUID"):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    if dataset.get("BitsStored") is None:
        dataset.BitsStored = dataset.BitsAllocated


def _to_little_endian(dataset: Dataset) -> None:
    """Turn words of a big-endian file round: parsers leave them as they lie in the file, and so do writers."""
    if dataset.original_encoding[1] is not False:
        return
    for element in dataset.iterall():
        width = _WORDS.get(element.VR)
        if width is not None and element.tag != _PIXELS and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, f">u{width}").astype(f"<u{width}").tobytes()


def _settle(path: Path, dataset: Dataset) -> None:
    """Read every value once, here, where damage does no harm; what is private goes, because no result keeps it."""
    dataset.remove_private_tags()
    with _damage_told(path):
        for element in dataset.iterall():
            if element.VR in ("DS", "IS") and not str(element.value).isascii():
                raise ValueError("no number is written so")


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (MemoryError, LowLightError):
        raise
    except Exception:
        raise InputError(path, "is damaged: an element holds a value that its type does not allow", _AGAIN) from None


def _quantisation(dataset: Dataset, count: int) -> dict[int, list[int]] | None:
    """The JPEG tables of the first frame; None for other transfer syntaxes, and for what Pillow cannot make out."""
    if dataset.file_meta.TransferSyntaxUID not in _JPEG:
        return None
    try:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=count)
        with Image.open(io.BytesIO(frame), formats=("JPEG",)) as picture:
            return tables_of(picture)
    except Exception:
        # 12-bit JPEG, for one. The tables only help to judge the pixels.
        return None


def _eight_bit(colours: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours of a palette as a screen shows them; some writers fill 16-bit entries with 8-bit values."""
    if colours.dtype.itemsize > 1 and colours.max(initial=0) > 255:
        colours = colours >> 8
    return colours.astype(np.uint8)[..., :3]
