"""The four artifact metrics that this project's first study published: a baseline to reproduce, not to believe.

They confuse darkness and detail with damage: the salt-and-pepper ratio counts every dark pixel, the noise variance
holds the texture of one corner, the block variance grows with any detail. The other modules of this package do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.measurement import Measurement

Rating = Literal["weak", "moderate", "strong", "unknown"]

LUMA = (0.298936021293775, 0.587043074451121, 0.114020904255103)
"""Weights of red, green and blue in the grey image: first row of the inverse of the NTSC matrix from YIQ to RGB.

The study prints them as 0.2989, 0.5870 and 0.1140. Those sum to 0.9999, and with them some pixels round to another grey
level: the fifth digit of three published numbers is met only by the unrounded weights.
"""

CORNER = 50
"""Side of the square at the top left in which the noise variance is taken, px."""

BLOCK = 8
"""Side of a block of the block variance, px: that of JPEG."""

ALPHA = 0.2
"""Shape of the Laplacian kernel: how much of it lies in the corners."""

DARK, BRIGHT = 0.05, 0.95
"""Pixels below and above count as pepper and salt."""


@dataclass(frozen=True)
class PublishedMetrics:
    """The four numbers of one image.

    Attributes:
        noise_variance: sample variance of the 50 x 50 pixels at the top left, unit "of range squared".
        salt_and_pepper: share of pixels above 0.95 or below 0.05.
        blur: mean absolute Laplacian, "of range": the higher, the sharper.
        block_variance: mean of the sample variances of the 8 x 8 blocks, "of range squared".
    """

    noise_variance: Measurement
    salt_and_pepper: Measurement
    blur: Measurement
    block_variance: Measurement

    @property
    def ratings(self) -> dict[str, Rating]:
        """Weak, moderate or strong per metric, by the thresholds of the study; "unknown" where there is no number."""
        return {
            "noise_variance": _rate(self.noise_variance, lambda value: (value < 0.01, value <= 0.02)),
            "salt_and_pepper": _rate(self.salt_and_pepper, lambda value: (value < 0.02, value < 0.05)),
            "blur": _rate(self.blur, lambda value: (value > 0.05, value >= 0.02)),
            "block_variance": _rate(self.block_variance, lambda value: (value <= 5, value <= 10)),
        }

    def printed(self) -> dict[str, str]:
        """The numbers with the five significant digits in which they were published."""
        return {
            name: "not measurable" if measurement.value is None else f"{measurement.value:.5g}"
            for name, measurement in self._all().items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Numbers (None: not measurable) and ratings, JSON-serialisable."""
        return {**{name: found.value for name, found in self._all().items()}, "ratings": dict(self.ratings)}

    def _all(self) -> dict[str, Measurement]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def published_metrics(image: NDArray[Any], value_range: tuple[float, float] = (0.0, 255.0)) -> PublishedMetrics:
    """Measure an image as the study did.

    Args:
        image: (H, W) or (H, W, 3), any integer or float dtype.
        value_range: (black, white) in units of the pixels; by default those of an 8-bit file.

    Returns:
        The four numbers. An image smaller than what a metric looks at has no number for it. Rows and columns beyond
        the last whole block do not count for the block variance.
    """
    grey = published_grey(image, value_range)
    return PublishedMetrics(
        _noise_variance(grey),
        Measurement(float(np.mean((grey > BRIGHT) | (grey < DARK))), "share"),
        Measurement(float(laplacian_map(grey).mean()), "of range"),
        _block_variance(grey),
    )


def published_grey(image: NDArray[Any], value_range: tuple[float, float] = (0.0, 255.0)) -> NDArray[np.float64]:
    """The grey image that the study measured: luma, rounded to 8 bit, clipped, scaled to [0, 1]; (H, W) float64."""
    black, white = value_range
    scaled = (image.astype(np.float64) - black) / (white - black) * 255
    if scaled.ndim == 3:
        scaled = scaled @ np.array(LUMA)
    return np.floor(np.clip(scaled, 0, 255) + 0.5) / 255


def laplacian_map(grey: NDArray[np.floating]) -> NDArray[np.float64]:
    """Absolute response to the 3 x 3 Laplacian of the study, edges replicated: (H, W), in units of the input.

    The kernel has `ALPHA` in the corners, 1 - `ALPHA` beside them and -4 in the middle, all over `ALPHA` + 1.
    """
    padded = np.pad(np.asarray(grey, np.float64), 1, mode="edge")
    middle_rows = padded[:, :-2] + padded[:, 2:]
    corners = middle_rows[:-2] + middle_rows[2:]
    sides = middle_rows[1:-1] + padded[:-2, 1:-1] + padded[2:, 1:-1]
    return np.abs(ALPHA * corners + (1 - ALPHA) * sides - 4 * padded[1:-1, 1:-1]) / (ALPHA + 1)


def block_variance_map(grey: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sample variance (n - 1) of each whole 8 x 8 block: (H // 8, W // 8), empty for an image smaller than a block."""
    rows, columns = grey.shape[0] // BLOCK, grey.shape[1] // BLOCK
    if not rows * columns:
        return np.empty((rows, columns))
    blocks = np.asarray(grey[: rows * BLOCK, : columns * BLOCK], np.float64).reshape(rows, BLOCK, columns, BLOCK)
    return blocks.var(axis=(1, 3), ddof=1)


def _noise_variance(grey: NDArray[np.float64]) -> Measurement:
    unit = "of range squared"
    if min(grey.shape) < CORNER:
        return Measurement.missing(unit, f"the image is smaller than {CORNER} x {CORNER} pixels")
    return Measurement(float(grey[:CORNER, :CORNER].var(ddof=1)), unit)


def _block_variance(grey: NDArray[np.float64]) -> Measurement:
    unit = "of range squared"
    variances = block_variance_map(grey)
    if not variances.size:
        return Measurement.missing(unit, f"the image is smaller than a block of {BLOCK} x {BLOCK} pixels")
    return Measurement(float(variances.mean()), unit)


def _rate(measurement: Measurement, limits: Callable[[float], tuple[bool, bool]]) -> Rating:
    """By whether a value is weak, and whether it is moderate at most."""
    if measurement.value is None:
        return "unknown"
    weak, at_most_moderate = limits(measurement.value)
    return "weak" if weak else "moderate" if at_most_moderate else "strong"
