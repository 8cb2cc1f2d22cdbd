"""Telling the user of an image that comes out flat because nobody said what its black and white are.

The range of an image is never guessed from the values that happen to occur. Where nothing declares it, it is what the
integers can hold, and 12 bits in 16 use a sixteenth of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lowlight.imaging import MedicalImage

if TYPE_CHECKING:
    from lowlight.imaging.dicom import DicomRestore

LEAST_SHARE = 0.1
"""An image that spans less of its range than this is told of."""

PERCENTILES = (0.5, 99.5)
"""Between these lies what an image spans: a few dead pixels or a burnt-in label do not count."""

_ENOUGH = 2_000_000
"""More pixels than this do not make a percentile better."""

_DECLARING = frozenset({"WindowCenter", "VOILUTSequence", "ModalityLUTSequence"})


def unused_range(image: MedicalImage) -> str | None:
    """One line for an image of more than 8 bits that uses next to nothing of a range that nothing declares.

    Args:
        image: as read without a stated value range.

    Returns:
        The line, which names the file; None if the range is declared, or used.
    """
    spanned = _dicom(image) if image.kind == "dicom" else _plain(image)
    if spanned is None:
        return None
    bits, share, low, high = spanned
    if share >= LEAST_SHARE:
        return None
    used = f"only {100 * share:.0f} %" if share >= 0.01 else "less than 1 %"
    return (
        f"{image.path}: uses {used} of the range of its {bits}-bit values ({low:g} to {high:g}); "
        "if black and white are known, state them: --value-range BLACK WHITE"
    )


def _plain(image: MedicalImage) -> tuple[int, float, float, float] | None:
    """Bits, used share of the range, and the values it spans, in the units of --value-range."""
    dtype = image.pixels.dtype
    if dtype.kind not in "iu" or dtype.itemsize < 2:
        return None
    limits = np.iinfo(dtype)
    if sorted(image.value_range) != [limits.min, limits.max]:
        return None
    low, high = _span(image.pixels)
    share = (high - low) / (float(limits.max) - float(limits.min))
    slope, intercept = _nifti_rescale(image) if image.kind == "nifti" else (1.0, 0.0)
    low, high = sorted((slope * low + intercept, slope * high + intercept))
    return 8 * dtype.itemsize, share, low, high


def _dicom(image: MedicalImage) -> tuple[int, float, float, float] | None:
    restore: DicomRestore = image.restore
    bits, window = int(restore.dataset.BitsStored), restore.window
    if bits <= 8 or window is None or not restore.mappings:
        return None
    if any(element.keyword in _DECLARING for element in restore.dataset.iterall()):
        return None
    pixels = image.pixels if restore.padding is None else image.pixels[~restore.padding[0]]
    if not pixels.size:
        return None
    dark, bright = _span(pixels)
    shown = (1 - bright, 1 - dark) if restore.dataset.PhotometricInterpretation == "MONOCHROME1" else (dark, bright)
    low, high = (round(window.black + value * (window.white - window.black), 2) for value in shown)
    return bits, bright - dark, low, high


def _span(pixels: NDArray[Any]) -> tuple[float, float]:
    values = pixels.reshape(-1)
    low, high = np.percentile(values[:: 1 + values.size // _ENOUGH], PERCENTILES, method="nearest")
    return float(low), float(high)


def _nifti_rescale(image: MedicalImage) -> tuple[float, float]:
    """Slope and intercept of the file, in which a value range is stated."""
    import nibabel

    stored = nibabel.load(image.path).dataobj
    return float(stored.slope), float(stored.inter)
