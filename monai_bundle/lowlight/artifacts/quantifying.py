"""All that can be said about the damage of one image, in one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.blur import Blur, estimate_blur
from lowlight.artifacts.coded_noise import noise_before_coding
from lowlight.artifacts.exposure import Exposure, display_of, judged_pixels, luminance_of, measure_exposure
from lowlight.artifacts.impulse import Impulses, estimate_impulses
from lowlight.artifacts.jpeg import Jpeg, estimate_jpeg
from lowlight.artifacts.measurement import Measurement
from lowlight.artifacts.noise import Noise, estimate_noise
from lowlight.artifacts.severity import Severity, State, needs_nothing, rate, state_of

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance that JPEG codes: in any other mixture its traces blur."""

HARMLESS_QUALITY = 98
"""JPEG quality from which on an impulse comes through as one."""

LABELS: dict[str, str] = {
    "noise_sigma": "Noise",
    "read_sigma": "Read noise",
    "poisson_slope": "Poisson slope",
    "impulse_ratio": "Salt and pepper",
    "blur_width": "Blur width",
    "blur_direction": "Blur direction",
    "blockiness": "JPEG blockiness",
    "jpeg_quality": "JPEG quality",
    "mean": "Mean",
    "p1": "1st percentile",
    "p5": "5th percentile",
    "p50": "Median",
    "p95": "95th percentile",
    "p99": "99th percentile",
    "used_range": "Used range",
    "clipped_low": "Clipped to black",
    "clipped_high": "Clipped to white",
    "unevenness": "Uneven lighting",
}
"""What a reader calls each number, by its name in `ArtifactReport.numbers`."""


@dataclass(frozen=True)
class Row:
    """One line of a table about an image.

    Attributes:
        name: of the number, as in `ArtifactReport.numbers`. label: the same for readers.
        measurement: the number, or why there is none.
        severity: none, weak, moderate, strong or unknown; empty where the number by itself is no damage.
    """

    name: str
    label: str
    measurement: Measurement
    severity: str


@dataclass(frozen=True)
class ArtifactReport:
    """What was found in one image.

    Attributes:
        noise, impulses, blur, jpeg, exposure: what each estimator says, see there.
        severities: none, weak, moderate, strong or unknown for "noise", "impulses", "blur", "jpeg" and "exposure" (too
            dark), by the limits of `thresholds.yaml`.
        undamaged: the image needs no enhancement, by the rule of `lowlight.artifacts.severity.needs_nothing`.
        evidence: the numbers from which that follows: `numbers`, but for noise that JPEG hides, of which the pixels
            still give a lower bound.
    """

    noise: Noise
    impulses: Impulses
    blur: Blur
    jpeg: Jpeg
    exposure: Exposure
    severities: dict[str, Severity]
    undamaged: bool
    evidence: Mapping[str, Measurement] = field(repr=False)

    @property
    def state(self) -> State:
        """What is held of the whole image: "undamaged", "damaged" or "not judged", see `state_of`."""
        return state_of(self.undamaged, self.severities)

    @property
    def lower_bounds(self) -> list[str]:
        """Names of the numbers that are at least what they say: JPEG smears impulses, and most are missed after it."""
        quality = self.jpeg.quality.value
        coded = quality is not None and quality < HARMLESS_QUALITY
        return ["impulse_ratio"] if coded and self.impulses.ratio.measurable else []

    @property
    def numbers(self) -> dict[str, Measurement]:
        """All numbers by name, in the order of `LABELS`."""
        return _numbers(self.noise, self.impulses, self.blur, self.jpeg, self.exposure)

    def rows(self) -> list[Row]:
        """One row a number, for tables."""
        return [Row(name, LABELS[name], number, self._severity_of(name)) for name, number in self.numbers.items()]

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable: each number by name (None: not measurable), "not_measurable" with the reasons by name,
        "lower_bounds", names of the numbers that are at least what they say, "blur_kind", "jpeg_source", "severities",
        "state" and "undamaged"."""
        numbers = self.numbers
        return {
            "undamaged": self.undamaged,
            "state": self.state,
            "severities": dict(self.severities),
            **{name: number.value for name, number in numbers.items()},
            "blur_kind": self.blur.kind,
            "jpeg_source": self.jpeg.source,
            "lower_bounds": self.lower_bounds,
            "not_measurable": {name: number.reason for name, number in numbers.items() if number.reason},
        }

    def _severity_of(self, name: str) -> str:
        artifact = RATED.get(name)
        return "" if artifact is None else self.severities[artifact]


RATED = {
    "noise_sigma": "noise",
    "impulse_ratio": "impulses",
    "blur_width": "blur",
    "jpeg_quality": "jpeg",
    "p99": "exposure",
}
"""The numbers by which an artifact is rated."""


def quantify(
    pixels: NDArray[Any],
    value_range: tuple[float, float],
    valid: NDArray[np.bool_] | None = None,
    tables: Mapping[int, Sequence[int]] | None = None,
) -> ArtifactReport:
    """Say how damaged an image is.

    Args:
        pixels: (H, W) or (H, W, 3), any integer or float dtype, finite.
        value_range: (black, white) in units of the pixels; white below black for an inverted scale.
        valid: bool (H, W), False where a pixel is not to be judged (padding, scope border); None: everything but a
            uniform border (`lowlight.artifacts.exposure.uniform_border`).
        tables: quantisation tables of the JPEG file that the pixels come from.

    Returns:
        The report; where an image does not let something be told, the reason stands in place of the number. Noise,
        blur and exposure of a colour image are those of the mean of its channels: a single channel may have up to 1.7
        times as much noise, and be darker.
    """
    display = display_of(pixels, value_range)
    grey = luminance_of(display)
    coded = display if display.ndim == 2 else display @ np.array(LUMA, np.float32)
    valid = judged_pixels(grey, valid)
    # Impulses are neither noise nor fine structure: they are found first, and the others pass them over.
    impulses = estimate_impulses(display, valid)
    intact = valid
    if impulses.mask.any():
        intact = ~impulses.mask if valid is None else valid & ~impulses.mask
    seen = estimate_noise(grey, valid, impulses.mask)
    blur = estimate_blur(grey, intact, seen)
    unclipped = None if display.ndim == 2 else np.all((display > 0) & (display < 1), axis=2)
    jpeg = estimate_jpeg(coded, valid, tables, unclipped)
    exposure = measure_exposure(grey, valid)
    noise = noise_before_coding(seen, jpeg.quality)
    numbers = _numbers(noise, impulses, blur, jpeg, exposure)
    evidence = numbers if noise.sigma.measurable else {**numbers, "noise_sigma": seen.sigma}
    verdict = needs_nothing(evidence)
    return ArtifactReport(noise, impulses, blur, jpeg, exposure, rate(numbers), verdict, evidence)


def _numbers(noise: Noise, impulses: Impulses, blur: Blur, jpeg: Jpeg, exposure: Exposure) -> dict[str, Measurement]:
    return {
        "noise_sigma": noise.sigma,
        "read_sigma": noise.read_sigma,
        "poisson_slope": noise.poisson_slope,
        "impulse_ratio": impulses.ratio,
        "blur_width": blur.width,
        "blur_direction": blur.direction,
        "blockiness": jpeg.blockiness,
        "jpeg_quality": jpeg.quality,
        **exposure.numbers,
    }
