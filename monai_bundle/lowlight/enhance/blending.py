"""One frame at given strengths, from what the network said of it: fast enough to follow a slider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.pixels import ValueScale, to_channels
from lowlight.model import tone

BLOCK = 1 << 15
"""Pixels that are done at a time: so many that NumPy's calls do not count, so few that they stay in a core's cache."""


@dataclass(frozen=True)
class FramePrediction:
    """The network's answer for one frame, enough to blend without the network.

    Attributes:
        residual: r, float32 (3, H, W), display space; of a grey frame that is kept for long (1, H, W).
        log_error: float32 (H, W). log_gain, log_gamma: float32 (H, W).
    """

    residual: NDArray[np.float32]
    log_error: NDArray[np.float32]
    log_gain: NDArray[np.float32]
    log_gamma: NDArray[np.float32]

    @classmethod
    def of_channels(cls, channels: NDArray[np.float32]) -> FramePrediction:
        """From one frame of the network's output (9, H, W): see `lowlight.model.network.Prediction`."""
        return cls(channels[3:6], channels[6], channels[7], channels[8])

    @classmethod
    def of_unchanged(cls, height: int, width: int) -> FramePrediction:
        """For a frame that the network has not seen: nothing is changed, and of the error nothing is known (NaN)."""
        nothing = np.zeros((height, width), np.float32)
        return cls(np.zeros((3, height, width), np.float32), np.full_like(nothing, np.nan), nothing, nothing)

    def kept(self, grey: bool) -> FramePrediction:
        """The same without the memory that nobody needs any more: of grey, 16 bytes a pixel instead of 36."""
        residual = self.residual[:1] if grey else self.residual
        return FramePrediction(*(part.copy() for part in (residual, self.log_error, self.log_gain, self.log_gamma)))


def blend_frame(
    source: NDArray[Any],
    prediction: FramePrediction,
    value_range: tuple[float, float],
    brightness: float,
    denoise: float,
    out: NDArray[Any],
) -> None:
    """Write one frame at given strengths into `out`.

    Args:
        source: (H, W) or (H, W, 3), any dtype. value_range: (black, white) in its units.
        prediction: of the network.
        brightness, denoise: b in [0, 1.5], n in [0, 1].
        out: of the shape and dtype of `source`. A source of one value comes back as it is.
    """
    low, high = source.min(), source.max()
    if low == high:
        # One value everywhere is no scene: whatever a network draws into it would be invented.
        out[...] = source
        return
    grey = source.ndim == 2
    display = np.empty((1 if grey else 3, *source.shape[:2]), np.float32)
    for rows in _blocks(*source.shape[:2]):
        y = to_channels(source[rows], value_range)
        # Of grey the three channels are equal, and one of them takes a third of the memory.
        residual = prediction.residual[: len(y), rows]
        maps = prediction.log_gain[rows], prediction.log_gamma[rows]
        display[:, rows] = tone.blend(y, residual, *maps, brightness, denoise)
    scale = ValueScale.of(display, float(low), float(high), source.dtype, value_range)
    for rows in _blocks(*source.shape[:2]):
        part = display[:, rows]
        out[rows] = scale.values(part[0] if grey else np.moveaxis(part, 0, -1))


def _blocks(height: int, width: int) -> Iterator[slice]:
    step = max(1, BLOCK // width)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))
