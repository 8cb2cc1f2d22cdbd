"""Reading images inside MONAI pipelines; the only module here that needs torch and MONAI."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from numpy.typing import NDArray

from lowlight.imaging.image import MedicalImage
from lowlight.imaging.reading import read


class ReadImage(Transform):
    """Read a file as a channel-first tensor with black at 0 and white at 1.

    Args:
        channels: 1 or 3 gives every image that many channels (grey is replicated; colour becomes its Rec. 601 luma);
            None leaves each as it is in the file.
        frame: which frame or slice of a multi-frame file, ``"first"`` or ``"middle"``.
        full_range_16bit: ``"dtype"`` reads 65535 as white. ``"own_maximum"`` takes each 16-bit image's own largest
            value as white instead: only for collections, such as published training sets, that lost the declared range
            of their sensor. On clinical images it would undo the very darkness that is to be judged.
        value_range: (black, white) of every file, where the files do not say; see `lowlight.imaging.read`.

    Returns:
        float32 `MetaTensor` of shape (C, H, W), nominally in [0, 1] and not clipped. ``meta`` holds
        ``filename_or_obj``, ``filename``, ``modality`` ("" if unknown) and ``value_range``.

    Raises:
        InputError: as `lowlight.imaging.read`.
    """

    def __init__(
        self,
        channels: Literal[1, 3] | None = None,
        frame: Literal["first", "middle"] = "first",
        full_range_16bit: Literal["dtype", "own_maximum"] = "dtype",
        value_range: tuple[float, float] | None = None,
    ) -> None:
        if channels not in (None, 1, 3):
            raise ValueError(f"channels must be 1, 3 or None, not {channels!r}")
        if frame not in ("first", "middle"):
            raise ValueError(f"frame must be 'first' or 'middle', not {frame!r}")
        if full_range_16bit not in ("dtype", "own_maximum"):
            raise ValueError(f"full_range_16bit must be 'dtype' or 'own_maximum', not {full_range_16bit!r}")
        self.channels = channels
        self.frame = frame
        self.full_range_16bit = full_range_16bit
        self.value_range = value_range

    def __call__(self, path: str | Path) -> MetaTensor:
        image = read(path, self.value_range)
        pixels = self._one_frame(image)
        black, white = self._range(image, pixels)
        values = _unit(pixels, black, white)
        planes = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
        meta = {
            "filename_or_obj": str(image.path),
            "filename": str(image.path),
            "modality": image.modality or "",
            "value_range": (black, white),
        }
        return MetaTensor(torch.from_numpy(np.ascontiguousarray(self._with_channels(planes))), meta=meta)

    def _one_frame(self, image: MedicalImage) -> NDArray[Any]:
        if not image.frames:
            return image.pixels
        return image.pixels[0 if self.frame == "first" else len(image.pixels) // 2]

    def _range(self, image: MedicalImage, pixels: NDArray[Any]) -> tuple[float, float]:
        largest = float(pixels.max())
        if self.full_range_16bit == "own_maximum" and pixels.dtype == np.uint16 and largest > 0:
            return 0.0, largest
        return image.value_range

    def _with_channels(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.channels is None or len(planes) == self.channels:
            return planes
        if self.channels == 3:
            return np.repeat(planes, 3, axis=0)
        luma = np.asarray([0.299, 0.587, 0.114], np.float32)
        return np.tensordot(luma, planes, axes=1)[None].astype(np.float32)


class ReadImaged(MapTransform):
    """Dictionary form of `ReadImage`: replaces the path under each key by the tensor.

    Args:
        keys: entries that hold paths.
        channels, frame, full_range_16bit, value_range: see `ReadImage`.
        allow_missing_keys: pass items without such an entry on as they are.
    """

    def __init__(
        self,
        keys: KeysCollection,
        channels: Literal[1, 3] | None = None,
        frame: Literal["first", "middle"] = "first",
        full_range_16bit: Literal["dtype", "own_maximum"] = "dtype",
        value_range: tuple[float, float] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reader = ReadImage(channels, frame, full_range_16bit, value_range)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self.reader(item[key])
        return item


def _unit(pixels: NDArray[Any], black: float, white: float) -> NDArray[np.float32]:
    if pixels.dtype.itemsize <= 2:
        return (pixels.astype(np.float32) - np.float32(black)) * np.float32(1.0 / (white - black))
    return ((pixels.astype(np.float64) - black) / (white - black)).astype(np.float32)
