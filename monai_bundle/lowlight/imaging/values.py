"""Which numbers mean black and white, which numbers are refused, and how results return to the stored type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.errors import InputError, OutputError

MAX_PIXELS_PER_FRAME = 150_000_000
"""A larger frame is refused before it is decoded: a few kilobytes can declare an image that fills all memory."""

MAX_PIXELS = 1_000_000_000
"""The same for all frames of a file together."""


def check_size(path: Path, height: int, width: int, frames: int = 1) -> None:
    """Refuse, before any pixel is decoded, a declared size that no memory would hold.

    Raises:
        InputError: no pixels at all, more than `MAX_PIXELS_PER_FRAME` in a frame, or more than `MAX_PIXELS` in a file.
    """
    if height < 1 or width < 1 or frames < 1:
        raise InputError(path, f"declares an empty image ({width} x {height})", "export it again")
    if height * width > MAX_PIXELS_PER_FRAME:
        raise InputError(
            path,
            f"declares {width} x {height} pixels, over the limit of {MAX_PIXELS_PER_FRAME // 10**6} million",
            "crop it or scale it down",
        )
    if height * width * frames > MAX_PIXELS:
        raise InputError(
            path,
            f"declares {frames} frames of {width} x {height} pixels, over the limit of {MAX_PIXELS // 10**6} million",
            "split it into shorter files",
        )


def check_declared_range(path: Path, value_range: tuple[float, float] | None) -> tuple[float, float] | None:
    """The caller's (black, white) as floats.

    Raises:
        InputError: a bound is not finite, or both are the same.
    """
    if value_range is None:
        return None
    black, white = (float(bound) for bound in value_range)
    if not (np.isfinite(black) and np.isfinite(white)) or black == white:
        raise InputError(
            path, f"the stated value range {black:g} to {white:g} holds no values", "state black and white"
        )
    return black, white


def check_finite(path: Path, pixels: NDArray[Any]) -> None:
    """Raises InputError if a float image holds NaN or infinity: no neighbour of such a pixel could be trusted."""
    if pixels.dtype.kind != "f" or np.isfinite(pixels).all():
        return
    count = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
    if count == 1:
        raise InputError(path, "holds 1 value that is NaN or infinite", "replace it by a number and try again")
    raise InputError(path, f"holds {count} values that are NaN or infinite", "replace them by numbers and try again")


def decide_range(path: Path, pixels: NDArray[Any], declared: tuple[float, float] | None) -> tuple[float, float]:
    """(black, white) of ``pixels``: as declared, else the dtype's range for integers and (0, 1) for floats.

    Args:
        path: named in errors.
        pixels: any real dtype.
        declared: by the caller or by the file, in units of ``pixels``; None if neither does.

    Raises:
        InputError: NaN or infinite values; floats outside [0, 1] without a declared range; a dtype of neither kind.
    """
    check_finite(path, pixels)
    if declared is not None:
        return declared
    if pixels.dtype.kind in "iu":
        limits = np.iinfo(pixels.dtype)
        return float(limits.min), float(limits.max)
    if pixels.dtype.kind != "f":
        raise InputError(path, f"holds values of type {pixels.dtype}", "convert them to integers or floats")
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0.0 or high > 1.0:
        raise InputError(
            path,
            f"holds floating-point values from {low:g} to {high:g}, and nothing declares which are black and white",
            "state the value range: --value-range BLACK WHITE, or value_range= in Python",
        )
    return 0.0, 1.0


def to_stored(path: Path, pixels: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Pixels in the stored dtype: rounded and clipped to what an integer type holds, cast for floats.

    Args:
        path: the file to be written, named in errors.
        pixels: any real dtype, in units of the stored values.
        dtype: the stored dtype.

    Raises:
        OutputError: NaN or infinite values.
    """
    if pixels.dtype == dtype:
        if dtype.kind == "f" and not np.isfinite(pixels).all():
            raise OutputError(path, "the result holds NaN or infinite values", "report this with the input image")
        return pixels
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise OutputError(path, "the result holds NaN or infinite values", "report this with the input image")
    if dtype.kind == "f":
        return pixels.astype(dtype)
    limits = np.iinfo(dtype)
    # float32 cannot express the largest 32-bit integers: clipping in double keeps the cast from wrapping round.
    values = pixels.astype(np.float64) if pixels.dtype.kind == "f" and dtype.itemsize > 2 else pixels
    rounded = np.rint(values) if pixels.dtype.kind == "f" else values
    return np.clip(rounded, limits.min, limits.max).astype(dtype)
