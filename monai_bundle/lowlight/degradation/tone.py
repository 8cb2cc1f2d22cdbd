"""Tone changes of the clean material, so that a network meets more contrasts than the collection holds.

They are no damage: put them before :class:`~lowlight.degradation.LowLightd`, and the truth is what they return.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.config import KeysCollection
from skimage.color import hsv2rgb, rgb2hsv
from skimage.exposure import adjust_gamma, equalize_adapthist, equalize_hist, rescale_intensity

from lowlight.degradation.base import Degradation, DictionaryForm, RandomDegradation, RandomDictionaryForm
from lowlight.degradation.ranges import Range, checked, one_of

PERCENT = (0.0, 100.0)
GAMMA = (0.05, 20.0)
SHARE = (0.0, 1.0)
MODES = ("global", "clahe")


@dataclass(frozen=True)
class ContrastStretch(Degradation):
    """Maps the ``lower`` percentile to 0 and the ``upper`` to 1, linearly, and clips what lies beyond.

    All channels share the line, so that hues of unclipped pixels change little. An image without contrast between the
    percentiles stays as it is.

    Args:
        lower, upper: percentiles over all channels, 0 to 100, ``lower`` below ``upper``.

    Example:
        >>> ContrastStretch(lower=0, upper=100)(np.float32([[[0.2, 0.4, 0.6]]])).round(6).tolist()
        [[[0.0, 0.5, 1.0]]]
    """

    lower: float = 1.0
    upper: float = 99.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", checked("lower", self.lower, *PERCENT))
        object.__setattr__(self, "upper", checked("upper", self.upper, *PERCENT))
        if self.lower >= self.upper:
            raise ValueError(f"lower must be below upper, got {self.lower:g} and {self.upper:g}")

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        black, white = np.percentile(pixels, (self.lower, self.upper))
        if white <= black:
            return pixels
        return rescale_intensity(pixels, in_range=(float(black), float(white)), out_range=(0.0, 1.0))


@dataclass(frozen=True)
class GammaCorrection(Degradation):
    """``y = x^gamma`` in each channel; unlike :class:`Exposure` it is meant to go either way.

    Args:
        gamma: 0.05 to 20; below 1 brightens.

    Example:
        >>> GammaCorrection(gamma=0.5)(np.float32([[[0.25]]])).item()
        0.5
    """

    gamma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", checked("gamma", self.gamma, *GAMMA))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        return adjust_gamma(pixels, self.gamma)


@dataclass(frozen=True)
class HistogramEqualisation(Degradation):
    """Spreads the brightness evenly, over the whole image or place by place; of colour, the value channel of HSV.

    Args:
        mode: ``global``, or ``clahe``: contrast-limited and adaptive (Pizer et al., Computer Vision, Graphics, and
            Image Processing 39, 1987; Zuiderveld, Graphics Gems IV, 1994).
        strength: 0 to 1, share of the equalised image in the result; the rest is the image itself.
        clip_limit: of CLAHE, 0 to 1: higher gives more contrast.

    Example:
        >>> ramp = np.linspace(0.4, 0.6, 64, dtype=np.float32).reshape(1, 8, 8)
        >>> bool(np.ptp(HistogramEqualisation()(ramp)) > 0.9)
        True
    """

    mode: str = "global"
    strength: float = 1.0
    clip_limit: float = 0.01

    def __post_init__(self) -> None:
        one_of("mode", self.mode, MODES)
        object.__setattr__(self, "strength", checked("strength", self.strength, *SHARE))
        object.__setattr__(self, "clip_limit", checked("clip_limit", self.clip_limit, *SHARE))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        if len(pixels) == 1:
            equalised = self._equalise(pixels[0])[None]
        else:
            hsv = rgb2hsv(pixels, channel_axis=0)
            hsv[2] = self._equalise(hsv[2])
            equalised = hsv2rgb(hsv, channel_axis=0).astype(np.float32)
        return pixels + np.float32(self.strength) * (equalised - pixels)

    def _equalise(self, plane: np.ndarray) -> np.ndarray:
        # A constant image has no histogram to spread; scikit-image would make it white, or divide by zero.
        if np.ptp(plane) == 0:
            return plane
        if self.mode == "global":
            return equalize_hist(plane).astype(np.float32)
        return equalize_adapthist(plane, clip_limit=self.clip_limit).astype(np.float32)


class RandContrastStretch(RandomDegradation):
    """:class:`ContrastStretch` with drawn percentiles.

    Args:
        lower, upper: a number or a range (low, high), percent; the ranges must not meet.
        prob: share of the images that are changed.
    """

    def __init__(
        self,
        lower: float | Sequence[float] | Range = (0.0, 2.0),
        upper: float | Sequence[float] | Range = (98.0, 100.0),
        prob: float = 1.0,
    ) -> None:
        super().__init__(prob)
        self.lower = Range.parse("lower", lower, *PERCENT)
        self.upper = Range.parse("upper", upper, *PERCENT)
        if self.lower.high >= self.upper.low:
            raise ValueError(f"lower must stay below upper, got {lower!r} and {upper!r}")

    def draw(self, random: np.random.RandomState) -> ContrastStretch:
        return ContrastStretch(self.lower.draw(random), self.upper.draw(random))


class RandGammaCorrection(RandomDegradation):
    """:class:`GammaCorrection` with a drawn exponent, uniform in its logarithm: brighter is as likely as darker.

    Args:
        gamma: a number or a range (low, high).
        prob: share of the images that are changed.
    """

    def __init__(self, gamma: float | Sequence[float] | Range = (0.7, 1.4), prob: float = 1.0) -> None:
        super().__init__(prob)
        self.gamma = Range.parse("gamma", gamma, *GAMMA)

    def draw(self, random: np.random.RandomState) -> GammaCorrection:
        drawn = np.exp(random.uniform(np.log(self.gamma.low), np.log(self.gamma.high)))
        # The way through the logarithm may miss the end of the range in the last bit.
        return GammaCorrection(float(np.clip(drawn, self.gamma.low, self.gamma.high)))


class RandHistogramEqualisation(RandomDegradation):
    """:class:`HistogramEqualisation` with drawn parameters.

    Args:
        modes: drawn from these, each as likely as the others.
        strength, clip_limit: a number or a range (low, high).
        prob: share of the images that are changed.
    """

    def __init__(
        self,
        modes: Sequence[str] = MODES,
        strength: float | Sequence[float] | Range = (0.3, 1.0),
        clip_limit: float | Sequence[float] | Range = (0.003, 0.02),
        prob: float = 1.0,
    ) -> None:
        super().__init__(prob)
        self.modes = tuple(one_of("modes", mode, MODES) for mode in modes)
        if not self.modes:
            raise ValueError(f"modes must name at least one of {', '.join(MODES)}")
        self.strength = Range.parse("strength", strength, *SHARE)
        self.clip_limit = Range.parse("clip_limit", clip_limit, *SHARE)

    def draw(self, random: np.random.RandomState) -> HistogramEqualisation:
        mode = self.modes[random.randint(len(self.modes))]
        return HistogramEqualisation(mode, self.strength.draw(random), self.clip_limit.draw(random))


class ContrastStretchd(DictionaryForm):
    """Dictionary form of :class:`ContrastStretch`."""

    def __init__(
        self, keys: KeysCollection, lower: float = 1.0, upper: float = 99.0, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, ContrastStretch(lower, upper), allow_missing_keys)


class RandContrastStretchd(RandomDictionaryForm):
    """Dictionary form of :class:`RandContrastStretch`."""

    def __init__(
        self,
        keys: KeysCollection,
        lower: float | Sequence[float] | Range = (0.0, 2.0),
        upper: float | Sequence[float] | Range = (98.0, 100.0),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandContrastStretch(lower, upper, prob), allow_missing_keys)


class GammaCorrectiond(DictionaryForm):
    """Dictionary form of :class:`GammaCorrection`."""

    def __init__(self, keys: KeysCollection, gamma: float, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, GammaCorrection(gamma), allow_missing_keys)


class RandGammaCorrectiond(RandomDictionaryForm):
    """Dictionary form of :class:`RandGammaCorrection`."""

    def __init__(
        self,
        keys: KeysCollection,
        gamma: float | Sequence[float] | Range = (0.7, 1.4),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandGammaCorrection(gamma, prob), allow_missing_keys)


class HistogramEqualisationd(DictionaryForm):
    """Dictionary form of :class:`HistogramEqualisation`."""

    def __init__(
        self,
        keys: KeysCollection,
        mode: str = "global",
        strength: float = 1.0,
        clip_limit: float = 0.01,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, HistogramEqualisation(mode, strength, clip_limit), allow_missing_keys)


class RandHistogramEqualisationd(RandomDictionaryForm):
    """Dictionary form of :class:`RandHistogramEqualisation`."""

    def __init__(
        self,
        keys: KeysCollection,
        modes: Sequence[str] = MODES,
        strength: float | Sequence[float] | Range = (0.3, 1.0),
        clip_limit: float | Sequence[float] | Range = (0.003, 0.02),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandHistogramEqualisation(modes, strength, clip_limit, prob), allow_missing_keys)
