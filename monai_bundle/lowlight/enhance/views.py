"""A frame seen turned and mirrored in all ways, and the mean of what the network says of it: the size "best".

Geometric self-ensemble: Lim, Son, Kim, Nah, Lee, "Enhanced deep residual networks for single image super-resolution"
(EDSR+), CVPR workshops 2017, section 3.3. Here the tone is decided once, by the upright frame, and turned with it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.blending import FramePrediction
from lowlight.enhance.watching import Phase, Watch

if TYPE_CHECKING:
    from lowlight.enhance.loading import Engine

_ROWS_COLUMNS = (-2, -1)


class View(NamedTuple):
    """One of the eight ways to look at a frame: mirrored or not, then turned by so many quarters."""

    mirrored: bool
    quarters: int

    def of(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array (..., H, W) seen so, contiguous."""
        seen = np.flip(array, -1) if self.mirrored else array
        return np.ascontiguousarray(np.rot90(seen, self.quarters, _ROWS_COLUMNS))

    def back(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array (..., h, w) seen so, as it was."""
        upright = np.rot90(array, -self.quarters, _ROWS_COLUMNS)
        return np.flip(upright, -1) if self.mirrored else upright


VIEWS = tuple(View(*ways) for ways in itertools.product((False, True), range(4)))
"""All of them; the first is the upright one."""


class ManyViews:
    """An engine that asks another one eight times of each frame.

    The residual is the mean of the eight; the expected error is the root of the mean of their squares, which that of
    the mean does not exceed, whether the eight err alike or not; the tone is that of the upright frame.

    Args:
        engine: runs the network.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name, self.device = engine.name, engine.device

    def decide_tone(self, display: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine`."""
        return self.engine.decide_tone(display)

    def decide_tones(self, display: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine`."""
        return self.engine.decide_tones(display)

    def tone_shape(self, height: int, width: int) -> tuple[int, ...]:
        """See `Engine`."""
        return self.engine.tone_shape(height, width)

    def check_size(self, shape: tuple[int, int, int, int]) -> None:
        """See `Engine`."""
        self._engine_for(shape).check_size((1, *shape[1:]))

    def beside(self, held: int) -> ManyViews:
        """See `Engine`."""
        return ManyViews(self.engine.beside(held))

    def _engine_for(self, shape: tuple[int, ...]) -> Engine:
        """The one that is asked, frame by frame, while all frames (F, C, H, W) and what was said of them are held."""
        count, channels, height, width = shape
        frames, results, maps = count * channels * 6, count * (channels + 1) * 4, 2 * 4
        return self.engine.beside(height * width * (frames + results + maps))

    def predict(
        self, display: NDArray[np.float32], watch: Watch | None = None, tone: NDArray[np.float32] | None = None
    ) -> list[FramePrediction]:
        """See `Engine`; `watch` hears of the parts of every view."""
        watch = watch or Watch()
        engine, count = self._engine_for(display.shape), len(display)
        if tone is None:
            tone = _decided_together(engine, display, watch)
        tones = tone if len(tone) == count else [tone[0]] * count
        runs = _Runs(watch, count * len(VIEWS))
        predictions = []
        for frame, own in zip(display, tones, strict=True):
            mean = _Mean(frame.shape)
            for view in VIEWS:
                mean.add(view, runs.next(engine, view.of(frame[None]), view.of(own[None])))
            predictions.append(mean.prediction())
        return predictions


def _decided_together(engine: Engine, display: NDArray[np.float32], watch: Watch) -> NDArray[np.float32]:
    """The one tone of all frames: the mean of what each would get for itself."""
    tone = np.zeros(engine.tone_shape(*display.shape[-2:]), np.float32)
    for done, frame in enumerate(display):
        watch.tell("tone", done, len(display))
        tone += engine.decide_tones(frame[None])
    return tone / np.float32(len(display))


class _Mean:
    """Of what was said of a frame of this shape (C, H, W)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._residual = np.zeros(shape, np.float32)
        self._square_error = np.zeros(shape[1:], np.float32)
        self._maps: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def add(self, view: View, prediction: FramePrediction) -> None:
        if self._maps is None:
            self._maps = prediction.log_gain, prediction.log_gamma
        self._residual += view.back(prediction.residual)
        self._square_error += view.back(np.exp(2 * prediction.log_error))

    def prediction(self) -> FramePrediction:
        assert self._maps is not None
        self._residual /= len(VIEWS)
        log_error = self._square_error
        log_error /= len(VIEWS)
        np.log(log_error, out=log_error)
        log_error /= 2
        return FramePrediction(self._residual, log_error, *self._maps)


class _Runs:
    """Runs of an engine, each of one frame and all of the same number of parts, told as a single one."""

    def __init__(self, watch: Watch, count: int) -> None:
        self._watch, self._count, self._done = watch, count, 0

    def next(self, engine: Engine, display: NDArray[np.float32], tone: NDArray[np.float32]) -> FramePrediction:
        """The next one. Who stops the whole stops it."""
        part = Watch(self._heard)
        with self._watch.ended_by(part.stop):
            (prediction,) = engine.predict(display, part, tone)
        self._done += 1
        return prediction

    def _heard(self, phase: Phase, done: int, total: int) -> None:
        self._watch.tell(phase, self._done * total + done, self._count * total)
