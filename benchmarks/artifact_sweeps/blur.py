"""Blur width, 0 to 3 px; its kind and direction; and that it stays when light goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artifact_sweeps.crops import Crop, Figure, grey, load_crops, rank_correlation
from lowlight.artifacts.blur import SHARP, Blur, estimate_blur
from lowlight.degradation import Defocus, Exposure, MotionBlur, Quantisation

WIDEST = 3.0
GAINS = (1.0, 0.5)
DARKER = (0.5, 0.25, 0.1)
KEPT_WIDTHS = (0.0, 1.0, 2.0)
READ_NOISE = 0.005
LENGTHS = (5.0, 8.0, 12.0)


def sweep(data: Path, seed: int) -> list[Figure]:
    """Widths without noise, kinds, and the width in the dark."""
    crops = load_crops(data)
    figures = []
    for gain in GAINS:
        figures += _widths(crops, gain, np.random.default_rng(seed))
    figures += _kinds(crops[::2], np.random.default_rng(seed))
    return figures + darkness(crops[::3], seed)


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


def darkness(crops: Sequence[Crop], seed: int) -> list[Figure]:
    """How far the width moves from gain 1 when light goes and the noise, added after, stays.

    In per cent of the width; of SHARP where the image is sharper than that, since a share of nothing means nothing.
    """
    figures = []
    for sigma in KEPT_WIDTHS:
        blurred = [Defocus(sigma).apply(crop.pixels) for crop in crops]
        before = [_seen(pixels, 1.0, READ_NOISE, seed + at) for at, pixels in enumerate(blurred)]
        for gain in DARKER:
            after = [_seen(pixels, gain, READ_NOISE, seed + at) for at, pixels in enumerate(blurred)]
            moves = np.array(
                [
                    abs(dark.width.value - bright.width.value) / max(bright.width.value, SHARP)
                    for dark, bright in zip(after, before, strict=True)
                    if dark.width.value is not None and bright.width.value is not None
                ]
            )
            name = f"width moves, blur {sigma:g} px, gain 1 to {gain:g}"
            note = f"told {len(moves)} of {len(crops)}; at most 0.2 in {np.mean(moves <= 0.2):.0%} of these"
            figures.append(Figure(f"{name}, median", float(np.median(moves)), "<= 0.2", note))
    return figures


def _seen(pixels: np.ndarray, gain: float, noise: float = 0.0, seed: int = 0) -> Blur:
    dark = Exposure(gain).apply(pixels)
    if noise:
        dark = dark + np.float32(noise) * np.random.default_rng(seed).standard_normal(dark.shape, dtype=np.float32)
    return estimate_blur(grey(Quantisation(8).apply(dark)))


def _share(name: str, found: Sequence[Blur], kind: str) -> Figure:
    return Figure(name, float(np.mean([blur.kind == kind for blur in found])))


def _median_width(found: Sequence[Blur]) -> float:
    return float(np.median([blur.width.value for blur in found if blur.width.value is not None]))
