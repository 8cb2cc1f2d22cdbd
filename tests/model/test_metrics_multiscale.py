"""MS-SSIM agrees with an implementation of its own from the paper's formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data

from lowlight.model.metrics import MultiScaleSSIM

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales: Wang, Simoncelli and Bovik 2003, section 3.2."""


def reference(one: np.ndarray, other: np.ndarray) -> float:
    """Of two grey images (H, W) in [0, 1]."""
    result = 1.0
    for scale, weight in enumerate(WEIGHTS):

        def mean(values: np.ndarray) -> np.ndarray:
            return gaussian_filter(values, 1.5, truncate=3.34)[5:-5, 5:-5]

        first, second = mean(one), mean(other)
        covariance = mean(one * other) - first * second
        variances = mean(one * one) - first**2 + mean(other * other) - second**2
        structure = (2 * covariance + 0.03**2) / (variances + 0.03**2)
        if scale == len(WEIGHTS) - 1:
            structure = structure * (2 * first * second + 0.01**2) / (first**2 + second**2 + 0.01**2)
        result *= max(float(structure.mean()), 0) ** weight
        height, width = (side // 2 for side in one.shape)
        one, other = (
            image[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3)) for image in (one, other)
        )
    return result


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_it_agrees_with_the_papers_formulas(sigma: float) -> None:
    truth = data.camera()[100:300, 150:380] / 255
    noisy = np.clip(0.8 * truth + sigma * np.random.default_rng(0).standard_normal(truth.shape), 0, 1)
    one, other = (torch.from_numpy(image).float()[None, None] for image in (noisy, truth))
    assert float(MultiScaleSSIM().measure(one, other)) == pytest.approx(reference(noisy, truth), abs=1e-4)


def test_it_is_one_for_equal_images_and_none_for_those_that_its_scales_do_not_fit() -> None:
    image = torch.rand(2, 3, 176, 180)
    assert torch.allclose(MultiScaleSSIM().measure(image, image), torch.ones(2, 1))
    small = torch.rand(2, 3, 175, 400)
    assert torch.isnan(MultiScaleSSIM().measure(small, small)).all()
