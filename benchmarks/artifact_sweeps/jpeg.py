"""JPEG quality from pixels, 20 to 95, and what becomes of images that were never compressed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from artifact_sweeps.crops import Crop, Figure, load_crops, luma, rank_correlation
from lowlight.artifacts.jpeg import Jpeg, estimate_jpeg
from lowlight.degradation import Defocus, Exposure, JpegCompression, Quantisation

GAINS = (1.0, 0.5)
QUALITY = (20, 95)
SMOOTHING = 0.7
NO_TRACE = 100.0
"""What an image without a trace of compression counts as in a ranking by quality."""


def sweep(data: Path, seed: int) -> list[Figure]:
    """One drawn quality a crop and gain; the grid starts at the crop's corner, and elsewhere for a second row."""
    crops = load_crops(data)
    figures = []
    for gain in GAINS:
        for crop_lines in (0, 3):
            figures += _qualities(crops, gain, crop_lines, np.random.default_rng(seed))
    for name, gain, sigma in (("gain 1", 1.0, 0.0), ("gain 0.3", 0.3, 0.0), ("gain 0.3, noise 0.01", 0.3, 0.01)):
        found = [_uncompressed(crop, gain, sigma, seed + at) for at, crop in enumerate(crops)]
        share = float(np.mean([jpeg.quality.measurable for jpeg in found]))
        figures.append(Figure(f"JPEG invented where there is none, {name}", share, "<= 0.02"))
    return figures


def _qualities(crops: list[Crop], gain: float, crop_lines: int, random: np.random.Generator) -> list[Figure]:
    qualities = random.integers(QUALITY[0], QUALITY[1] + 1, len(crops))
    found = [
        estimate_jpeg(luma(_compressed(crop, gain, int(quality)))[crop_lines:, crop_lines:])
        for crop, quality in zip(crops, qualities, strict=True)
    ]
    estimates = np.array([NO_TRACE if j.quality.value is None else j.quality.value for j in found])
    untold = sum(not jpeg.quality.measurable for jpeg in found)
    where = f"gain {gain:g}, {'grid at the corner' if not crop_lines else 'grid cut by 3 px'}"
    blockiness = [0.0 if jpeg.blockiness.value is None else jpeg.blockiness.value for jpeg in found]
    return [
        Figure(
            f"quality, Spearman, {where}",
            rank_correlation(qualities, estimates),
            ">= 0.95",
            f"{len(crops)} crops, no trace found in {untold}",
        ),
        Figure(f"quality, share within 2, {where}", float(np.mean(np.abs(estimates - qualities) <= 2))),
        Figure(f"blockiness and quality, Spearman, {where}", rank_correlation(qualities, blockiness)),
    ]


def _compressed(crop: Crop, gain: float, quality: int) -> np.ndarray:
    return JpegCompression(quality).apply(Quantisation(8).apply(Exposure(gain).apply(crop.pixels)))


def _uncompressed(crop: Crop, gain: float, sigma: float, seed: int) -> Jpeg:
    """Of the crop without the trace that its own file left, which a gain alone would only scale."""
    noise = np.random.default_rng(seed).normal(0, sigma, crop.pixels.shape) if sigma else 0.0
    dark = Exposure(gain).apply(Defocus(SMOOTHING).apply(crop.pixels)) + np.float32(noise)
    return estimate_jpeg(luma(Quantisation(8).apply(dark)))
