"""The four published metrics follow their definitions; the printed digits on real photographs are acceptance tests."""

import numpy as np
import pytest
from scipy.ndimage import convolve

from lowlight.artifacts.published import block_variance_map, laplacian_map, published_grey, published_metrics


@pytest.fixture(scope="module")
def photograph(retina) -> np.ndarray:
    return retina[:301, :333]


def test_grey_is_luma_rounded_to_eight_bit() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 20, 30]]], np.uint8)
    assert np.array_equal(published_grey(colours) * 255, [[76, 150, 29, 255, 18]])


def test_another_range_gives_the_same_grey(photograph) -> None:
    expected = published_grey(photograph)
    assert np.array_equal(published_grey(photograph.astype(np.uint16) * 257, (0, 65535)), expected)
    assert np.array_equal(published_grey(255 - photograph, (255, 0)), expected)
    assert np.allclose(published_grey(photograph / 255, (0, 1)), expected, atol=1 / 255)


def test_noise_is_the_sample_variance_of_the_top_left_corner(photograph) -> None:
    corner = published_grey(photograph)[:50, :50]
    expected = ((corner - corner.mean()) ** 2).sum() / 2499
    assert published_metrics(photograph).noise_variance.value == pytest.approx(expected, rel=1e-12)


def test_every_very_dark_or_bright_pixel_counts_as_salt_and_pepper() -> None:
    image = np.full((100, 100), 128, np.uint8)
    image[:10] = 12  # 0.047
    image[10:20] = 13  # 0.051
    image[20:25] = 243  # 0.953
    image[25:30] = 242  # 0.949
    assert published_metrics(image).salt_and_pepper.value == pytest.approx(0.15)


def test_blur_is_the_mean_of_the_absolute_laplacian_with_replicated_edges(photograph) -> None:
    kernel = np.array([[0.2, 0.8, 0.2], [0.8, -4, 0.8], [0.2, 0.8, 0.2]]) / 1.2
    grey = published_grey(photograph)
    expected = np.abs(convolve(grey, kernel, mode="nearest"))
    np.testing.assert_allclose(laplacian_map(grey), expected, atol=1e-12)
    assert published_metrics(photograph).blur.value == pytest.approx(expected.mean(), rel=1e-9)


def test_block_variance_is_the_mean_over_whole_blocks(photograph) -> None:
    grey = published_grey(photograph)
    expected = [
        np.var(grey[top : top + 8, left : left + 8], ddof=1)
        for top in range(0, 301 - 7, 8)
        for left in range(0, 333 - 7, 8)
    ]
    assert block_variance_map(grey).shape == (37, 41)
    assert published_metrics(photograph).block_variance.value == pytest.approx(np.mean(expected), rel=1e-9)


def test_ratings_change_at_the_published_thresholds() -> None:
    flat = np.full((64, 64), 128, np.uint8)
    assert published_metrics(flat).ratings == {
        "noise_variance": "weak",
        "salt_and_pepper": "weak",
        "blur": "strong",
        "block_variance": "weak",
    }
    rough = np.where(np.indices((64, 64)).sum(0) % 2, 255, 0).astype(np.uint8)
    assert published_metrics(rough).ratings == {
        "noise_variance": "strong",
        "salt_and_pepper": "strong",
        "blur": "weak",
        "block_variance": "weak",
    }
    specks = flat.copy()
    specks.ravel()[:82] = 0  # 82 of 4096 pixels: just above 0.02
    assert published_metrics(specks).ratings["salt_and_pepper"] == "moderate"


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (30, 30), (8, 8, 3)])
def test_small_images_say_what_is_missing(shape: tuple[int, ...]) -> None:
    metrics = published_metrics(np.full(shape, 90, np.uint8))
    assert not metrics.noise_variance.measurable
    assert "50 x 50" in metrics.noise_variance.reason
    assert metrics.ratings["noise_variance"] == "unknown"
    assert metrics.block_variance.measurable == (min(shape[:2]) >= 8)
    assert metrics.salt_and_pepper.value == 0
    assert metrics.printed()["noise_variance"] == "not measurable"


def test_five_significant_digits_are_printed(photograph) -> None:
    metrics = published_metrics(photograph)
    assert metrics.printed()["blur"] == f"{metrics.blur.value:.5g}"
    assert metrics.as_dict()["blur"] == metrics.blur.value
