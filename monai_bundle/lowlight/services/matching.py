"""Which slice of an enhanced stack the pixels of a file are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance import Result
from lowlight.enhance.blending import FramePrediction
from lowlight.enhance.pixels import to_channels
from lowlight.imaging import MedicalImage
from lowlight.services.kept import Enhanced

TOLERANCE = 5e-4
"""Largest difference of two values that are the same, 1 = black to white: viewers keep rescaled values as integers or
as 32-bit floats."""

FLIPS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))
"""Axes of a slice (rows, columns) along which viewers turn it round."""


@dataclass(frozen=True)
class _Slice:
    """One slice of a stack, in display space (C, H, W)."""

    result: Result
    prediction: FramePrediction
    display: NDArray[np.float32]
    mean: float


class Slices:
    """The slices of a stack, to be found by their pixels.

    Args:
        enhanced: the stack.
    """

    def __init__(self, enhanced: Enhanced) -> None:
        self._slices = list(_slices(enhanced))

    def find(self, image: MedicalImage) -> list[tuple[Result, FramePrediction, NDArray[np.bool_] | None]] | None:
        """For each frame of an image, as it was read with the stack's black and white, the result that its slice
        belongs to, and what the network said of it and the mask, turned as the frame is; None if one is not there."""
        frames = image.pixels if image.frames else image.pixels[None]
        valid = image.valid
        found = []
        for number, frame in enumerate(frames):
            shown = valid if valid is None or not image.frames else valid[number]
            match = self._find(to_channels(frame, image.value_range), shown)
            if match is None:
                return None
            found.append(match)
        return found

    def _find(
        self, display: NDArray[np.float32], valid: NDArray[np.bool_] | None
    ) -> tuple[Result, FramePrediction, NDArray[np.bool_] | None] | None:
        mean = float(display.mean(dtype=np.float64))
        fitting = [candidate for candidate in self._slices if candidate.display.shape == display.shape]
        # The mean survives any turning; with padding, which a viewer may show as another value, it only orders.
        for candidate in sorted(fitting, key=lambda other: abs(other.mean - mean)):
            if valid is None and abs(candidate.mean - mean) > TOLERANCE * (1 + abs(mean)):
                return None
            for axes in FLIPS:
                if _same(display, _turned(candidate.display, axes), valid):
                    mask = candidate.result.mask
                    turned = None if mask is None else _turned(mask, axes)
                    return candidate.result, _turned_prediction(candidate.prediction, axes), turned
        return None


def _slices(enhanced: Enhanced) -> Iterator[_Slice]:
    for result, prediction, source in enhanced.slices():
        display = to_channels(source, result.value_range)
        yield _Slice(result, prediction, display, float(display.mean(dtype=np.float64)))


def _same(one: NDArray[np.float32], other: NDArray[np.float32], valid: NDArray[np.bool_] | None) -> bool:
    # A few rows tell most slices apart.
    if valid is None and not np.allclose(one[:, ::16, ::16], other[:, ::16, ::16], rtol=1e-5, atol=TOLERANCE):
        return False
    close = np.isclose(one, other, rtol=1e-5, atol=TOLERANCE)
    return bool(close.all() if valid is None else close[:, valid].all())


def _turned(array: NDArray[Any], axes: Sequence[int]) -> NDArray[Any]:
    """An array (..., H, W) turned round along rows (0) and columns (1)."""
    return np.flip(array, tuple(axis - 2 for axis in axes))


def _turned_prediction(prediction: FramePrediction, axes: Sequence[int]) -> FramePrediction:
    parts = (prediction.residual, prediction.log_error, prediction.log_gain, prediction.log_gamma)
    return FramePrediction(*(_turned(part, axes) for part in parts))
