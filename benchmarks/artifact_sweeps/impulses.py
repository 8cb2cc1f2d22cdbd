"""Share of salt and pepper, 0 to 0.05, by pixel and by channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from artifact_sweeps.crops import Crop, Figure, load_crops, rank_correlation
from lowlight.artifacts.impulse import Impulses, estimate_impulses
from lowlight.degradation import Exposure, JpegCompression, Quantisation, SaltAndPepper

GAINS = (1.0, 0.5)
AMOUNT = (0.0, 0.05)
QUALITY = 85


def sweep(data: Path, seed: int) -> list[Figure]:
    """One drawn share a crop and gain; in every other colour crop the channels are hit one by one."""
    crops = load_crops(data)
    figures = []
    for gain in GAINS:
        figures += _shares(crops, gain, 0, np.random.default_rng(seed))
        figures += _shares(crops, gain, QUALITY, np.random.default_rng(seed))
    return figures


def hit(crop: Crop, gain: float, damage: SaltAndPepper, quality: int = 0) -> Impulses:
    """What is found in a crop that was exposed, hit, and stored in 8 bits or as JPEG of a quality."""
    corrupted = damage.apply(Quantisation(8).apply(Exposure(gain).apply(crop.pixels)))
    stored = JpegCompression(quality).apply(corrupted) if quality else corrupted
    return estimate_impulses(stored.transpose(1, 2, 0) if len(stored) == 3 else stored[0])


def _shares(crops: list[Crop], gain: float, quality: int, random: np.random.Generator) -> list[Figure]:
    amounts = random.uniform(*AMOUNT, len(crops))
    seeds = random.integers(0, 2**31, len(crops))
    found = [
        hit(crop, gain, SaltAndPepper(float(amount), per_channel=bool(at % 2), seed=int(seeds[at])), quality)
        for at, (crop, amount) in enumerate(zip(crops, amounts, strict=True))
    ]
    told = np.array([impulses.ratio.measurable for impulses in found])
    estimate = np.array([impulses.ratio.value or 0.0 for impulses in found])
    where = f"gain {gain:g}" + (f", then JPEG {quality}" if quality else "")
    return [
        Figure(
            f"impulse ratio, Spearman, {where}",
            rank_correlation(amounts[told], estimate[told]),
            "" if quality else ">= 0.95",
            f"{len(crops)} crops, not measurable in {np.count_nonzero(~told)}",
        ),
        Figure(f"impulse ratio over truth, median, {where}", float(np.median(estimate[told] / amounts[told]))),
    ]
