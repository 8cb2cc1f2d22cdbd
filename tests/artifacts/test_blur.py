"""What the blur estimator promises."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from lowlight.artifacts.blur import band_model, band_tensors, estimate_blur
from lowlight.degradation import Defocus, MotionBlur


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """A sharp photograph: float32 (256, 256)."""
    return (data.camera()[100:356, 100:356] / 255).astype(np.float32)


@pytest.fixture(scope="module")
def fundus() -> np.ndarray:
    """A fundus photograph brought to twice its sharpness by halving: float32 (256, 256)."""
    return data.retina()[450:962, 450:962, 1].reshape(256, 2, 256, 2).mean((1, 3)).astype(np.float32) / 255


def stored(pixels: np.ndarray, gain: float = 1.0, sigma: float = 0.0, seed: int = 0) -> np.ndarray:
    """What an 8-bit camera keeps."""
    noise = sigma * np.random.default_rng(seed).standard_normal(pixels.shape)
    return np.rint(np.clip(gain * pixels + noise, 0, 1) * 255).astype(np.float32) / 255


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("shape", ["gaussian", "disc"])
@pytest.mark.parametrize("scene", ["photograph", "fundus"])
def test_width_is_measured_in_pixels(scene: str, shape: str, sigma: float, request: pytest.FixtureRequest) -> None:
    blurred = Defocus(sigma, shape)(request.getfixturevalue(scene)[None])[0]
    assert estimate_blur(stored(blurred)).width.value == pytest.approx(sigma, rel=0.35)


def test_a_sharp_image_is_called_sharp(photograph: np.ndarray) -> None:
    found = estimate_blur(stored(photograph))
    assert found.width.value < 0.6
    assert found.kind == "none"
    assert found.direction.reason


def test_defocus_is_told_from_motion(photograph: np.ndarray) -> None:
    found = estimate_blur(stored(gaussian_filter(photograph, 1.5)))
    assert found.kind == "defocus"
    assert found.direction.reason


@pytest.mark.parametrize("angle", [0.0, 35.0, 60.0, 90.0, 120.0, 150.0])
def test_motion_and_its_direction_are_told(photograph: np.ndarray, angle: float) -> None:
    found = estimate_blur(stored(MotionBlur(10.0, angle)(photograph[None])[0]))
    assert found.kind == "motion"
    assert abs((found.direction.value - angle + 90) % 180 - 90) < 15


@pytest.mark.parametrize("sigma", [1.0, 2.0])
@pytest.mark.parametrize("gain", [0.5, 0.25, 0.1])
def test_darkness_and_noise_do_not_move_the_width(photograph: np.ndarray, sigma: float, gain: float) -> None:
    blurred = gaussian_filter(photograph, sigma)
    bright, dark = (estimate_blur(stored(blurred, light, 0.005)).width.value for light in (1.0, gain))
    assert dark == pytest.approx(bright, rel=0.2)


def test_single_bad_pixels_that_are_marked_do_not_count(photograph: np.ndarray) -> None:
    blurred = stored(gaussian_filter(photograph, 1.5))
    hit = np.random.default_rng(0).random(blurred.shape) < 0.01
    marked = estimate_blur(np.where(hit, np.float32(1), blurred), ~hit)
    assert marked.width.value == pytest.approx(estimate_blur(blurred).width.value, rel=0.1)


def test_what_is_not_valid_does_not_count(photograph: np.ndarray) -> None:
    image = stored(gaussian_filter(photograph, 1.5))
    valid = np.ones(image.shape, bool)
    whole = estimate_blur(image[:, :160]).width.value
    image[:, 160:], valid[:, 160:] = np.random.default_rng(0).random((256, 96)), False
    assert estimate_blur(image, valid).width.value == pytest.approx(whole, rel=0.15)
    assert estimate_blur(image, np.zeros_like(valid)).width.reason


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (5, 300), (24, 24), (64, 33), (700, 30)])
@pytest.mark.parametrize("value", [-0.5, 0.0, 0.37, 1.0, 7.5])
def test_constant_or_tiny_images_give_reasons(shape: tuple[int, int], value: float) -> None:
    found = estimate_blur(np.full(shape, value, np.float32))
    assert found.width.reason
    assert found.kind == "unknown"
    assert found.direction.reason


@pytest.mark.parametrize("sigma", [0.002, 0.02, 0.2])
def test_nothing_is_made_up_from_noise_alone(sigma: float) -> None:
    assert estimate_blur(stored(np.full((256, 256), 0.5), 1.0, sigma)).width.reason


def test_large_images_are_judged_by_parts(photograph: np.ndarray) -> None:
    blurred = gaussian_filter(np.tile(photograph, (9, 7)), 1.5, mode="wrap")
    assert estimate_blur(stored(blurred)).width.value == pytest.approx(
        estimate_blur(stored(blurred[:512, :512])).width.value, rel=0.1
    )


def test_the_model_of_white_noise_is_what_the_bands_see() -> None:
    noise = np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32)
    assert band_tensors(noise)[:, :2].mean(1) == pytest.approx(band_model()[1], rel=0.1)
