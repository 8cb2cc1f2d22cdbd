"""One frame at given strengths, from what the network said of it: fast enough to follow a slider."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.pixels import ValueScale, to_channels
from lowlight.enhance.threads import allowed_threads
from lowlight.model import tone

BLOCK = 1 << 16
"""Pixels that are done at a time: so many that NumPy's calls do not count, so few that they stay in a core's cache."""


@dataclass(frozen=True)
class FramePrediction:
    """The network's answer for one frame, enough to blend without the network.

    Attributes:
        residual: r, float32 (3, H, W), display space; of a grey frame (1, H, W).
        log_error: float32 (H, W). log_gain, log_gamma: float32 (H, W).
    """

    residual: NDArray[np.float32]
    log_error: NDArray[np.float32]
    log_gain: NDArray[np.float32]
    log_gamma: NDArray[np.float32]

    @classmethod
    def of_channels(cls, channels: NDArray[np.float32]) -> FramePrediction:
        """From one frame of the network's output (9, H, W), grey (5, H, W): `lowlight.model.network.Prediction`."""
        return cls(channels[(len(channels) - 3) // 2 : -3], channels[-3], channels[-2], channels[-1])

    @classmethod
    def of_unchanged(cls, height: int, width: int) -> FramePrediction:
        """For a frame that the network has not seen: nothing is changed, and of the error nothing is known (NaN)."""
        nothing = np.zeros((height, width), np.float32)
        residual = np.broadcast_to(nothing, (3, height, width))
        return cls(residual, np.full_like(nothing, np.nan), nothing, nothing)

    def kept(self, grey: bool) -> FramePrediction:
        """The same without the memory that nobody needs any more: of grey, 16 bytes a pixel instead of 36."""
        residual = self.residual[:1] if grey else self.residual
        return FramePrediction(*(part.copy() for part in (residual, self.log_error, self.log_gain, self.log_gamma)))


class BlendMemory:
    """What the last blend of a frame computed and the next one of the same frame can use, for who moves a slider.

    It holds T(y), and T^-1(T(y) + n r) for one n: 8 bytes for each pixel and channel. Threads may share it.
    """

    def __init__(self) -> None:
        self._curved: tuple[FramePrediction, NDArray[np.float32]] | None = None
        self._denoised: tuple[FramePrediction, float, NDArray[np.float32]] | None = None

    def curved(self, prediction: FramePrediction, compute: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        """T(y) of the frame with this prediction, remembered or computed."""
        held = self._curved
        if held is None or held[0] is not prediction:
            held = self._curved = (prediction, compute())
        return held[1]

    def denoised(
        self, prediction: FramePrediction, denoise: float, compute: Callable[[], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """T^-1(T(y) + n r) likewise."""
        held = self._denoised
        if held is None or held[0] is not prediction or held[1] != denoise:
            held = self._denoised = (prediction, denoise, compute())
        return held[2]


def blend_frame(
    source: NDArray[Any],
    prediction: FramePrediction,
    value_range: tuple[float, float],
    brightness: float,
    denoise: float,
    out: NDArray[Any],
    memory: BlendMemory | None = None,
) -> None:
    """Write one frame at given strengths into `out`.

    Args:
        source: (H, W) or (H, W, 3), any dtype. value_range: (black, white) in its units.
        prediction: of the network.
        brightness, denoise: b in [0, 1.5], n in [0, 1].
        out: of the shape and dtype of `source`. A source of one value comes back as it is.
        memory: used and filled; the result is the same bit for bit. None: nothing is remembered.
    """
    low, high = source.min(), source.max()
    if low == high:
        # One value everywhere is no scene: whatever a network draws into it would be invented.
        out[...] = source
        return
    frame = _Frame(source, prediction, value_range)
    if memory is None or denoise == 0:
        display = frame.blended(brightness, denoise)
    else:
        display = frame.blended_with(memory, brightness, denoise)
    scale = ValueScale.of(display, float(low), float(high), source.dtype, value_range)

    def fill(rows: slice) -> None:
        part = display[:, rows]
        out[rows] = scale.values(part[0] if source.ndim == 2 else np.moveaxis(part, 0, -1))

    _for_each_block(fill, *source.shape[:2])


def denoising_of(
    source: NDArray[Any],
    prediction: FramePrediction,
    value_range: tuple[float, float],
    brightness: float,
    denoise: float,
) -> NDArray[np.float32]:
    """What denoising adds to one frame at given strengths: T_b(T^-1(T(y) + n r)) - T_b(y), which is n r for b = 1.

    Args:
        source, prediction, value_range, brightness, denoise: as for `blend_frame`.

    Returns:
        (C, H, W) in display space, not clipped; 0 where `blend_frame` gives the source back.
    """
    frame = _Frame(source, prediction, value_range)
    if denoise == 0 or source.min() == source.max():
        return np.zeros((frame.channels, *source.shape[:2]), np.float32)
    if brightness == 1:
        return np.float32(denoise) * prediction.residual[: frame.channels]
    return frame.blended(brightness, denoise) - frame.blended(brightness, 0)


@dataclass(frozen=True)
class _Frame:
    """A frame and its prediction, computed with block by block: all arrays are (C, H, W), of grey C is 1."""

    source: NDArray[Any]
    prediction: FramePrediction
    value_range: tuple[float, float]

    def blended(self, brightness: float, denoise: float) -> NDArray[np.float32]:
        """`lowlight.model.tone.blend`."""
        return self._filled(
            lambda rows: tone.blend(self._y(rows), self._residual(rows), *self._maps(rows), brightness, denoise)
        )

    def blended_with(self, memory: BlendMemory, brightness: float, denoise: float) -> NDArray[np.float32]:
        """The same for n > 0, step by step."""
        curved = memory.curved(
            self.prediction, lambda: self._filled(lambda rows: tone.tone_curve(self._y(rows), *self._maps(rows)))
        )

        def toned(rows: slice) -> NDArray[np.float32]:
            return curved[:, rows] + denoise * self._residual(rows)

        if brightness == 1:
            return self._filled(toned)
        denoised = memory.denoised(
            self.prediction,
            denoise,
            lambda: self._filled(lambda rows: tone.inverse_tone_curve(toned(rows), *self._maps(rows))),
        )
        if brightness == 0:
            return denoised

        def brightened(rows: slice) -> NDArray[np.float32]:
            log_gain, log_gamma = self._maps(rows)
            return tone.tone_curve(denoised[:, rows], brightness * log_gain, brightness * log_gamma)

        return self._filled(brightened)

    def _y(self, rows: slice) -> NDArray[np.float32]:
        return to_channels(self.source[rows], self.value_range)

    def _residual(self, rows: slice) -> NDArray[np.float32]:
        # Of grey the three channels are equal, and one of them takes a third of the memory.
        return self.prediction.residual[: self.channels, rows]

    def _maps(self, rows: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.prediction.log_gain[rows], self.prediction.log_gamma[rows]

    @property
    def channels(self) -> int:
        return 1 if self.source.ndim == 2 else 3

    def _filled(self, part: Callable[[slice], NDArray[np.float32]]) -> NDArray[np.float32]:
        filled = np.empty((self.channels, *self.source.shape[:2]), np.float32)

        def fill(rows: slice) -> None:
            filled[:, rows] = part(rows)

        _for_each_block(fill, *self.source.shape[:2])
        return filled


def _for_each_block(work: Callable[[slice], None], height: int, width: int) -> None:
    """Do all rows of a frame, some at a time, in several threads where there is enough to do: NumPy lets them run."""
    step = max(1, BLOCK // width)
    blocks = [slice(top, min(top + step, height)) for top in range(0, height, step)]
    threads = min(allowed_threads(), len(blocks) // 4)
    if threads < 2:
        for rows in blocks:
            work(rows)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))
