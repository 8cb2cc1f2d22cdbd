"""Every damage at once, as in the benchmark: which factor can still be told, and which cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from artifact_sweeps.crops import Crop, Figure, grey, load_crops, rank_correlation
from lowlight.artifacts.quantifying import quantify
from lowlight.degradation import (
    SEVERITIES,
    Defocus,
    Degradation,
    JpegCompression,
    LowLight,
    MotionBlur,
    RowNoise,
    SaltAndPepper,
    SensorNoise,
)
from lowlight.degradation.blur import MOTION_PER_SIGMA

FACTORS = {"noise_sigma": "noise sigma", "impulse_ratio": "impulses", "blur_width": "blur", "jpeg_quality": "quality"}
Row = tuple[dict[str, float], dict[str, float]]


def sweep(data: Path, seed: int) -> list[Figure]:
    """Correlation of each factor with its truth, in each severity and over all."""
    crops = load_crops(data)
    figures: list[Figure] = []
    everything: list[Row] = []
    for at, severity in enumerate(SEVERITIES):
        draw = LowLight(severity).set_random_state(seed + at)
        rows = [_measured(crop, draw) for crop in crops]
        everything += rows
        figures += _correlations(severity, rows)
    return figures + _correlations("all severities", everything)


def _measured(crop: Crop, draw: LowLight) -> Row:
    """Truth and estimate of the factors in one drawn observation; an estimate is NaN where there is none."""
    observation = draw.draw(draw.R, crop.modality)
    truth = dict.fromkeys(FACTORS, 0.0)
    pixels = crop.pixels
    for step in observation.steps:
        before, pixels = pixels, step.apply(pixels)
        if isinstance(step, (SensorNoise, RowNoise)):
            truth["noise_sigma"] = float(np.hypot(truth["noise_sigma"], (grey(pixels) - grey(before)).std()))
        for kind, (name, value) in TRUTHS.items():
            if isinstance(step, kind):
                truth[name] = value(step)
    report = quantify(np.clip(pixels, 0, 1).transpose(1, 2, 0).squeeze(), (0.0, 1.0))
    numbers = {name: report.numbers[name].value for name in FACTORS}
    return truth, {name: np.nan if value is None else value for name, value in numbers.items()}


TRUTHS: dict[type[Degradation], tuple[str, Callable[..., float]]] = {
    SaltAndPepper: ("impulse_ratio", lambda step: step.amount),
    Defocus: ("blur_width", lambda step: step.sigma),
    MotionBlur: ("blur_width", lambda step: step.length / MOTION_PER_SIGMA),
    JpegCompression: ("jpeg_quality", lambda step: float(step.quality)),
}


def _correlations(name: str, rows: list[Row]) -> list[Figure]:
    figures = []
    for key, factor in FACTORS.items():
        truth, estimate = (np.array([row[side][key] for row in rows]) for side in (0, 1))
        told = np.isfinite(estimate)
        value = rank_correlation(truth[told], estimate[told]) if told.sum() > 2 else np.nan
        middle = f"medians {np.median(truth[told]):.4g} / {np.median(estimate[told]):.4g}" if told.any() else ""
        figures.append(Figure(f"{name}: {factor}, Spearman", value, "", f"told {told.sum()} of {len(rows)}; {middle}"))
    return figures
