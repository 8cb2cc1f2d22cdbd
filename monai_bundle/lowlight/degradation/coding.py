"""What storage loses: quantisation and JPEG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.config import KeysCollection
from PIL import Image

from lowlight.degradation.base import Degradation, DictionaryForm, RandomDegradation, RandomDictionaryForm
from lowlight.degradation.ranges import Range, checked, one_of

BITS = (1, 16)
QUALITY = (1, 100)
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
_JPEG_LIMIT = 65500  # libjpeg's JPEG_MAX_DIMENSION


def whole(name: str, value: float, low: int, high: int) -> int:
    """The value as an int; ValueError if it is not a whole number between the limits."""
    number = checked(name, value, low, high)
    if number != int(number):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return int(number)


def whole_range(name: str, value: float | Sequence[float] | Range, low: int, high: int) -> Range:
    """A range whose ends are whole numbers between the limits."""
    parsed = Range.parse(name, value, low, high)
    return Range(whole(name, parsed.low, low, high), whole(name, parsed.high, low, high))


def draw_whole(limits: Range, random: np.random.RandomState) -> int:
    """A whole number of the range, both ends included."""
    return int(random.randint(int(limits.low), int(limits.high) + 1))


@dataclass(frozen=True)
class Quantisation(Degradation):
    """Clips to [0, 1] and rounds to ``2^bits`` equally spaced levels, as an analogue-to-digital converter does.

    Args:
        bits: 1 to 16.

    Example:
        >>> Quantisation(bits=1)(np.float32([[[0.2, 0.6]]])).tolist()
        [[[0.0, 1.0]]]
    """

    bits: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", whole("bits", self.bits, *BITS))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        white = np.float32(2**self.bits - 1)
        return np.rint(np.clip(pixels, 0, 1) * white) / white


@dataclass(frozen=True)
class JpegCompression(Degradation):
    """Encodes as 8-bit JPEG in memory and decodes again: the real codec (libjpeg through Pillow), its real artefacts.

    Grey images become grey JPEG, colour becomes YCbCr.

    Args:
        quality: 1 to 100, on the scale of libjpeg.
        subsampling: of the colour: ``4:2:0`` (most files), ``4:2:2``, ``4:4:4`` (none). No effect on grey.

    Raises:
        ValueError: on a call, a side longer than JPEG can hold (65500).

    Example:
        >>> JpegCompression(quality=50)(np.full((3, 16, 16), 0.5, np.float32)).shape
        (3, 16, 16)
    """

    quality: int
    subsampling: str = "4:2:0"

    def __post_init__(self) -> None:
        object.__setattr__(self, "quality", whole("quality", self.quality, *QUALITY))
        one_of("subsampling", self.subsampling, SUBSAMPLINGS)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        if max(pixels.shape) > _JPEG_LIMIT:
            raise ValueError(f"JPEG holds at most {_JPEG_LIMIT} px a side, got {pixels.shape[1:]}")
        levels = np.rint(np.clip(pixels, 0, 1) * np.float32(255)).astype(np.uint8)
        grey = len(levels) == 1
        picture = Image.fromarray(levels[0] if grey else np.ascontiguousarray(levels.transpose(1, 2, 0)))
        with io.BytesIO() as file:
            picture.save(file, "JPEG", quality=self.quality, **({} if grey else {"subsampling": self.subsampling}))
            file.seek(0)
            decoded = np.asarray(Image.open(file))
        return (decoded[None] if grey else decoded.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)


class RandQuantisation(RandomDegradation):
    """:class:`Quantisation` with a drawn number of bits.

    Args:
        bits: a whole number or a range (low, high), both ends included.
        prob: share of the images that are degraded.
    """

    def __init__(self, bits: float | Sequence[float] | Range = (6, 10), prob: float = 1.0) -> None:
        super().__init__(prob)
        self.bits = whole_range("bits", bits, *BITS)

    def draw(self, random: np.random.RandomState) -> Quantisation:
        return Quantisation(draw_whole(self.bits, random))


class RandJpegCompression(RandomDegradation):
    """:class:`JpegCompression` with drawn parameters.

    Args:
        quality: a whole number or a range (low, high), both ends included.
        subsampled: probability of ``4:2:0``; otherwise ``4:2:2`` or ``4:4:4``, equally likely.
        prob: share of the images that are degraded.
    """

    def __init__(
        self, quality: float | Sequence[float] | Range = (35, 95), subsampled: float = 0.85, prob: float = 1.0
    ) -> None:
        super().__init__(prob)
        self.quality = whole_range("quality", quality, *QUALITY)
        self.subsampled = checked("subsampled", subsampled, 0.0, 1.0)

    def draw(self, random: np.random.RandomState) -> JpegCompression:
        quality = draw_whole(self.quality, random)
        if random.rand() < self.subsampled:
            return JpegCompression(quality, "4:2:0")
        return JpegCompression(quality, ("4:2:2", "4:4:4")[random.randint(2)])


class Quantisationd(DictionaryForm):
    """Dictionary form of :class:`Quantisation`."""

    def __init__(self, keys: KeysCollection, bits: int = 8, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, Quantisation(bits), allow_missing_keys)


class RandQuantisationd(RandomDictionaryForm):
    """Dictionary form of :class:`RandQuantisation`."""

    def __init__(
        self,
        keys: KeysCollection,
        bits: float | Sequence[float] | Range = (6, 10),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandQuantisation(bits, prob), allow_missing_keys)


class JpegCompressiond(DictionaryForm):
    """Dictionary form of :class:`JpegCompression`."""

    def __init__(
        self, keys: KeysCollection, quality: int, subsampling: str = "4:2:0", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, JpegCompression(quality, subsampling), allow_missing_keys)


class RandJpegCompressiond(RandomDictionaryForm):
    """Dictionary form of :class:`RandJpegCompression`."""

    def __init__(
        self,
        keys: KeysCollection,
        quality: float | Sequence[float] | Range = (35, 95),
        subsampled: float = 0.85,
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandJpegCompression(quality, subsampled, prob), allow_missing_keys)
