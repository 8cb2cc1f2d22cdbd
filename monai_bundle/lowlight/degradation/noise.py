"""Noise of the sensor and of its read-out lines."""

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
from lowlight.degradation.ranges import Range, checked, one_of

PHOTONS = (0.1, 1e9)
SIGMA = (0.0, 1.0)
AXES = ("rows", "columns")
MANY_PHOTONS = 20.0


def photon_counts(expected: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Poisson counts of these expectations, float32.

    Below an expectation of 20 they are true Poisson counts. Above, where drawing those takes eight times as long, they
    are rounded normal numbers with the Cornish-Fisher term that gives them Poisson's skewness too: the distribution
    functions then differ by less than 0.001.
    """
    normal = random.standard_normal(expected.shape, dtype=np.float32)
    counts = np.maximum(np.rint(expected + np.sqrt(expected) * normal + (normal * normal - 1) / 6), 0)
    few = expected < MANY_PHOTONS
    if few.any():
        counts[few] = random.poisson(expected[few])
    return counts.astype(np.float32, copy=False)


@dataclass(frozen=True)
class SensorNoise(Degradation):
    """Photon and read noise, ``y = Poisson(photons * x) / photons + Normal(0, read)``, independent per channel.

    The variance at signal x is ``x / photons + read^2``: the Poissonian-Gaussian model of Foi, Trimeche, Katkovnik and
    Egiazarian (IEEE Transactions on Image Processing 17(10), 2008).

    Args:
        photons: counts that a signal of 1 stands for, 0.1 to 1e9.
        read: standard deviation of the read noise, in units of the signal, 0 to 1.
        seed: of the noise.

    Example:
        >>> noisy = SensorNoise(photons=100, read=0.0)(np.full((1, 300, 300), 0.25, np.float32))
        >>> f"{noisy.std():.3f}"
        '0.050'
    """

    photons: float
    read: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "photons", checked("photons", self.photons, *PHOTONS))
        object.__setattr__(self, "read", checked("read", self.read, *SIGMA))
        object.__setattr__(self, "seed", checked_seed(self.seed))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        random = generator(self.seed)
        photons = np.float32(self.photons)
        noisy = photon_counts(np.maximum(pixels, 0) * photons, random) / photons
        if self.read:
            noisy += np.float32(self.read) * random.standard_normal(pixels.shape, dtype=np.float32)
        return noisy


@dataclass(frozen=True)
class RowNoise(Degradation):
    """Each line has an offset of its own, ``y[r, c] = x[r, c] + Normal(0, sigma)[r]``, the same in all channels.

    Lines of a flat panel or CMOS sensor share an amplifier, whose offset differs from read-out to read-out.

    Args:
        sigma: standard deviation of the offsets, in units of the signal, 0 to 1.
        axis: ``rows`` or ``columns``: which lines share an offset.
        seed: of the offsets.

    Example:
        >>> striped = RowNoise(sigma=0.01)(np.full((1, 8, 8), 0.5, np.float32))
        >>> bool((striped == striped[:, :, :1]).all())
        True
    """

    sigma: float
    axis: str = "rows"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", checked("sigma", self.sigma, *SIGMA))
        one_of("axis", self.axis, AXES)
        object.__setattr__(self, "seed", checked_seed(self.seed))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        _, height, width = pixels.shape
        shape = (1, height, 1) if self.axis == "rows" else (1, 1, width)
        return pixels + np.float32(self.sigma) * generator(self.seed).standard_normal(shape, dtype=np.float32)


class RandSensorNoise(RandomDegradation):
    """:class:`SensorNoise` with drawn parameters.

    Args:
        photons, read: a number or a range (low, high), limits as in :class:`SensorNoise`.
        prob: share of the images that are degraded.
    """

    def __init__(
        self,
        photons: float | Sequence[float] | Range = (25.0, 1500.0),
        read: float | Sequence[float] | Range = (0.002, 0.02),
        prob: float = 1.0,
    ) -> None:
        super().__init__(prob)
        self.photons = Range.parse("photons", photons, *PHOTONS)
        self.read = Range.parse("read", read, *SIGMA)

    def draw(self, random: np.random.RandomState) -> SensorNoise:
        return SensorNoise(self.photons.draw(random), self.read.draw(random), draw_seed(random))


class RandRowNoise(RandomDegradation):
    """:class:`RowNoise` with drawn parameters; rows and columns are equally likely.

    Args:
        sigma: a number or a range (low, high), limits as in :class:`RowNoise`.
        prob: share of the images that are degraded.
    """

    def __init__(self, sigma: float | Sequence[float] | Range = (0.001, 0.01), prob: float = 1.0) -> None:
        super().__init__(prob)
        self.sigma = Range.parse("sigma", sigma, *SIGMA)

    def draw(self, random: np.random.RandomState) -> RowNoise:
        return RowNoise(self.sigma.draw(random), AXES[random.randint(len(AXES))], draw_seed(random))


class SensorNoised(DictionaryForm):
    """Dictionary form of :class:`SensorNoise`."""

    def __init__(
        self, keys: KeysCollection, photons: float, read: float = 0.0, seed: int = 0, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, SensorNoise(photons, read, seed), allow_missing_keys)


class RandSensorNoised(RandomDictionaryForm):
    """Dictionary form of :class:`RandSensorNoise`."""

    def __init__(
        self,
        keys: KeysCollection,
        photons: float | Sequence[float] | Range = (25.0, 1500.0),
        read: float | Sequence[float] | Range = (0.002, 0.02),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandSensorNoise(photons, read, prob), allow_missing_keys)


class RowNoised(DictionaryForm):
    """Dictionary form of :class:`RowNoise`."""

    def __init__(
        self, keys: KeysCollection, sigma: float, axis: str = "rows", seed: int = 0, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, RowNoise(sigma, axis, seed), allow_missing_keys)


class RandRowNoised(RandomDictionaryForm):
    """Dictionary form of :class:`RandRowNoise`."""

    def __init__(
        self,
        keys: KeysCollection,
        sigma: float | Sequence[float] | Range = (0.001, 0.01),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandRowNoise(sigma, prob), allow_missing_keys)
