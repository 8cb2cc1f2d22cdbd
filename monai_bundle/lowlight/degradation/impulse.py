"""Pixels that say nothing: dead, hot or lost in transmission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.config import KeysCollection

from lowlight.degradation.base import (
    Degradation,
    DictionaryForm,
    RandomDegradation,
    RandomDictionaryForm,
    checked_seed,
    draw_seed,
    generator,
)
from lowlight.degradation.ranges import Range, checked

SHARE = (0.0, 1.0)


@dataclass(frozen=True)
class SaltAndPepper(Degradation):
    """Sets a share of the pixels to 1 (salt) or 0 (pepper), at random places.

    Args:
        amount: probability that a pixel is hit, 0 to 1.
        salt: share of the hits that are white, 0 to 1.
        per_channel: each channel is hit on its own (a dead sub-pixel) rather than the whole pixel.
        seed: of the places.

    Example:
        >>> hit = SaltAndPepper(amount=0.1)(np.full((1, 200, 200), 0.5, np.float32))
        >>> sorted(set(hit.ravel().tolist()))
        [0.0, 0.5, 1.0]
    """

    amount: float
    salt: float = 0.5
    per_channel: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", checked("amount", self.amount, *SHARE))
        object.__setattr__(self, "salt", checked("salt", self.salt, *SHARE))
        if not isinstance(self.per_channel, bool):
            raise ValueError(f"per_channel must be true or false, got {self.per_channel!r}")
        object.__setattr__(self, "seed", checked_seed(self.seed))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        channels, height, width = pixels.shape
        # One number decides both: below salt * amount it is salt, from there up to amount it is pepper.
        chance = generator(self.seed).random((channels if self.per_channel else 1, height, width))
        hit, white = chance < self.amount, chance < self.amount * self.salt
        return np.where(hit, white.astype(np.float32), pixels)


class RandSaltAndPepper(RandomDegradation):
    """:class:`SaltAndPepper` with drawn parameters.

    Args:
        amount, salt: a number or a range (low, high), 0 to 1.
        per_channel: probability that the channels are hit one by one.
        prob: share of the images that are degraded.
    """

    def __init__(
        self,
        amount: float | Sequence[float] | Range = (0.0, 0.015),
        salt: float | Sequence[float] | Range = 0.5,
        per_channel: float = 0.5,
        prob: float = 1.0,
    ) -> None:
        super().__init__(prob)
        self.amount = Range.parse("amount", amount, *SHARE)
        self.salt = Range.parse("salt", salt, *SHARE)
        self.per_channel = checked("per_channel", per_channel, *SHARE)

    def draw(self, random: np.random.RandomState) -> SaltAndPepper:
        per_channel = bool(random.rand() < self.per_channel)
        return SaltAndPepper(self.amount.draw(random), self.salt.draw(random), per_channel, draw_seed(random))


class SaltAndPepperd(DictionaryForm):
    """Dictionary form of :class:`SaltAndPepper`."""

    def __init__(
        self,
        keys: KeysCollection,
        amount: float,
        salt: float = 0.5,
        per_channel: bool = False,
        seed: int = 0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, SaltAndPepper(amount, salt, per_channel, seed), allow_missing_keys)


class RandSaltAndPepperd(RandomDictionaryForm):
    """Dictionary form of :class:`RandSaltAndPepper`."""

    def __init__(
        self,
        keys: KeysCollection,
        amount: float | Sequence[float] | Range = (0.0, 0.015),
        salt: float | Sequence[float] | Range = 0.5,
        per_channel: float = 0.5,
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandSaltAndPepper(amount, salt, per_channel, prob), allow_missing_keys)
