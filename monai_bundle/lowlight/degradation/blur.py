"""Blur: out of focus, or moved during the exposure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.config import KeysCollection
from scipy.ndimage import gaussian_filter

from lowlight.degradation.base import Degradation, DictionaryForm, RandomDegradation, RandomDictionaryForm
from lowlight.degradation.ranges import Range, checked, one_of

SIGMA = (0.0, 50.0)
LENGTH = (0.0, 200.0)
SHAPES = ("gaussian", "disc")
MOTION_PER_SIGMA = math.sqrt(24)
"""A line of this length blurs as much in sum (length^2 / 12) as a Gaussian of sigma 1 does (1 in each direction)."""

_SUBSAMPLES = 8  # points per pixel and axis when a kernel is rasterised; more change no 8-bit pixel


def convolve(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve (C, H, W) with a small odd kernel; the border is repeated, so a kernel may exceed the image.

    A sum of shifted copies: the kernels here have few taps, and a constant image stays constant.
    """
    height, width = pixels.shape[1:]
    reach = kernel.shape[0] // 2
    padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    result = np.zeros_like(pixels)
    # Convolution, not correlation: the kernel is mirrored. Discs and lines are symmetric, other kernels need not be.
    for row, column in np.argwhere(kernel > 0):
        top, left = 2 * reach - row, 2 * reach - column
        result += kernel[row, column] * padded[:, top : top + height, left : left + width]
    return result


def disc_kernel(radius: float) -> np.ndarray:
    """A uniform disc of this radius (px), anti-aliased, float32, odd size, sum 1."""
    reach = math.ceil(max(radius - 0.5, 0))
    offsets = (np.arange(_SUBSAMPLES) + 0.5) / _SUBSAMPLES - 0.5
    grid = (np.arange(-reach, reach + 1)[:, None] + offsets).ravel()
    inside = (np.add.outer(grid**2, grid**2) <= radius**2).astype(np.float32)
    size = 2 * reach + 1
    kernel = inside.reshape(size, _SUBSAMPLES, size, _SUBSAMPLES).sum((1, 3))
    if not kernel.any():  # thinner than the subsampling: no blur
        kernel[reach, reach] = 1
    return kernel / kernel.sum()


def line_kernel(length: float, angle: float) -> np.ndarray:
    """A uniform line of this length (px) and angle (degrees), anti-aliased, float32, odd size, sum 1."""
    points = max(math.ceil(length * _SUBSAMPLES), 1)
    along = length * ((np.arange(points) + 0.5) / points - 0.5)
    rows, columns = along * math.sin(math.radians(angle)), along * math.cos(math.radians(angle))
    reach = math.ceil(length / 2)
    kernel = np.zeros((2 * reach + 2, 2 * reach + 2))
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - top, columns - left
    for step_down, step_right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (down if step_down else 1 - down) * (right if step_right else 1 - right)
        np.add.at(kernel, (top + step_down + reach, left + step_right + reach), weight)
    kernel = kernel[:-1, :-1]  # the last row and column only caught zero weights
    return (kernel / kernel.sum()).astype(np.float32)


@dataclass(frozen=True)
class Defocus(Degradation):
    """Blur of an image out of focus.

    Args:
        sigma: standard deviation of the point spread in each direction, px, 0 to 50.
        shape: ``gaussian``, or ``disc``: the uniform disc of geometric optics. Its radius is chosen so that disc and
            pixel together have this standard deviation: ``radius^2 / 4 + 1 / 12 = sigma^2``.

    Example:
        >>> point = np.zeros((1, 9, 9), np.float32)
        >>> point[0, 4, 4] = 1
        >>> f"{Defocus(sigma=1.0)(point).max():.3f}"
        '0.159'
    """

    sigma: float
    shape: str = "gaussian"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", checked("sigma", self.sigma, *SIGMA))
        one_of("shape", self.shape, SHAPES)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        if self.sigma == 0:
            return pixels
        if self.shape == "disc":
            return convolve(pixels, disc_kernel(2 * math.sqrt(max(self.sigma**2 - 1 / 12, 0))))
        return gaussian_filter(pixels, (0, self.sigma, self.sigma), mode="nearest")


@dataclass(frozen=True)
class MotionBlur(Degradation):
    """Blur along a straight line: the hand, the patient or the probe moved evenly during the exposure.

    Args:
        length: of the movement, px, 0 to 200.
        angle: direction, degrees; 0 is along the rows, 90 along the columns.

    Example:
        >>> point = np.zeros((1, 1, 9), np.float32)
        >>> point[0, 0, 4] = 1
        >>> MotionBlur(length=3.0)(point).round(2)[0, 0, 2:7].tolist() == np.float32([.04, .29, .33, .29, .04]).tolist()
        True
    """

    length: float
    angle: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", checked("length", self.length, *LENGTH))
        object.__setattr__(self, "angle", checked("angle", self.angle))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        return convolve(pixels, line_kernel(self.length, self.angle)) if self.length else pixels


class RandDefocus(RandomDegradation):
    """:class:`Defocus` with drawn parameters.

    Args:
        sigma: a number or a range (low, high), px.
        disc: probability that the point spread is a disc.
        prob: share of the images that are degraded.
    """

    def __init__(
        self, sigma: float | Sequence[float] | Range = (0.0, 1.6), disc: float = 0.2, prob: float = 1.0
    ) -> None:
        super().__init__(prob)
        self.sigma = Range.parse("sigma", sigma, *SIGMA)
        self.disc = checked("disc", disc, 0.0, 1.0)

    def draw(self, random: np.random.RandomState) -> Defocus:
        return Defocus(self.sigma.draw(random), "disc" if random.rand() < self.disc else "gaussian")


class RandMotionBlur(RandomDegradation):
    """:class:`MotionBlur` with drawn parameters.

    Args:
        length: a number or a range (low, high), px.
        angle: a number or a range, degrees.
        prob: share of the images that are degraded.
    """

    def __init__(
        self,
        length: float | Sequence[float] | Range = (0.0, 8.0),
        angle: float | Sequence[float] | Range = (0.0, 180.0),
        prob: float = 1.0,
    ) -> None:
        super().__init__(prob)
        self.length = Range.parse("length", length, *LENGTH)
        self.angle = Range.parse("angle", angle)

    def draw(self, random: np.random.RandomState) -> MotionBlur:
        return MotionBlur(self.length.draw(random), self.angle.draw(random))


class Defocusd(DictionaryForm):
    """Dictionary form of :class:`Defocus`."""

    def __init__(
        self, keys: KeysCollection, sigma: float, shape: str = "gaussian", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, Defocus(sigma, shape), allow_missing_keys)


class RandDefocusd(RandomDictionaryForm):
    """Dictionary form of :class:`RandDefocus`."""

    def __init__(
        self,
        keys: KeysCollection,
        sigma: float | Sequence[float] | Range = (0.0, 1.6),
        disc: float = 0.2,
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandDefocus(sigma, disc, prob), allow_missing_keys)


class MotionBlurd(DictionaryForm):
    """Dictionary form of :class:`MotionBlur`."""

    def __init__(
        self, keys: KeysCollection, length: float, angle: float = 0.0, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, MotionBlur(length, angle), allow_missing_keys)


class RandMotionBlurd(RandomDictionaryForm):
    """Dictionary form of :class:`RandMotionBlur`."""

    def __init__(
        self,
        keys: KeysCollection,
        length: float | Sequence[float] | Range = (0.0, 8.0),
        angle: float | Sequence[float] | Range = (0.0, 180.0),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandMotionBlur(length, angle, prob), allow_missing_keys)
