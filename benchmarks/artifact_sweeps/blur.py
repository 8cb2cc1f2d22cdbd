"""Blur width, 0 to 3 px; its kind and direction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artifact_sweeps.crops import Crop, Figure, grey, load_crops, rank_correlation
from lowlight.artifacts.blur import Blur, estimate_blur
from lowlight.degradation import Defocus, Exposure, MotionBlur, Quantisation

WIDEST = 3.0
GAINS = (1.0, 0.5)
LENGTHS = (5.0, 8.0, 12.0)


def sweep(data: Path, seed: int) -> list[Figure]:
    """Widths without noise, and kinds."""
    crops = load_crops(data)
    figures = []
    for gain in GAINS:
        figures += _widths(crops, gain, np.random.default_rng(seed))
    return figures + _kinds(crops[::2], np.random.default_rng(seed))


def _widths(crops: Sequence[Crop], gain: float, random: np.random.Generator) -> list[Figure]:
    truth = random.uniform(0, WIDEST, len(crops))
    shapes = np.where(random.random(len(crops)) < 0.3, "disc", "gaussian")
    found = [
        _seen(Defocus(float(sigma), str(shape)).apply(crop.pixels), gain)
        for crop, sigma, shape in zip(crops, truth, shapes, strict=True)
    ]
    told = np.array([blur.width.measurable for blur in found])
    widths = np.array([blur.width.value for blur in found if blur.width.value is not None])
    note = f"{told.sum()} of {len(crops)} crops told"
    modalities = np.array([crop.modality for crop in crops])[told]
    return [
        Figure(f"width, Spearman, gain {gain:g}", rank_correlation(truth[told], widths), ">= 0.85", note),
        Figure(
            f"width, median of |estimate - truth| in px, gain {gain:g}", float(np.median(abs(widths - truth[told])))
        ),
        *(
            Figure(f"  {name}", rank_correlation(truth[told][modalities == name], widths[modalities == name]))
            for name in np.unique(modalities)
        ),
    ]


def _kinds(crops: Sequence[Crop], random: np.random.Generator) -> list[Figure]:
    """How often motion is called motion, and its direction right within 20 degrees; what the others are called."""
    figures = []
    for length in LENGTHS:
        angles = random.uniform(0, 180, len(crops))
        found = [
            _seen(MotionBlur(length, float(angle)).apply(crop.pixels), 1.0)
            for crop, angle in zip(crops, angles, strict=True)
        ]
        errors = [
            abs((blur.direction.value - angle + 90) % 180 - 90)
            for blur, angle in zip(found, angles, strict=True)
            if blur.direction.value is not None
        ]
        figures.append(_share(f"motion of {length:g} px called motion", found, "motion"))
        figures.append(_share(f"motion of {length:g} px called defocus", found, "defocus"))
        figures.append(Figure("  direction within 20 degrees, of those", float(np.mean(np.array(errors) <= 20))))
        figures.append(Figure("  median width x sqrt(24) / length", _median_width(found) * 24**0.5 / length))
    for sigma in (0.0, 1.0, 2.0):
        found = [_seen(Defocus(sigma).apply(crop.pixels), 1.0) for crop in crops]
        figures += [
            _share(f"defocus of {sigma:g} px called {kind}", found, kind) for kind in ("none", "defocus", "motion")
        ]
    return figures


def _seen(pixels: np.ndarray, gain: float) -> Blur:
    return estimate_blur(grey(Quantisation(8).apply(Exposure(gain).apply(pixels))))


def _share(name: str, found: Sequence[Blur], kind: str) -> Figure:
    return Figure(name, float(np.mean([blur.kind == kind for blur in found])))


def _median_width(found: Sequence[Blur]) -> float:
    return float(np.median([blur.width.value for blur in found if blur.width.value is not None]))
