"""Arrays as small pictures inside a page: thumbnails as shown on a screen, and maps of one number per pixel."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Palette = Literal["sequential", "diverging"]

ANCHORS: dict[Palette, tuple[tuple[int, int, int], ...]] = {
    "sequential": (
        (13, 11, 46),
        (48, 36, 110),
        (28, 84, 148),
        (24, 136, 146),
        (92, 184, 110),
        (218, 219, 74),
        (255, 250, 208),
    ),
    "diverging": (
        (120, 190, 255),
        (40, 110, 200),
        (18, 44, 90),
        (18, 18, 22),
        (98, 40, 10),
        (214, 100, 20),
        (255, 198, 120),
    ),
}
"""Colours from the low to the high end of a scale, evenly spaced. Sequential: lightness only rises, so that the map
reads in grey too. Diverging: black is zero, both directions grow lighter, blue and orange stay apart for most eyes."""

COLOURS = 64
"""Steps of a scale: no eye tells more apart in a small map, and the file stays small."""

JPEG_QUALITY = 90
"""Of thumbnails. Numbers are never taken from them."""


@dataclass(frozen=True)
class Picture:
    """A picture that travels inside the page.

    Attributes:
        uri: the encoded picture as a data URI.
        width, height: in pixels of the picture.
        tiny: whether it should be enlarged without smoothing, pixel by pixel.
    """

    uri: str
    width: int
    height: int

    @property
    def tiny(self) -> bool:
        """Whether it is so small that it is best enlarged pixel by pixel."""
        return max(self.width, self.height) < 128


@dataclass(frozen=True)
class Map:
    """A map of one number per pixel, with what its colours mean.

    Attributes:
        picture: the coloured map.
        palette: which colours.
        low, middle, high: texts at the ends and the middle of the scale, with units.
    """

    picture: Picture
    palette: Palette
    low: str
    middle: str
    high: str


def thumbnail(display: NDArray[np.floating[Any]], longest: int) -> Picture:
    """A picture of an image as a screen shows it.

    Args:
        display: (H, W) or (H, W, 3), 0 black and 1 white; clipped to that.
        longest: neither side of the picture is longer, in pixels. Smaller images keep their size.
    """
    levels = np.rint(np.clip(_reduced(display, longest), 0, 1) * 255).astype(np.uint8)
    image = _fitted(Image.fromarray(np.ascontiguousarray(levels)), longest)
    return _encoded(image, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)


def sequential_map(values: NDArray[np.floating[Any]], longest: int, unit: str) -> Map:
    """A map of numbers from 0 up; the scale ends at the 99th percentile, beyond which the colour stays the last.

    Args:
        values: (H, W), 0 or more.
        longest: longest side of the picture, in pixels.
        unit: follows the numbers of the scale.
    """
    reduced = _reduced(values, longest)
    high = float(np.percentile(reduced, 99)) if reduced.size else 0.0
    span = high if high > 0 else 1.0
    picture = _coloured(reduced / span, longest, "sequential")
    return Map(picture, "sequential", f"0 {unit}".strip(), number(span / 2), f"≥ {number(span)}")


def symmetric_map(values: NDArray[np.floating[Any]], longest: int, unit: str) -> Map:
    """A map of numbers on both sides of 0, whose colour is black; the scale ends at the 99th percentile of their size.

    Args:
        values: (H, W).
        longest: longest side of the picture, in pixels.
        unit: follows the numbers of the scale.
    """
    reduced = _reduced(values, longest)
    high = float(np.percentile(np.abs(reduced), 99)) if reduced.size else 0.0
    span = high if high > 0 else 1.0
    picture = _coloured(0.5 + reduced / (2 * span), longest, "diverging")
    return Map(picture, "diverging", f"≤ \N{MINUS SIGN}{number(span)}", f"0 {unit}".strip(), f"≥ +{number(span)}")


def factor_map(values: NDArray[np.floating[Any]], longest: int) -> Map:
    """A map of factors on a logarithmic scale from the least (1 at most) to the largest (2 at least).

    Args:
        values: (H, W), above 0.
        longest: longest side of the picture, in pixels.
    """
    reduced = np.log2(np.maximum(_reduced(values, longest), 1e-6))
    low, high = min(0.0, float(reduced.min())), max(1.0, float(reduced.max()))
    picture = _coloured((reduced - low) / (high - low), longest, "sequential")
    low_text, middle, high_text = (
        f"\N{MULTIPLICATION SIGN} {number(2**level)}" for level in (low, (low + high) / 2, high)
    )
    return Map(picture, "sequential", low_text, middle, high_text)


def number(value: float) -> str:
    """A number with two or three significant digits, as people write it."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-4 <= abs(value) < 1e5:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def gradient(palette: Palette) -> str:
    """The colours of a scale as CSS, from left to right."""
    stops = ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in ANCHORS[palette])
    return f"linear-gradient(to right, {stops})"


def _reduced(values: NDArray[np.floating[Any]], longest: int) -> NDArray[np.float32]:
    """Means over squares of whole pixels, down to less than twice the wanted side: cheap for large images."""
    factor = max(1, max(values.shape[:2]) // longest)
    height, width = (max(1, side // factor) for side in values.shape[:2])
    rows, columns = min(factor, values.shape[0]), min(factor, values.shape[1])
    cut = np.asarray(values[: height * rows, : width * columns], np.float32)
    return cut.reshape(height, rows, width, columns, *values.shape[2:]).mean((1, 3))


def _fitted(image: Image.Image, longest: int) -> Image.Image:
    scale = longest / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _coloured(shares: NDArray[np.floating[Any]], longest: int, palette: Palette) -> Picture:
    """A map of numbers in [0, 1], clipped to that, in the colours of a scale."""
    # Fitted before the colours: the mean of two colours of a scale need not lie on it.
    levels = np.asarray(_fitted(Image.fromarray(np.ascontiguousarray(shares, np.float32)), longest))
    steps = np.rint(np.clip(levels, 0, 1) * (COLOURS - 1)).astype(np.uint8)
    image = Image.fromarray(steps, "L")
    image.putpalette(_PALETTES[palette])
    return _encoded(image, "PNG", optimize=True)


def _palette(palette: Palette) -> bytes:
    anchors = np.array(ANCHORS[palette], np.float64)
    at = np.linspace(0, len(anchors) - 1, COLOURS)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, 1)).astype(np.uint8).tobytes()


_PALETTES: dict[Palette, bytes] = {name: _palette(name) for name in ANCHORS}


def _encoded(image: Image.Image, kind: Literal["PNG", "JPEG"], **options: Any) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind.lower()};base64,{text}", image.width, image.height)
