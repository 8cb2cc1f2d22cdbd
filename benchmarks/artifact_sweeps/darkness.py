"""Darkness is not damage: the same scene and noise with less and less light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from artifact_sweeps.crops import Crop, Figure, grey, load_crops
from lowlight.artifacts.blur import estimate_blur
from lowlight.artifacts.impulse import estimate_impulses
from lowlight.artifacts.noise import estimate_noise
from lowlight.degradation import Exposure, Quantisation

GAINS = (0.5, 0.25, 0.1)
SIGMA = 0.02
"""Of the noise, added after the exposure."""
SLIGHT_SIGMA = 0.002
"""Of the noise where the blur is measured: it leaves a tenth of the light some scene to judge by."""
BLUR = 1.5


def sweep(data: Path, seed: int) -> list[Figure]:
    """Moves against the image at gain 1; impulses found where there are none."""
    crops = load_crops(data)
    figures = _noise_moves(crops, seed)
    for gain in (1.0, *GAINS):
        for sigma in (0.0, SIGMA):
            figures.append(_invented_impulses(crops, gain, sigma, seed))
    return figures + _blur_moves(crops, seed)


def _taken(pixels: np.ndarray, gain: float, sigma: float, seed: int) -> np.ndarray:
    """The image that a camera stores at this exposure, with noise that does not depend on it."""
    dark = Exposure(gain).apply(pixels)
    noise = np.random.default_rng(seed).standard_normal(dark.shape, dtype=np.float32)
    return Quantisation(8).apply(dark + np.float32(sigma) * noise)


def _noise_moves(crops: list[Crop], seed: int) -> list[Figure]:
    """In grey; in colour a channel that lies at black loses its noise, and with it the mean of the channels."""

    def sigmas(images: list[np.ndarray], gain: float) -> np.ndarray:
        found = [estimate_noise(grey(_taken(image, gain, SIGMA, seed + at))) for at, image in enumerate(images)]
        return np.array([noise.sigma.value if noise.sigma.value is not None else np.nan for noise in found])

    means = [grey(crop.pixels)[None] for crop in crops]
    colour = [crop.pixels for crop in crops if len(crop.pixels) == 3]
    bright, bright_colour = sigmas(means, 1.0), sigmas(colour, 1.0)
    # The images' own noise darkens with the scene; where there is much of it, the noise does move.
    own = np.array([estimate_noise(mean[0]).sigma.value or 0.0 for mean in means])
    quiet = own < SIGMA / 3
    figures = []
    for gain in GAINS:
        dark = sigmas(means, gain)
        figures += _moves(f"noise moves, gain {gain:g}", bright, dark, "<= 0.15")
        still = np.abs(dark / bright - 1) <= 0.15
        figures += [
            Figure(f"noise moves by <= 15 %, share, gain {gain:g}", float(still.mean())),
            Figure(
                f"noise moves by <= 15 %, share, gain {gain:g}, sources below {SIGMA / 3:.4f}",
                float(still[quiet].mean()),
                ">= 0.99",
                f"{np.count_nonzero(quiet)} crops",
            ),
            *_moves(f"noise moves, colour by channel, gain {gain:g}", bright_colour, sigmas(colour, gain), ""),
        ]
    return figures


def _moves(name: str, bright: np.ndarray, dark: np.ndarray, target: str) -> list[Figure]:
    both = np.isfinite(bright) & np.isfinite(dark)
    moves = np.abs(dark[both] / bright[both] - 1)
    untold = f"not measurable in {np.count_nonzero(~both)} of {len(both)}"
    return [
        Figure(f"{name}, median", float(np.median(moves)), target, untold),
        Figure(f"{name}, 90th percentile", float(np.percentile(moves, 90)), target),
    ]


def _invented_impulses(crops: list[Crop], gain: float, sigma: float, seed: int) -> Figure:
    ratios = []
    for at, crop in enumerate(crops):
        image = _taken(crop.pixels, gain, sigma, seed + at)
        ratio = estimate_impulses(image.transpose(1, 2, 0) if len(image) == 3 else image[0]).ratio.value
        ratios.append(np.nan if ratio is None else ratio)
    note = f"not measurable in {np.count_nonzero(np.isnan(ratios))}"
    return Figure(
        f"impulses invented in 1e-4, gain {gain:g}, noise {sigma:g}, largest", 1e4 * np.nanmax(ratios), "<= 1", note
    )


def _blur_moves(crops: list[Crop], seed: int) -> list[Figure]:
    def widths(gain: float) -> np.ndarray:
        found = []
        for at, crop in enumerate(crops):
            soft = gaussian_filter(crop.pixels, (0, BLUR, BLUR))
            found.append(estimate_blur(grey(_taken(soft, gain, SLIGHT_SIGMA, seed + at))).width.value)
        return np.array([np.nan if width is None else width for width in found])

    bright = widths(1.0)
    figures = []
    for gain in GAINS:
        figures += _moves(f"blur width moves, gain {gain:g}", bright, widths(gain), "<= 0.2")
    return figures
