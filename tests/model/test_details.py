"""What the two numbers of fine detail say: kept, lost, invented; and that brightness does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from lowlight.model.details import compare_detail


@pytest.fixture(scope="module", params=["retina", "camera"])
def truth(request: pytest.FixtureRequest) -> np.ndarray:
    """A colour and a grey image, both with fine structure."""
    image = data.retina()[300:700, 400:800] if request.param == "retina" else data.camera()[:400, :400]
    return image.astype(np.float64) / 255


def smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(image, (sigma, sigma, 0)[: image.ndim])


def noise(shape: tuple[int, ...], sigma: float) -> np.ndarray:
    return sigma * np.random.default_rng(7).standard_normal(shape)


def test_the_truth_itself_has_all_its_detail_and_no_other(truth: np.ndarray) -> None:
    assert compare_detail(truth, truth) == (pytest.approx(1, abs=1e-9), pytest.approx(0, abs=1e-9))


@pytest.mark.parametrize("change", [lambda x: x**0.5, lambda x: x**2, lambda x: 0.4 * x, lambda x: 0.2 + 0.6 * x])
def test_a_change_of_brightness_contrast_or_gamma_costs_next_to_nothing(truth: np.ndarray, change) -> None:
    found = compare_detail(change(truth), truth)
    assert found.fidelity > 0.98
    assert found.spurious < 0.03


def test_blur_loses_detail_and_invents_none(truth: np.ndarray) -> None:
    found = [compare_detail(smooth(truth, sigma), truth) for sigma in (0.7, 1.5, 3)]
    fidelities = [one.fidelity for one in found]
    assert fidelities == sorted(fidelities, reverse=True)
    assert fidelities[-1] < 0.85
    assert max(one.spurious for one in found) < 0.08


def test_sharpness_that_is_not_the_truths_scores_badly(truth: np.ndarray) -> None:
    """The blurred truth with the fine structure of another place: as sharp as the truth, and wrong."""
    base = smooth(truth, 2)
    invented = np.clip(base + np.roll(truth - base, (37, 53), (0, 1)), 0, 1)
    wrong, blurred = compare_detail(invented, truth), compare_detail(base, truth)
    assert wrong.spurious > 5 * blurred.spurious
    assert wrong.spurious > 0.2
    assert wrong.fidelity < blurred.fidelity


def test_real_sharpening_is_not_invention(truth: np.ndarray) -> None:
    sharpened = compare_detail(np.clip(truth + 0.5 * (truth - smooth(truth, 2)), 0, 1), truth)
    assert sharpened.fidelity > 0.95
    assert sharpened.spurious < 0.05


def test_more_noise_is_more_spurious_detail(truth: np.ndarray) -> None:
    found = [compare_detail(np.clip(truth + noise(truth.shape, sigma), 0, 1), truth) for sigma in (0.01, 0.03, 0.1)]
    spurious = [one.spurious for one in found]
    assert spurious == sorted(spurious)
    assert spurious[-1] > 10 * spurious[0]


def test_detail_that_fades_in_one_half_is_lost_and_not_invented(truth: np.ndarray) -> None:
    """A denoiser that smooths the dark half of an image weakens detail there; a gain for all would call that new."""
    half = truth.copy()
    half[:200] = smooth(truth, 2)[:200]
    found = compare_detail(half, truth)
    assert 0.6 < found.fidelity < 0.99
    assert found.spurious < 0.06


def test_an_empty_result_has_nothing_kept_and_nothing_invented(truth: np.ndarray) -> None:
    assert compare_detail(np.full_like(truth, 0.3), truth) == (0, pytest.approx(0, abs=1e-9))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 40)])
def test_a_truth_without_detail_has_no_number(shape: tuple[int, int]) -> None:
    assert compare_detail(np.random.default_rng(0).random(shape), np.full(shape, 0.4)) is None


def test_small_images_are_measured() -> None:
    image = np.random.default_rng(0).random((4, 6))
    found = compare_detail(image, image)
    assert found.fidelity == pytest.approx(1)
    assert found.spurious == pytest.approx(0, abs=1e-9)
