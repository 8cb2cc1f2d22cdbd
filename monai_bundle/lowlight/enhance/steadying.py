"""What keeps a film from flickering: its tone averaged over time, and what flicker is left taken out of the brightness.

Every frame's own tone is an estimate, and noise makes it waver. Within a scene the tones are therefore averaged over
time, twice in a row, each time with weights that fall off exponentially into the past: mean_t = sum_i w_i x_i / sum_i
w_i, w_i = exp(-(t - t_i) / SETTLING). Such a mean needs no frame of the future and no frame rate, never overshoots, and
begins as the plain mean of the first frames (the bias correction of Kingma and Ba, ICLR 2015), where a recursive filter
would hold on to the noise of the very first. Two in a row follow a change of the light as far within a second as one
with 0.4 s does (92 %), but let a third of its noise through from frame to frame, since their answer to a single frame
begins at nothing (a critically damped low pass of second order). Log-gain and log-gamma are bounded at each pixel and
in slope, and so is every weighted mean of them: what comes out is again a tone within all bounds.

Even so the brightness of dark, noisy frames wavers by as much as the input does, times the gain. It is held to its own
recent course, level and trend by double exponential smoothing (Brown, Smoothing, Forecasting and Prediction of Discrete
Time Series, 1963), by a small change of the gain. What changes by more is the scene's.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.result import FramePrediction
from lowlight.model.tone import tone_curve

SETTLING = 0.25
"""Seconds of each of the two averages of the tone: 92 % of a change are followed within a second."""

COURSE = 0.4
"""Seconds over which the course of the brightness is smoothed."""

LARGEST_CORRECTION = 0.1
"""Of the brightness: more than noise makes it waver, and so little that nobody misses it for the moment that it takes
to follow a real change."""

LARGEST_GAIN = 0.4
"""Of log-gain, for that: where much is cut off at white, or was put in by the residual, it takes more."""

_STEP = 2
"""The brightness of a frame is taken from every second pixel of every second row."""


class ToneSmoother:
    """Averages the tones of a scene over time, as the top of this module says.

    Args:
        settling: seconds after which a past tone counts 1/e, in each of the two averages.
    """

    def __init__(self, settling: float = SETTLING) -> None:
        self.settling = settling
        # Of two scenes: a flash between goes by, and the scene before it goes on.
        self._scenes: dict[int, tuple[_Mean, _Mean]] = {}

    def feed(self, tone: NDArray[np.float32], scene: int, seconds: float) -> NDArray[np.float32]:
        """The tone for a frame of this scene, from what `Engine.decide_tones` gives it: of the same shape."""
        means = self._scenes.pop(scene, None)
        if means is None or means[0].tone.shape != tone.shape:
            first = second = _Mean(tone, 1.0, seconds)
        else:
            first = means[0].with_next(tone, seconds, self.settling)
            second = means[1].with_next(first.tone, seconds, self.settling)
        self._scenes = dict([*self._scenes.items(), (scene, (first, second))][-2:])
        return second.tone


class _Mean(NamedTuple):
    tone: NDArray[np.float32]
    weight: float
    seconds: float

    def with_next(self, tone: NDArray[np.float32], seconds: float, settling: float) -> _Mean:
        weight = 1 + self.weight * math.exp(-max(seconds - self.seconds, 0) / settling)
        return _Mean(self.tone + (tone - self.tone) * np.float32(1 / weight), weight, seconds)


class BrightnessSteadier:
    """Holds the brightness of a scene to its course, as the top of this module says."""

    def __init__(self) -> None:
        self._scenes: dict[int, _Course] = {}

    def feed(
        self, display: NDArray[np.float32], prediction: FramePrediction, denoise: float, scene: int, seconds: float
    ) -> FramePrediction:
        """The prediction for the next frame of a scene, with its log-gain changed as a whole.

        Args:
            display: the frame (C, H, W), black 0 and white 1.
            denoise: strength n that it will be blended with; its full brightness is looked at.
        """
        seen = slice(None, None, _STEP)
        log_gain, log_gamma = prediction.log_gain[seen, seen], prediction.log_gamma[seen, seen]
        toned = tone_curve(display[:, seen, seen], log_gain, log_gamma)
        shown = toned + np.float32(denoise) * prediction.residual[: len(display), seen, seen]
        brightness = float(np.clip(shown, 0, 1).mean())
        # What a change of the log-gain does to a pixel of the curve's power, which most are that are not cut off.
        slope = float((np.exp(log_gamma) * np.clip(toned, 0, 1) * ((shown > 0) & (shown < 1))).mean())
        course = self._scenes.pop(scene, None)
        course = _Course(brightness, brightness, seconds) if course is None else course.with_next(brightness, seconds)
        self._scenes = dict([*self._scenes.items(), (scene, course)][-2:])
        most = LARGEST_CORRECTION * brightness
        missing = min(max(course.level - brightness, -most), most)
        if not missing or slope <= 0:
            return prediction
        change = min(max(missing / slope, -LARGEST_GAIN), LARGEST_GAIN)
        return replace(prediction, log_gain=prediction.log_gain + np.float32(change))


class _Course(NamedTuple):
    once: float
    twice: float
    seconds: float

    @property
    def level(self) -> float:
        """Of the brightness now, its trend taken into account."""
        return 2 * self.once - self.twice

    def with_next(self, brightness: float, seconds: float) -> _Course:
        share = 1 - math.exp(-max(seconds - self.seconds, 0) / COURSE)
        once = self.once + share * (brightness - self.once)
        return _Course(once, self.twice + share * (once - self.twice), seconds)
