"""Overlays that older devices kept in the spare bits of the pixels (PS3.3 C.9.2, retired; met in archives)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits

_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _BITS, _POSITION, _DATA = 0x10, 0x11, 0x100, 0x102, 0x3000


def lie_in_pixels(dataset: Dataset) -> bool:
    """Whether spare bits of the pixels hold an overlay."""
    return any(_position(dataset, group) is not None for group in _GROUPS)


def _position(dataset: Dataset, group: int) -> int | None:
    """The bit that holds this group's overlay; None if there is no such overlay or it has data of its own."""
    position = dataset.get((group, _POSITION))
    if position is None or not position.value or (group, _DATA) in dataset:
        return None
    return int(position.value)


def separate_overlays(dataset: Dataset, stored: NDArray[Any]) -> None:
    """Give overlays that lie in bits of the pixels an element of their own, as today's standard has it.

    Args:
        dataset: changed in place.
        stored: (H, W) or (F, H, W) as decoded, spare bits included; left as it is.
    """
    for group in _GROUPS:
        position = _position(dataset, group)
        if position is None:
            continue
        plane = (stored.astype(np.int64) >> position) & 1
        packed = pack_bits(plane.astype(np.uint8).ravel())
        dataset.add_new((group, _ROWS), "US", int(dataset.Rows))
        dataset.add_new((group, _COLUMNS), "US", int(dataset.Columns))
        dataset.add_new((group, _BITS), "US", 1)
        dataset.add_new((group, _POSITION), "US", 0)
        dataset.add_new((group, _DATA), "OW", packed)
