"""Single DICOM files: single and multi-frame, grey and colour, as a viewer would show them."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
)

from lowlight.errors import InputError, NotAnImageError
from lowlight.imaging.dicom_derived import derived, write_dataset
from lowlight.imaging.dicom_display import DisplayMapping, StoredRange, Window, display_mapping
from lowlight.imaging.image import MedicalImage
from lowlight.imaging.jpeg import tables_of
from lowlight.imaging.libraries import one_line
from lowlight.imaging.values import check_size, to_stored

logger = logging.getLogger(__name__)

_MODALITIES = {
    **dict.fromkeys(("CR", "DX", "MG", "RG", "XA", "RF", "PX", "IO"), "xray"),
    **dict.fromkeys(("US", "IVUS"), "ultrasound"),
    "ES": "endoscopy",
    "OP": "fundus",
    "DMS": "dermatology",
}
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit)
_NEEDED = {"Rows": "Rows", "Columns": "Columns", "BitsAllocated": "Bits Allocated"}
_NOT_SHOWN = ("SEG", "RTDOSE")
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True, eq=False)
class DicomRestore:
    """What a DICOM file written from this image gets besides its pixels.

    Attributes:
        dataset: the source without its pixel data.
        bounds: what the stored bits can hold.
        stored_type: dtype of the stored pixels.
        mappings: per frame of a grey image, how stored values are shown; empty for colour.
        window: the window that shows the same in a viewer; None for colour, where a VOI LUT does, and where frames
            have a window each.
        padding: the grey pixels that hold no image (Pixel Padding Value), of the shape of the pixels, and what is
            stored there; None if there are none.
    """

    dataset: Dataset
    bounds: StoredRange
    stored_type: np.dtype[Any]
    mappings: tuple[DisplayMapping, ...]
    window: Window | None
    padding: tuple[NDArray[np.bool_], NDArray[Any]] | None


def load(path: Path, declared: tuple[float, float] | None) -> MedicalImage:
    """Read a DICOM file into display space; see `lowlight.imaging.read` and `lowlight.imaging.dicom_display`.

    Args:
        path: a Part 10 file, or a bare data set.
        declared: (black, white) in rescaled units, shown instead of the first window; grey images only.
    """
    dataset = pydicom.dcmread(path, force=True)
    _check_is_image(path, dataset)
    count = int(dataset.get("NumberOfFrames") or 1)
    check_size(path, int(dataset.Rows), int(dataset.Columns), count)
    stored = _decoded(path, dataset)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = _eight_bit(apply_color_lut(stored, dataset))
    quantisation = _quantisation(dataset)
    del dataset.PixelData
    if dataset.PhotometricInterpretation in _GREY:
        pixels, restore = _grey(path, dataset, stored, count, declared)
    else:
        if declared is not None:
            raise InputError(path, "is a colour image, whose black and white are fixed", "state no value range for it")
        pixels, restore = _colour(dataset, stored)
    return MedicalImage(
        pixels=pixels,
        value_range=(0.0, 1.0),
        frames=count > 1,
        modality=_MODALITIES.get(str(dataset.get("Modality", ""))),
        alpha=None,
        path=path,
        kind="dicom",
        restore=restore,
        quantisation=quantisation,
    )


def save(source: MedicalImage, pixels: NDArray[Any], path: Path, temporary: Path, derivation: str) -> None:
    """Write a derived DICOM object; see `lowlight.imaging.dicom_derived`.

    Args:
        source: as `load` returned it.
        pixels: in display space, of the shape of ``source.pixels``.
        path: named in errors.
        temporary: where to; overwritten.
        derivation: what was done.
    """
    restore: DicomRestore = source.restore
    if restore.mappings:
        frames = to_stored(path, pixels, np.dtype(np.float32)).reshape(-1, *pixels.shape[-2:])
        mappings = restore.mappings * (len(frames) // len(restore.mappings))
        stored = np.stack([mapping.to_stored(frame) for mapping, frame in zip(mappings, frames, strict=True)])
        stored = stored.reshape(pixels.shape).astype(restore.stored_type)
    else:
        stored = to_stored(path, pixels * np.float32(restore.bounds.high), restore.stored_type)
        stored = np.minimum(stored, restore.stored_type.type(restore.bounds.high))
    if restore.padding is not None:
        where, values = restore.padding
        stored[where] = values
    write_dataset(derived(restore.dataset, stored, restore.window, derivation), temporary)


def _check_is_image(path: Path, dataset: Dataset) -> None:
    """Raises NotAnImageError for objects that hold no picture, InputError for pixels that are not supported."""
    name = _class_name(dataset)
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise InputError(path, f"holds floating-point pixels ({name})", "convert it to integers with a rescale")
    if "PixelData" not in dataset:
        raise NotAnImageError(path, f"is a DICOM object without an image ({name})", "name image files")
    missing = [name for keyword, name in _NEEDED.items() if dataset.get(keyword) is None]
    if missing:
        raise InputError(path, f"is damaged: it has pixel data but no {', '.join(missing)} ({name})", "export it again")
    if dataset.get("Modality") in _NOT_SHOWN:
        raise NotAnImageError(path, f"is a DICOM object that is not meant to be looked at ({name})", "name image files")
    if int(dataset.BitsAllocated) not in (8, 16):
        raise InputError(path, f"stores {dataset.BitsAllocated} bits a pixel", "convert it to 8 or 16 bits")
    photometric = dataset.get("PhotometricInterpretation")
    if photometric not in (*_GREY, *_COLOUR, "PALETTE COLOR"):
        raise InputError(path, f"has the photometric interpretation {photometric}", "convert it to grey or RGB")


def _decoded(path: Path, dataset: Dataset) -> NDArray[Any]:
    """Stored values, colours as RGB."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    try:
        return pixel_array(dataset)
    except Exception as error:
        if syntax is None or syntax in _NATIVE:
            raise
        logger.debug("decoding %s failed", path, exc_info=True)
        raise InputError(
            path,
            f"its pixels, stored as {syntax.name}, cannot be decoded ({_decoding_fault(dataset, syntax, error)})",
            "convert it to Explicit VR Little Endian",
        ) from error


def _quantisation(dataset: Dataset) -> dict[int, list[int]] | None:
    """The JPEG tables of the first frame; None for other transfer syntaxes, and for what Pillow cannot make out."""
    if dataset.file_meta.get("TransferSyntaxUID") not in _JPEG:
        return None
    try:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
        with Image.open(io.BytesIO(frame), formats=("JPEG",)) as picture:
            return tables_of(picture)
    except Exception:
        # 12-bit JPEG, for one. The pixels have been decoded: the tables only help to judge them.
        logger.debug("no quantisation tables", exc_info=True)
        return None


def _decoding_fault(dataset: Dataset, syntax: UID, error: Exception) -> str:
    """pydicom quotes its decoders line by line: some do not know this kind of pixels, others met damage in them."""
    faults = str(error).splitlines()[1:]
    if faults and all("does not support" in fault for fault in faults):
        short = syntax.name.partition(" (")[0]
        return f"{dataset.get('BitsStored')}-bit {short} is not supported by the installed decoders"
    return one_line(faults[-1] if faults else error)


def _class_name(dataset: Dataset) -> str:
    uid = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    return str(getattr(uid, "name", uid)) if uid else "no SOP class"


def _grey(
    path: Path, dataset: Dataset, stored: NDArray[Any], count: int, declared: tuple[float, float] | None
) -> tuple[NDArray[np.float32], DicomRestore]:
    if declared is not None and declared[0] > declared[1]:
        raise InputError(path, "black must be below white for DICOM", "exchange the two")
    bounds = StoredRange.of(dataset)
    stored = _without_unused_bits(stored, bounds)
    varies = count > 1 and "PerFrameFunctionalGroupsSequence" in dataset
    shown = [display_mapping(dataset, frame, declared) for frame in range(count if varies else 1)]
    mappings = tuple(mapping for mapping, _ in shown)
    if varies:
        pixels = np.stack([mapping.to_display(frame) for mapping, frame in zip(mappings, stored, strict=True)])
    else:
        pixels = mappings[0].to_display(stored)
    windows = [window for _, window in shown]
    window = windows[0] if all(other == windows[0] for other in windows) else None
    return pixels, DicomRestore(dataset, bounds, stored.dtype, mappings, window, _padding(dataset, stored))


def _colour(dataset: Dataset, stored: NDArray[Any]) -> tuple[NDArray[np.float32], DicomRestore]:
    bits = 8 if stored.dtype.itemsize == 1 else int(dataset.BitsStored)
    bounds = StoredRange(0, (1 << bits) - 1)
    pixels = stored.astype(np.float32) / np.float32(bounds.high)
    return pixels, DicomRestore(dataset, bounds, stored.dtype, (), None, None)


def _without_unused_bits(stored: NDArray[Any], bounds: StoredRange) -> NDArray[Any]:
    """Bits above those that are stored may hold an overlay (retired, still met) or nothing in particular."""
    if stored.size and bounds.low <= int(stored.min()) and int(stored.max()) <= bounds.high:
        return stored
    sign = -bounds.low
    masked = stored.astype(np.int64) & (bounds.high - bounds.low)
    return ((masked ^ sign) - sign).astype(stored.dtype)


def _padding(dataset: Dataset, stored: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[Any]] | None:
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None else limit)))
    where = (stored >= low) & (stored <= high)
    return (where, stored[where]) if where.any() else None


def _eight_bit(colours: NDArray[Any]) -> NDArray[np.uint8]:
    return (colours >> 8 if colours.dtype.itemsize > 1 else colours).astype(np.uint8)[..., :3]
