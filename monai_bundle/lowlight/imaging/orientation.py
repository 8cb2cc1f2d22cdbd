"""The eight EXIF/TIFF orientations applied to arrays (EXIF 2.32, tag 0x0112)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MIRROR_ROWS, _MIRROR_COLUMNS = 0, 1
# orientation: (axes swapped first, axes then mirrored)
_STEPS: dict[int, tuple[bool, tuple[int, ...]]] = {
    2: (False, (_MIRROR_COLUMNS,)),
    3: (False, (_MIRROR_ROWS, _MIRROR_COLUMNS)),
    4: (False, (_MIRROR_ROWS,)),
    5: (True, ()),
    6: (True, (_MIRROR_COLUMNS,)),
    7: (True, (_MIRROR_ROWS, _MIRROR_COLUMNS)),
    8: (True, (_MIRROR_ROWS,)),
}


def swaps_axes(orientation: int) -> bool:
    """True if this orientation turns rows into columns, so that horizontal and vertical resolution change places."""
    return orientation in _STEPS and _STEPS[orientation][0]


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The image as it is meant to be seen.

    Args:
        pixels: (H, W) or (H, W, C), as stored.
        orientation: EXIF code; 1 and unknown codes leave the image as it is.
    """
    if orientation not in _STEPS:
        return pixels
    swapped, mirrored = _STEPS[orientation]
    turned = np.swapaxes(pixels, 0, 1) if swapped else pixels
    return np.ascontiguousarray(np.flip(turned, mirrored) if mirrored else turned)
