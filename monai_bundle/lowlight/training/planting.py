"""Small details drawn into training images, so that the network does not learn that a frame holds none.

To a network that is rewarded for the mean error alone, a dot of three pixels is noise: hardly any training image has
one, and all have noise. Microcalcifications, hair and fine cracks are what somebody looks for, however rare they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from numpy.typing import NDArray

from lowlight.evaluation.planting import CONTRAST, LEAST_LIGHT, Kind, draw_shape

SHAPES_OF_EACH_KIND = 60
"""Different shapes that are drawn from; each is turned and mirrored at random."""


class RandPlantedDetailsd(RandomizableTransform, MapTransform):
    """Draw dots, hair-thin lines and small lesions (`lowlight.evaluation.planting.Kind`) into clean frames.

    Each is added, brighter or darker than what is there, with a contrast drawn evenly in its logarithm between those of
    `lowlight.evaluation.planting.CONTRAST`, in the hue of its surroundings. Where it would be clipped, or where the
    frame is black, none is drawn.

    Args:
        keys: frames (C, H, W), float, black 0 and white 1; drawn into alike.
        prob: share of frames that get details.
        area: px of a frame for each detail that is tried.
    """

    def __init__(self, keys: KeysCollection, prob: float = 0.4, area: float = 3500.0) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.area = area
        random = np.random.RandomState(0)
        self.shapes = [draw_shape(kind, random) for kind in Kind for _ in range(SHAPES_OF_EACH_KIND)]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return item
        height, width = torch.as_tensor(item[self.keys[0]]).shape[-2:]
        drawn = [self._draw(height, width) for _ in range(round(height * width / self.area))]
        for key in self.key_iterator(item):
            frame = torch.as_tensor(item[key]).clone()
            pixels = frame.numpy()
            for amount in drawn:
                if amount is not None:
                    _add(pixels, *amount)
            item[key] = frame
        return item

    def _draw(self, height: int, width: int) -> tuple[slice, slice, NDArray[np.float32]] | None:
        """Where one detail goes, and what it adds there; None where it has no room."""
        shape = np.rot90(self.shapes[self.R.randint(len(self.shapes))], self.R.randint(4))
        contrast = float(np.exp(self.R.uniform(*np.log(CONTRAST)))) * (1 if self.R.rand() < 0.5 else -1)
        free = height - shape.shape[0], width - shape.shape[1]
        place = self.R.rand(2)
        if min(free) < 0:
            return None
        top, left = (int(share * (room + 1)) for share, room in zip(place, free, strict=True))
        where = slice(top, top + shape.shape[0]), slice(left, left + shape.shape[1])
        return *where, (contrast * shape).astype(np.float32)


def _add(pixels: NDArray[np.float32], rows: slice, columns: slice, amount: NDArray[np.float32]) -> None:
    window = pixels[:, rows, columns]
    around = window.mean((1, 2), keepdims=True)
    light = float(around.mean())
    if light < LEAST_LIGHT:
        return
    added = window + amount * (around / light)
    if added.min() >= 0 and added.max() <= 1:
        window[...] = added
