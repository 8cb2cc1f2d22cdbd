"""What is known about one image: its pixels, what black and white are, and what writing needs to restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["png", "jpeg", "tiff", "nifti", "dicom"]


@dataclass(frozen=True, eq=False)
class MedicalImage:
    """An image as read from a file.

    Attributes:
        pixels: (H, W), (H, W, 3), (F, H, W) or (F, H, W, 3). PNG, JPEG, TIFF and NIfTI: the stored values in their
            own dtype (1-bit and palette images expanded to 8-bit grey or RGB). DICOM: float32 in display space, where
            0 is black and 1 is white as displayed (rescale, first VOI window, MONOCHROME1 applied); what lies outside
            the window lies outside [0, 1].
        value_range: (black, white) in units of ``pixels``: what the dtype or the stored bits can hold, (0, 1) for
            floats, or what the file or the caller declares; never the smallest and largest value that happen to occur.
            Black may be the larger number, where a file stores dark as high.
        frames: True if the first axis of ``pixels`` is time or slices.
        modality: xray, dermatology, endoscopy, ultrasound or fundus where the file says so, otherwise None.
        alpha: opacity in the dtype of ``pixels``, (H, W) or (F, H, W); None if the file has none. Written back as read.
        path: the file.
        kind: png, jpeg, tiff, nifti or dicom, by content rather than by name.
        restore: what the writer of this kind needs to give back geometry, colour profile and metadata.
        quantisation: the tables that JPEG compressed the pixels with, by their number in the file, 64 entries each as
            Pillow gives them; None if the pixels are not from a JPEG, or the file does not tell.
    """

    pixels: NDArray[Any]
    value_range: tuple[float, float]
    frames: bool
    modality: str | None
    alpha: NDArray[Any] | None
    path: Path
    kind: Kind
    restore: Any = field(repr=False)
    quantisation: Mapping[int, Sequence[int]] | None = field(default=None, repr=False)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return 3 if self.pixels.ndim == (4 if self.frames else 3) else 1

    @property
    def valid(self) -> NDArray[np.bool_] | None:
        """Where there is image: neither padding nor fully transparent. (H, W) or (F, H, W); None: everywhere."""
        padding = getattr(self.restore, "padding", None)
        if padding is not None:
            return ~padding[0]
        shown = None if self.alpha is None else self.alpha > 0
        return None if shown is None or shown.all() else shown

    def normalised(self) -> NDArray[np.float32]:
        """Pixels as float32 of the same shape with black at 0 and white at 1, nothing clipped."""
        black, white = self.value_range
        if (black, white) == (0.0, 1.0):
            return self.pixels.astype(np.float32)
        if black == 0.0 and self.pixels.dtype.itemsize <= 2:
            return self.pixels.astype(np.float32) / np.float32(white)
        return ((self.pixels.astype(np.float64) - black) / (white - black)).astype(np.float32)
