"""Noise sigma 0.002 to 0.08, the noise level function, and what a JPEG leaves of the noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from artifact_sweeps.crops import Crop, Figure, grey, load_crops, rank_correlation
from lowlight.artifacts.noise import Noise, estimate_noise
from lowlight.degradation import Exposure, JpegCompression, Quantisation, SensorNoise

GAINS = (1.0, 0.5)
SIGMA = (0.002, 0.08)
PHOTONS = (50.0, 1500.0)
READ = (0.002, 0.03)
JPEG_SIGMA = 0.02
QUALITIES = (95, 85, 60)


def sweep(data: Path, seed: int) -> list[Figure]:
    """One drawn sigma a crop and gain, on grey and on colour; then photon noise and JPEG.

    Sigma is drawn evenly over its range and, harder, evenly over its logarithm. Some sources are noisy by themselves (a
    quarter of the radiographs by 0.018 and more): there small added noise cannot be told, so the estimate is also
    compared with the whole, ``sqrt(added^2 + own^2)``, with the source's own noise as the estimator reads it.
    """
    crops = load_crops(data)
    colour = [crop for crop in crops if len(crop.pixels) == 3]
    figures = []
    for gain in GAINS:
        # Noise of the mean of the channels: the whole range of sigma is met on every modality.
        means = [Crop(crop.name, crop.modality, grey(crop.pixels)[None]) for crop in crops]
        for scale in ("even", "logarithm"):
            figures += _sigmas("grey", scale, means, gain, np.random.default_rng(seed), ">= 0.95")
        figures += _sigmas("colour by channel", "logarithm", colour, gain, np.random.default_rng(seed), "")
        figures += _levels(crops, gain, np.random.default_rng(seed))
    return figures + _after_jpeg(crops, np.random.default_rng(seed))


def _sigmas(
    kind: str, scale: str, crops: list[Crop], gain: float, random: np.random.Generator, target: str
) -> list[Figure]:
    """The truth is the noise of the mean of the channels: sigma over the root of their number."""
    share = random.random(len(crops))
    low, high = SIGMA
    sigmas = low + share * (high - low) if scale == "even" else low * (high / low) ** share
    found = [_estimate(crop, gain, sigma, random) for crop, sigma in zip(crops, sigmas, strict=True)]
    told = np.array([noise.sigma.measurable for noise in found])
    truth = sigmas / np.sqrt([len(crop.pixels) for crop in crops])
    own = np.array([_estimate(crop, gain, 0.0, random).sigma.value or 0.0 for crop in crops])
    estimate = np.array([noise.sigma.value or 0.0 for noise in found])
    ratio = estimate[told] / truth[told]
    where = f"{kind}, {scale}, gain {gain:g}"
    untold = f"{len(crops)} crops, not measurable in {np.count_nonzero(~told)}"
    whole = np.hypot(truth, own)
    return [
        Figure(f"noise sigma, Spearman, {where}", rank_correlation(truth[told], estimate[told]), target, untold),
        Figure(f"noise sigma with own, Spearman, {where}", rank_correlation(whole[told], estimate[told])),
        Figure(f"noise sigma over truth, median, {where}", float(np.median(ratio))),
        Figure(f"noise sigma, share within 15 %, {where}", float(np.mean(np.abs(ratio - 1) <= 0.15))),
    ]


def _estimate(crop: Crop, gain: float, sigma: float, random: np.random.Generator) -> Noise:
    dark = Exposure(gain).apply(crop.pixels)
    noisy = dark + np.float32(sigma) * random.standard_normal(dark.shape, dtype=np.float32)
    return estimate_noise(grey(Quantisation(8).apply(noisy)))


def _levels(crops: list[Crop], gain: float, random: np.random.Generator) -> list[Figure]:
    """Read noise and photons drawn apart; of the mean of C channels both variances are 1 / C."""
    photons = np.exp(random.uniform(*np.log(PHOTONS), len(crops)))
    reads = np.exp(random.uniform(*np.log(READ), len(crops)))
    truth, estimate = [], []
    for at, crop in enumerate(crops):
        dark = Exposure(gain).apply(crop.pixels)
        noisy = SensorNoise(float(photons[at]), float(reads[at]), int(random.integers(2**31))).apply(dark)
        noise = estimate_noise(grey(Quantisation(8).apply(noisy)))
        if noise.poisson_slope.value is None or noise.read_sigma.value is None:
            continue
        channels = len(crop.pixels)
        truth.append((1 / photons[at] / channels, reads[at] / np.sqrt(channels)))
        estimate.append((noise.poisson_slope.value, noise.read_sigma.value))
    (slope, read), (slope_found, read_found) = np.array(truth).T, np.array(estimate).T
    untold = f"not measurable in {len(crops) - len(truth)}"
    return [
        Figure(f"Poisson slope, Spearman, gain {gain:g}", rank_correlation(slope, slope_found), "", untold),
        Figure(f"Poisson slope over truth, median, gain {gain:g}", float(np.median(slope_found / slope))),
        Figure(f"read sigma, Spearman, gain {gain:g}", rank_correlation(read, read_found), "", untold),
        Figure(f"read sigma over truth, median, gain {gain:g}", float(np.median(read_found / read))),
    ]


def _after_jpeg(crops: list[Crop], random: np.random.Generator) -> list[Figure]:
    figures = []
    for quality in QUALITIES:
        ratios = []
        for crop in crops:
            noisy = crop.pixels + np.float32(JPEG_SIGMA) * random.standard_normal(crop.pixels.shape, dtype=np.float32)
            sigma = estimate_noise(grey(JpegCompression(quality).apply(noisy))).sigma.value
            if sigma is not None:
                ratios.append(sigma / JPEG_SIGMA * np.sqrt(len(crop.pixels)))
        name = f"noise sigma {JPEG_SIGMA:g} over truth after JPEG {quality}, median"
        figures.append(Figure(name, float(np.median(ratios))))
    return figures
