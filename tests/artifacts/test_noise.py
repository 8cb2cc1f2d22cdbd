"""What the noise estimator promises."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from lowlight.artifacts.noise import Noise, estimate_noise, noise_map
from lowlight.degradation import JpegCompression, SensorNoise


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """A photograph with its own noise smoothed away, texture left: float32 (256, 256), 0.1 to 0.9."""
    return (0.1 + 0.8 * gaussian_filter(data.camera()[100:356, 100:356] / 255.0, 1.0)).astype(np.float32)


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    """With white noise, stored in 8 bits."""
    added = image + sigma * np.random.default_rng(seed).standard_normal(image.shape)
    return (np.rint(255 * np.clip(added, 0, 1)) / 255).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.003, 0.01, 0.03, 0.08])
def test_sigma_is_told_from_texture(photograph: np.ndarray, sigma: float) -> None:
    assert estimate_noise(noisy(photograph, sigma)).sigma.value == pytest.approx(sigma, rel=0.12)


def test_a_clean_image_has_next_to_no_noise(photograph: np.ndarray) -> None:
    assert estimate_noise(noisy(photograph, 0.0)).sigma.value < 0.002


@pytest.mark.parametrize("gain", [0.5, 0.25, 0.1])
def test_darkness_does_not_move_the_noise(photograph: np.ndarray, gain: float) -> None:
    bright, dark = (estimate_noise(noisy(light * photograph, 0.02)).sigma.value for light in (1.0, gain))
    assert dark == pytest.approx(bright, rel=0.1)


def test_noise_cut_off_at_black_is_made_up_for() -> None:
    dark = np.full((256, 256), 0.03)
    stored = noisy(dark, 0.03)
    assert stored.std() < 0.027
    assert estimate_noise(stored).sigma.value == pytest.approx(0.03, rel=0.1)


def test_black_and_white_borders_do_not_dilute_the_noise(photograph: np.ndarray) -> None:
    framed = noisy(photograph, 0.02)
    framed[:, :70] = 0
    framed[:, -70:] = 1
    assert estimate_noise(framed).sigma.value == pytest.approx(0.02, rel=0.12)


def test_only_valid_pixels_are_judged(photograph: np.ndarray) -> None:
    half = np.arange(256) < 128
    image = np.where(half, noisy(photograph, 0.01), noisy(photograph, 0.06))
    valid = np.broadcast_to(half, image.shape)
    assert estimate_noise(image, valid).sigma.value == pytest.approx(0.01, rel=0.15)
    assert estimate_noise(image, ~valid).sigma.value == pytest.approx(0.06, rel=0.15)


@pytest.mark.parametrize(("photons", "read"), [(100.0, 0.04), (1000.0, 0.02)])
def test_photon_and_read_noise_are_told_apart(photons: float, read: float) -> None:
    ramp = np.tile(np.linspace(0.05, 0.9, 512, dtype=np.float32), (512, 1))
    noise = estimate_noise(SensorNoise(photons, read, seed=3)(ramp[None])[0])
    assert noise.poisson_slope.value == pytest.approx(1 / photons, rel=0.15)
    assert noise.read_sigma.value == pytest.approx(read, rel=0.25)
    assert noise.sigma.value == pytest.approx(np.sqrt(read**2 + 0.475 / photons), rel=0.05)


def test_texture_that_grows_with_the_light_is_no_photon_noise(photograph: np.ndarray) -> None:
    noise = estimate_noise(noisy(photograph, 0.02))
    assert noise.poisson_slope.value < 0.2 * 0.02**2 / 0.5


def test_rounding_is_no_noise() -> None:
    ramp = np.tile(np.linspace(0.2, 0.8, 256), (256, 1))
    sigma = 0.6 / 255
    assert estimate_noise(noisy(ramp, sigma)).sigma.value == pytest.approx(sigma, rel=0.06)


def test_known_impulses_are_passed_over(photograph: np.ndarray) -> None:
    image = noisy(photograph, 0.02)
    hit = np.random.default_rng(5).random(image.shape) < 0.05
    image[hit] = 1
    assert estimate_noise(image, impulses=hit).sigma.value == pytest.approx(0.02, rel=0.12)


def test_jpeg_leaves_less_and_less_noise(photograph: np.ndarray) -> None:
    image = noisy(photograph, 0.02)
    left = [estimate_noise(JpegCompression(quality)(image[None])[0]).sigma.value for quality in (85, 70, 50)]
    # Above 90 the steps of the coding are as coarse as the noise and leave as much as they take.
    assert 0.02 > left[0] > left[1] >= left[2]


def test_large_images_are_judged_like_small_ones(photograph: np.ndarray) -> None:
    large = np.tile(photograph, (8, 8))
    assert estimate_noise(noisy(large, 0.02)).sigma.value == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64)),
        np.ones((64, 64)),
        np.full((7, 300), 0.5),
        np.full((1, 1), 0.5),
        np.full((300, 9), -0.4),
        np.zeros((0, 12)),
    ],
    ids=["black", "white", "thinner than a block", "one pixel", "below black", "empty"],
)
def test_what_cannot_be_told_says_why(image: np.ndarray) -> None:
    noise = estimate_noise(image)
    assert noise.sigma.value is None
    assert noise.sigma.reason
    assert not noise.read_sigma.measurable
    assert not noise.poisson_slope.measurable


def test_nothing_valid_says_why(photograph: np.ndarray) -> None:
    assert not estimate_noise(photograph, np.zeros(photograph.shape, bool)).sigma.measurable


def test_a_constant_image_tells_nothing_of_noise() -> None:
    noise = estimate_noise(np.full((64, 64), 0.5))
    for number in (noise.sigma, noise.read_sigma, noise.poisson_slope):
        assert number.reason == "the image holds a single value"


def test_at_one_level_noise_has_no_slope() -> None:
    noise = estimate_noise(0.5 + 0.01 * np.random.default_rng(0).standard_normal((64, 64)))
    assert noise.sigma.value == pytest.approx(0.01, rel=0.2)
    assert "one level" in noise.poisson_slope.reason


def test_values_outside_the_window_do_no_harm(photograph: np.ndarray) -> None:
    wide = 3 * (photograph - 0.5) + 0.5 + 0.02 * np.random.default_rng(0).standard_normal(photograph.shape)
    assert estimate_noise(wide).sigma.value == pytest.approx(0.02, rel=0.3)


def test_the_estimate_is_repeatable(photograph: np.ndarray) -> None:
    image = noisy(photograph, 0.02)
    first: Noise = estimate_noise(image)
    assert first == estimate_noise(image.copy())


def test_the_map_shows_where_the_noise_is(photograph: np.ndarray) -> None:
    image = noisy(photograph, 0.01)
    image[:, 128:] = noisy(photograph, 0.05)[:, 128:]
    local = noise_map(image)
    assert local.shape == image.shape
    assert local.dtype == np.float32
    assert np.median(local[:, :64]) == pytest.approx(0.01, rel=0.3)
    assert np.median(local[:, 192:]) == pytest.approx(0.05, rel=0.3)


@pytest.mark.parametrize("shape", [(5, 5), (8, 8), (13, 200), (101, 67)])
def test_the_map_has_the_shape_of_the_image(shape: tuple[int, int]) -> None:
    local = noise_map(np.full(shape, 0.5), np.zeros(shape, bool))
    assert local.shape == shape
    assert not local.any()
