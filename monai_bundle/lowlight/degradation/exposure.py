"""Too little light: gain and gamma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.config import KeysCollection

from lowlight.degradation.base import Degradation, DictionaryForm, RandomDegradation, RandomDictionaryForm
from lowlight.degradation.ranges import Range, checked

GAIN = (0.0, 1.0)
GAMMA = (0.05, 20.0)


@dataclass(frozen=True)
class Exposure(Degradation):
    """Under-exposure, ``y = gain * x^gamma``.

    Gain is the light that is left; gamma darkens the mid-tones more than the lights, as a wrong display curve or a
    sensor's toe does. Gamma together with noise is how Lore, Akintayo and Sarkar made their low-light material
    ("LLNet", Pattern Recognition 61, 2017).

    Args:
        gain: 0 to 1; 1 keeps white white.
        gamma: 0.05 to 20; above 1 darkens.

    Example:
        >>> Exposure(gain=0.5, gamma=2.0)(np.full((1, 1, 1), 0.5, np.float32)).item()
        0.125
    """

    gain: float
    gamma: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", checked("gain", self.gain, *GAIN))
        object.__setattr__(self, "gamma", checked("gamma", self.gamma, *GAMMA))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        return np.float32(self.gain) * pixels ** np.float32(self.gamma)


class RandExposure(RandomDegradation):
    """:class:`Exposure` with drawn parameters.

    Args:
        gain, gamma: a number or a range (low, high), limits as in :class:`Exposure`.
        prob: share of the images that are degraded.
    """

    def __init__(
        self,
        gain: float | Sequence[float] | Range = (0.1, 0.7),
        gamma: float | Sequence[float] | Range = (1.2, 3.0),
        prob: float = 1.0,
    ) -> None:
        super().__init__(prob)
        self.gain = Range.parse("gain", gain, *GAIN)
        self.gamma = Range.parse("gamma", gamma, *GAMMA)

    def draw(self, random: np.random.RandomState) -> Exposure:
        return Exposure(self.gain.draw(random), self.gamma.draw(random))


class Exposured(DictionaryForm):
    """Dictionary form of :class:`Exposure`."""

    def __init__(self, keys: KeysCollection, gain: float, gamma: float = 1.0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, Exposure(gain, gamma), allow_missing_keys)


class RandExposured(RandomDictionaryForm):
    """Dictionary form of :class:`RandExposure`."""

    def __init__(
        self,
        keys: KeysCollection,
        gain: float | Sequence[float] | Range = (0.1, 0.7),
        gamma: float | Sequence[float] | Range = (1.2, 3.0),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandExposure(gain, gamma, prob), allow_missing_keys)
