"""Between a user's array and display space (0 black, 1 white), without losing depth or range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.errors import InputError

ARRAY = "image"
"""Name of an array in error messages, where there is no file."""


def check_image(image: NDArray[Any], frames: bool) -> None:
    """Refuse what cannot be enhanced.

    Raises:
        InputError: not (H, W) or (H, W, 3) (with `frames` one axis more), an empty axis, neither integers nor floats,
            NaN or infinite values.
    """
    frame = image.shape[1:] if frames else image.shape
    if image.dtype.kind not in "iufb":
        raise InputError(ARRAY, f"its values are of type {image.dtype}", "give integers or floats")
    if len(frame) not in (2, 3) or (len(frame) == 3 and frame[2] != 3):
        expected = "(frames, height, width) or (frames, height, width, 3)" if frames else "(height, width[, 3])"
        remedy = "split an alpha channel off" if frame[2:] == (4,) else f"its shape must be {expected}"
        raise InputError(ARRAY, f"its shape is {image.shape}", remedy)
    if 0 in image.shape:
        raise InputError(ARRAY, "it holds no pixels")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise InputError(ARRAY, "it holds NaN or infinite values", "replace them first")


def resolve_range(image: NDArray[Any], value_range: tuple[float, float] | None) -> tuple[float, float]:
    """(black, white) in units of the pixels: as declared, else the range of the integer type, else (0, 1).

    Never guessed from the largest value: a dark image would be taken for a bright one.

    Raises:
        InputError: a declared range without extent; float values outside [0, 1] with no range declared.
    """
    if value_range is not None:
        if len(value_range) != 2:
            raise InputError(ARRAY, f"value_range {value_range} is not a pair", "give (black, white)")
        black, white = float(value_range[0]), float(value_range[1])
        if not (np.isfinite(black) and np.isfinite(white)) or black == white:
            raise InputError(ARRAY, f"value_range {value_range} has no extent", "give (black, white)")
        return black, white
    if image.dtype.kind == "b":
        return 0.0, 1.0
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        return float(limits.min), float(limits.max)
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 1:
        raise InputError(ARRAY, f"float values from {low:g} to {high:g}", "declare value_range=(black, white)")
    return 0.0, 1.0


def to_channels(frame: NDArray[Any], value_range: tuple[float, float]) -> NDArray[np.float32]:
    """Scale one frame (H, W) or (H, W, 3) so that black is 0 and white 1: float32 (1, H, W) or (3, H, W)."""
    black, white = value_range
    channels = frame[None] if frame.ndim == 2 else np.moveaxis(frame, -1, 0)
    scaled = np.empty(channels.shape, np.float32)
    # Differences are taken in double: 32-bit integers have more digits than float32. One channel at a time: twice the
    # bytes of three would be more than anything else holds of a large image.
    for target, channel in zip(scaled, channels, strict=True):
        double = channel.astype(np.float64)
        double -= black
        double /= white - black
        target[...] = double
    return scaled


@dataclass(frozen=True)
class ValueScale:
    """The way back from display space to the depth and range of a source frame, value by value.

    Integers are rounded and clipped to the declared range; floats declared as (0, 1) are clipped likewise. Where the
    source has values outside of that range (beyond a window), results there keep their order instead: they are drawn
    together, as far as the source's own values reach.

    Attributes:
        dtype: of the source. black, white: in its units.
        low, high: what results may reach: the declared range and the source's own values.
        smallest, largest: of the enhanced frame, in the same units.
    """

    dtype: np.dtype[Any]
    black: float
    white: float
    low: float
    high: float
    smallest: float
    largest: float

    @classmethod
    def of(
        cls,
        display: NDArray[np.float32],
        smallest: float,
        largest: float,
        dtype: np.dtype[Any],
        value_range: tuple[float, float],
    ) -> ValueScale:
        """For a whole enhanced frame in display space, and the smallest and largest value of its source."""
        black, white = value_range
        ends = sorted(float(end) * (white - black) + black for end in (display.min(), display.max()))
        return cls(dtype, black, white, min(black, white, smallest), max(black, white, largest), *ends)

    def values(self, display: NDArray[np.float32]) -> NDArray[Any]:
        """A part of that frame, of any shape, in the dtype and units of the source."""
        # In place, since this runs at every move of a slider.
        values = display.astype(np.float64)
        values *= self.white - self.black
        values += self.black
        values = self._drawn_together(values)
        np.clip(values, self.low, self.high, out=values)
        if self.dtype.kind in "iu":
            limits = np.iinfo(self.dtype)
            np.rint(values, out=values)
            if self.low < limits.min or self.high > limits.max or limits.bits == 64:
                # The largest 64-bit integers are not doubles: the bound keeps the cast from wrapping round.
                highest = np.nextafter(float(limits.max), 0) if limits.bits == 64 else limits.max
                np.clip(values, limits.min, highest, out=values)
        elif self.dtype.kind == "b":
            return values >= 0.5
        return values.astype(self.dtype)

    def _drawn_together(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values beyond the declared range scaled down to end at `low` and `high`; those within it stay."""
        bottom, top = sorted((self.black, self.white))
        if self.largest > self.high > top:
            slope = (self.high - top) / (self.largest - top)
            values = np.where(values > top, top + (values - top) * slope, values)
        if self.smallest < self.low < bottom:
            slope = (bottom - self.low) / (bottom - self.smallest)
            values = np.where(values < bottom, bottom - (bottom - values) * slope, values)
        return values
