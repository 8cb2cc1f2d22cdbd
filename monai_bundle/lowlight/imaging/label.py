"""A visible mark that says an image was enhanced, burnt in where it hides as little as possible."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TEXT = "ENHANCED"

_SHARE = 1 / 36
_SMALLEST, _LARGEST = 8, 96  # pixels
_MARGIN = 0.5  # of the height of the text


def burn_label(
    pixels: NDArray[Any], value_range: tuple[float, float], frames: bool, valid: NDArray[np.bool_] | None = None
) -> NDArray[Any]:
    """Write `TEXT` in white on black into a corner.

    The corner is the one with the least in it: padding and even background rather than anatomy. All frames are marked
    in the same place. An image that is too small for a readable text stays without.

    Args:
        pixels: (H, W), (H, W, 3), or with ``frames`` the same behind an axis of frames; left as they are.
        value_range: (black, white) in units of the pixels.
        frames: whether the first axis is time or slices.
        valid: False where there is no image, in the shape of the pixels without channels; None: image everywhere.

    Returns:
        A marked copy; the array itself if the image is too small.
    """
    place = label_place(pixels, value_range, frames, valid)
    return pixels if place is None else burn_at(pixels, value_range, place, frames)


def label_place(
    pixels: NDArray[Any], value_range: tuple[float, float], frames: bool, valid: NDArray[np.bool_] | None = None
) -> tuple[slice, slice] | None:
    """Rows and columns where `burn_label` writes, None if the image is too small; arguments as there."""
    stack = pixels if frames else pixels[None]
    height, width = stack.shape[1:3]
    rows, columns = _mark(min(height, width)).shape
    if rows > height // 2 or columns > width:
        return None
    black, white = value_range
    places = [
        (slice(top, top + rows), slice(left, left + columns))
        for top in (height - rows, 0)
        for left in (width - columns, 0)
    ]
    shown = valid if frames else _as_stack(valid)
    return min(places, key=lambda place: _content(stack, place, abs(white - black), shown))


def burn_at(
    pixels: NDArray[Any], value_range: tuple[float, float], place: tuple[slice, slice], frames: bool = False
) -> NDArray[Any]:
    """A copy with `TEXT` at a place that `label_place` chose for an image of this size: for films, frame by frame."""
    stack = pixels if frames else pixels[None]
    black, white = value_range
    marked = stack.copy()
    values = black + (white - black) * _mark(min(stack.shape[1:3]))
    values = np.rint(values) if marked.dtype.kind in "iu" else values
    marked[:, *place] = values.astype(marked.dtype) if stack.ndim == 3 else values.astype(marked.dtype)[..., None]
    return marked if frames else marked[0]


def _as_stack(valid: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    return None if valid is None else valid[None]


def _mark(side: int) -> NDArray[np.float64]:
    """The text in its box: 0 black to 1 white."""
    size = int(np.clip(side * _SHARE, _SMALLEST, _LARGEST))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(TEXT)
    margin = int(size * _MARGIN)
    box = Image.new("L", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin))
    ImageDraw.Draw(box).text((margin - left, margin - top), TEXT, fill=255, font=font)
    return np.asarray(box, np.float64) / 255


def _content(stack: NDArray[Any], place: tuple[slice, slice], span: float, valid: NDArray[np.bool_] | None) -> float:
    """How much there is to hide: share of image among padding, and then how much it varies."""
    part = stack[:, *place].astype(np.float64) / span
    image = 1.0 if valid is None else float(valid[:, *place].mean())
    return image * (1e-6 + float(part.std()))
