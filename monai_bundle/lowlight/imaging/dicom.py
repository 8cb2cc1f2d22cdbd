"""Single DICOM files: single and multi-frame, grey and colour, as a viewer would show them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from lowlight.errors import InputError
from lowlight.imaging import isolation
from lowlight.imaging.dicom_checks import GREY, frame_count
from lowlight.imaging.dicom_derived import Shown, derived
from lowlight.imaging.dicom_display import (
    DisplayMapping,
    LinearMapping,
    MissingWindowError,
    StoredRange,
    Window,
    display_mapping,
    frame_rescale,
)
from lowlight.imaging.dicom_files import write_checked
from lowlight.imaging.image import MedicalImage
from lowlight.imaging.limits import DicomReading
from lowlight.imaging.processing import Processing
from lowlight.imaging.values import to_stored

_MODALITIES = {
    **dict.fromkeys(("CR", "DX", "MG", "RG", "XA", "RF", "PX", "IO"), "xray"),
    **dict.fromkeys(("US", "IVUS"), "ultrasound"),
    "ES": "endoscopy",
    "OP": "fundus",
    "DMS": "dermatology",
}
# Room beyond black and white, in units of the displayed range, for what a lookup table showed as black or white.
_ROOM = 0.05


@dataclass(frozen=True, eq=False)
class DicomRestore:
    """What a DICOM file written from this image gets besides its pixels.

    Attributes:
        dataset: the source without its pixel data and private elements.
        encoded: bytes that its pixel data took in the file.
        bounds: what the stored bits can hold.
        stored_type: dtype of the stored pixels.
        mappings: per frame of a grey image, how stored values are shown; empty for colour. One for all frames, or one
            for each.
        windows: for each mapping the window that shows the same in a viewer; None where a VOI LUT does.
        choice: which of the source's windows and VOI LUTs that was, from 1.
        padding: the grey pixels that hold no image (Pixel Padding Value), of the shape of the pixels, and what is
            stored there; None if there are none.
    """

    dataset: Dataset
    encoded: int
    bounds: StoredRange
    stored_type: np.dtype[Any]
    mappings: tuple[DisplayMapping, ...]
    windows: tuple[Window | None, ...]
    choice: int
    padding: tuple[NDArray[np.bool_], NDArray[Any]] | None

    @property
    def window(self) -> Window | None:
        """The one window of all frames; None for colour, where a VOI LUT shows the image, and where windows differ."""
        first = self.windows[0] if self.windows else None
        return first if all(window == first for window in self.windows) else None


def load(path: Path, declared: tuple[float, float] | None, options: DicomReading) -> MedicalImage:
    """Read a DICOM file into display space; see `lowlight.imaging.read` and `lowlight.imaging.dicom_display`.

    Args:
        path: a Part 10 file.
        declared: (black, white) in rescaled units, shown instead of a window of the file; grey images only.
        options: which window, which modalities, and what the file may cost.
    """
    decoded = isolation.decode(path, options.limits, options.any_modality)
    dataset = decoded.dataset
    count = frame_count(dataset)
    if dataset.PhotometricInterpretation in GREY:
        pixels, restore = _grey(path, dataset, decoded.stored, count, declared, options.window, decoded.encoded)
    else:
        if declared is not None:
            raise InputError(path, "is a colour image, whose black and white are fixed", "state no value range for it")
        pixels, restore = _colour(dataset, decoded.stored, decoded.encoded)
    return MedicalImage(
        pixels=pixels,
        value_range=(0.0, 1.0),
        frames=count > 1,
        modality=_MODALITIES.get(str(dataset.get("Modality", ""))),
        alpha=None,
        path=path,
        kind="dicom",
        restore=restore,
        quantisation=decoded.quantisation,
    )


def save(
    source: MedicalImage,
    pixels: NDArray[Any],
    path: Path,
    temporary: Path,
    processing: Processing,
    compress: str | None = None,
) -> None:
    """Write a derived DICOM object; see `lowlight.imaging.dicom_derived`.

    Args:
        source: as `load` returned it.
        pixels: in display space, of the shape of ``source.pixels``.
        path: named in errors.
        temporary: where to; overwritten.
        processing: what was done.
        compress: jpeg2000, jpegls or rle, all lossless; None: not at all.
    """
    restore: DicomRestore = source.restore
    if restore.mappings:
        stored, shown = _stored_grey(source, to_stored(path, pixels, np.dtype(np.float32)))
    else:
        stored = to_stored(path, pixels * np.float32(restore.bounds.high), restore.stored_type)
        stored = np.minimum(stored, restore.stored_type.type(restore.bounds.high))
        shown = None
    if restore.padding is not None:
        _pad(stored, restore)
    result = derived(restore.dataset, stored, shown, processing, restore.encoded)
    write_checked(result, stored, path, temporary, compress)


def _grey(
    path: Path,
    dataset: Dataset,
    stored: NDArray[Any],
    count: int,
    declared: tuple[float, float] | None,
    choice: int,
    encoded: int,
) -> tuple[NDArray[np.float32], DicomRestore]:
    if declared is not None and declared[0] > declared[1]:
        raise InputError(path, "black must be below white for DICOM", "exchange the two")
    bounds = StoredRange.of(dataset)
    stored = _without_unused_bits(stored, bounds)
    varies = count > 1 and "PerFrameFunctionalGroupsSequence" in dataset
    try:
        shown = [display_mapping(dataset, frame, declared, choice) for frame in range(count if varies else 1)]
    except MissingWindowError as error:
        raise InputError(path, str(error), "choose another with --window, or state --value-range") from None
    except (ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError, OverflowError):
        raise InputError(
            path, "is damaged: its rescale, window or lookup table makes no sense", "state --value-range BLACK WHITE"
        ) from None
    mappings = tuple(mapping for mapping, _ in shown)
    if varies:
        pixels = np.stack([mapping.to_display(frame) for mapping, frame in zip(mappings, stored, strict=True)])
    else:
        pixels = mappings[0].to_display(stored)
    if not np.isfinite(pixels).all():
        raise InputError(path, "is damaged: its rescale or window leads to infinite values", "state --value-range")
    windows = tuple(window for _, window in shown)
    padding = _padding(path, dataset, stored)
    restore = DicomRestore(dataset, encoded, bounds, stored.dtype, mappings, windows, choice, padding)
    return pixels, restore


def _colour(dataset: Dataset, stored: NDArray[Any], encoded: int) -> tuple[NDArray[np.float32], DicomRestore]:
    bits = 8 if stored.dtype.itemsize == 1 else int(dataset.BitsStored)
    bounds = StoredRange(0, (1 << bits) - 1)
    pixels = stored.astype(np.float32) / np.float32(bounds.high)
    return pixels, DicomRestore(dataset, encoded, bounds, stored.dtype, (), (), 1, None)


def _stored_grey(source: MedicalImage, pixels: NDArray[np.float32]) -> tuple[NDArray[Any], Shown]:
    """Stored values, and how they are shown.

    One mapping serves all frames where the source has one for all.
    """
    restore: DicomRestore = source.restore
    unchanged = np.array_equal(pixels, source.pixels)
    parts = pixels if len(restore.mappings) > 1 else pixels[None]
    stored, windows, straightened = [], [], False
    for index, (part, mapping, window) in enumerate(zip(parts, restore.mappings, restore.windows, strict=True)):
        if not unchanged:
            inverted = restore.dataset.PhotometricInterpretation == "MONOCHROME1"
            fitting = _fitting(mapping, part, restore.bounds, inverted)
            if fitting is not mapping:
                straightened = True
                mapping, window = fitting, fitting.window(frame_rescale(restore.dataset, index))
            part = _kept_within(part, *fitting.ends)
        stored.append(mapping.to_stored(part))
        windows.append(window)
    content = np.stack(stored).reshape(pixels.shape).astype(restore.stored_type)
    return content, Shown(tuple(windows), restore.choice, straightened)


def _fitting(mapping: DisplayMapping, part: NDArray[np.float32], bounds: StoredRange, inverted: bool) -> LinearMapping:
    """The mapping itself, if the stored bits can hold all that is to be seen; else a line that uses all of them.

    A lookup table stretches some of the displayed range and squeezes the rest, where a result would get bands.
    """
    low, high = float(part.min()), float(part.max())
    if isinstance(mapping, LinearMapping):
        darkest, brightest = mapping.ends
        half = abs(mapping.slope) / 2
        if darkest - half <= max(low, 0.0) and min(high, 1.0) <= brightest + half:
            return mapping
    return LinearMapping.spanning(-_ROOM if low < 0 else 0.0, 1 + _ROOM if high > 1 else 1.0, bounds, inverted)


def _kept_within(part: NDArray[np.float32], darkest: float, brightest: float) -> NDArray[np.float32]:
    """Displayed values with those outside of black and white drawn towards these, as far as the stored bits reach.

    They stay in order and none meets another; what lies between black and white does not move.
    """
    low, high = float(part.min()), float(part.max())
    if low >= darkest and high <= brightest:
        return part
    kept = part.astype(np.float64)
    if high > brightest:
        kept = np.where(kept > 1, 1 + (kept - 1) * (max(brightest - 1, 0) / max(high - 1, 1e-9)), kept)
    if low < darkest:
        kept = np.where(kept < 0, kept * (max(-darkest, 0) / max(-low, 1e-9)), kept)
    return kept.astype(np.float32)


def _without_unused_bits(stored: NDArray[Any], bounds: StoredRange) -> NDArray[Any]:
    """Bits above those that are stored may hold an overlay (retired, still met) or nothing in particular."""
    if stored.size and bounds.low <= int(stored.min()) and int(stored.max()) <= bounds.high:
        return stored
    sign = -bounds.low
    masked = stored.astype(np.int64) & (bounds.high - bounds.low)
    return ((masked ^ sign) - sign).astype(stored.dtype)


def _padding(path: Path, dataset: Dataset, stored: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[Any]] | None:
    try:
        limits = _padding_range(dataset)
    except (TypeError, ValueError):
        fault = "is damaged: its Pixel Padding Value is not a whole number"
        raise InputError(path, fault, "export it again from where it came") from None
    if limits is None:
        return None
    where = (stored >= limits[0]) & (stored <= limits[1])
    return (where, stored[where]) if where.any() else None


def _padding_range(dataset: Dataset) -> tuple[int, int] | None:
    value, limit = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if value is None or value == "":
        return None
    low, high = sorted((int(value), int(value if limit is None else limit)))
    return low, high


def _pad(stored: NDArray[Any], restore: DicomRestore) -> None:
    """Put padding back, and keep image from being taken for it."""
    assert restore.padding is not None
    where, values = restore.padding
    limits = _padding_range(restore.dataset)
    assert limits is not None
    low, high = limits
    if high < restore.bounds.high or low > restore.bounds.low:
        beside = high + 1 if high < restore.bounds.high else low - 1
        stored[(stored >= low) & (stored <= high)] = beside
    stored[where] = values
