"""What the JPEG estimator promises."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from lowlight.artifacts.jpeg import LUMINANCE_TABLE, estimate_jpeg, quality_of_tables, scaled_tables
from lowlight.degradation import Exposure, JpegCompression, SaltAndPepper, SensorNoise


def coded(levels: np.ndarray, quality: int) -> tuple[np.ndarray, dict[int, list[int]]]:
    """Through the real codec: luminance in [0, 1], and the tables of the file."""
    with io.BytesIO() as file:
        Image.fromarray(levels).save(file, "JPEG", quality=quality)
        file.seek(0)
        picture = Image.open(file)
        decoded = np.asarray(picture, np.float32) / 255
        tables = picture.quantization
    return decoded if decoded.ndim == 2 else decoded @ np.float32([0.299, 0.587, 0.114]), tables


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """A photograph that bears no trace of compression, by half darkened: uint8 (256, 256)."""
    return np.rint(0.5 * data.camera()[100:356, 100:356].astype(np.float64) + 10).astype(np.uint8)


@pytest.mark.parametrize("quality", [20, 35, 50, 75, 90, 95])
def test_quality_is_read_from_pixels(photograph: np.ndarray, quality: int) -> None:
    found = estimate_jpeg(coded(photograph, quality)[0])
    assert found.source == "pixels"
    assert found.quality.value == pytest.approx(quality, abs=1)


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_quality_of_a_dark_colour_image(quality: int) -> None:
    dark = np.rint(0.3 * data.astronaut()[:256, :256].astype(np.float64)).astype(np.uint8)
    assert estimate_jpeg(coded(dark, quality)[0]).quality.value == pytest.approx(quality, abs=2)


def test_colours_that_clip_do_not_hide_the_quality() -> None:
    scene = data.astronaut()[:256, :256].transpose(2, 0, 1).astype(np.float32) / 255
    dark = SensorNoise(30, 0.01, seed=1).apply(Exposure(0.12, 2.0).apply(scene))
    hit = SaltAndPepper(0.01, per_channel=True, seed=2).apply(dark)
    decoded = JpegCompression(50).apply(np.clip(hit, 0, 1))
    luminance = np.tensordot(np.float32([0.299, 0.587, 0.114]), decoded, 1)
    unclipped = ((decoded > 0) & (decoded < 1)).all(0)
    assert estimate_jpeg(luminance, unclipped=unclipped).quality.value == pytest.approx(50, abs=2)
    assert not estimate_jpeg(luminance).quality.measurable


def test_a_grid_that_was_cut_is_found(photograph: np.ndarray) -> None:
    cut = coded(photograph, 60)[0][3:, 5:]
    found = estimate_jpeg(cut)
    assert found.quality.value == pytest.approx(60, abs=1)
    assert found.blockiness.value > 0.1


def test_the_last_of_two_compressions_counts(photograph: np.ndarray) -> None:
    once = np.rint(coded(photograph, 70)[0] * 255).astype(np.uint8)
    assert estimate_jpeg(coded(once, 88)[0]).quality.value == pytest.approx(88, abs=1)


@pytest.mark.parametrize("image", ["photograph", "noise", "ramp", "posterised"])
def test_no_compression_is_invented(photograph: np.ndarray, image: str) -> None:
    images = {
        "photograph": photograph,
        "noise": np.random.default_rng(0).integers(0, 256, (128, 128)),
        "ramp": np.add.outer(np.arange(128), np.arange(96)) // 2 + 10,
        "posterised": photograph // 16 * 16 + 8,
    }
    found = estimate_jpeg(images[image].astype(np.float32) / 255)
    assert found.quality.value is None
    assert found.quality.reason
    assert abs(found.blockiness.value) < 0.1


def test_blockiness_grows_as_quality_falls_and_not_with_darkness(photograph: np.ndarray) -> None:
    blockiness = [estimate_jpeg(coded(photograph, quality)[0]).blockiness.value for quality in (90, 60, 30, 10)]
    assert blockiness == sorted(blockiness)
    bright = coded(photograph, 30)[0]
    assert estimate_jpeg(0.1 * bright).blockiness.value == pytest.approx(estimate_jpeg(bright).blockiness.value)


def test_file_tables_are_believed(photograph: np.ndarray) -> None:
    pixels, tables = coded(photograph, 42)
    found = estimate_jpeg(pixels, None, tables)
    assert found.source == "file"
    assert found.quality.value == 42


def test_every_quality_is_read_from_its_table() -> None:
    assert [quality_of_tables({0: table.tolist()}) for table in scaled_tables()] == list(range(1, 101))


def test_tables_of_another_maker_give_the_nearest_quality() -> None:
    rounded_up = np.ceil(LUMINANCE_TABLE.ravel() * 0.5).astype(int)
    assert quality_of_tables({0: rounded_up.tolist()}) == pytest.approx(75, abs=1)


@pytest.mark.parametrize("tables", [{}, {0: [1, 2, 3]}, {0: [0] * 64}, {1: [16] * 64}])
def test_what_is_no_table_leaves_the_pixels(photograph: np.ndarray, tables: dict[int, list[int]]) -> None:
    found = estimate_jpeg(coded(photograph, 50)[0], None, tables)
    assert found.source == "pixels"
    assert found.quality.value == pytest.approx(50, abs=1)


def test_what_is_not_valid_does_not_count(photograph: np.ndarray) -> None:
    image = coded(photograph, 50)[0].copy()
    valid = np.ones(image.shape, bool)
    image[:, 120:], valid[:, 120:] = np.random.default_rng(0).random((256, 136)), False
    assert estimate_jpeg(image, valid).quality.value == pytest.approx(50, abs=1)
    nothing = estimate_jpeg(image, np.zeros_like(valid))
    assert nothing.quality.reason
    assert nothing.blockiness.reason


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (3, 50), (8, 8), (7, 200), (17, 9)])
@pytest.mark.parametrize("value", [0.0, 0.37, 1.0, 7.5])
def test_little_or_constant_content_gives_reasons(shape: tuple[int, int], value: float) -> None:
    found = estimate_jpeg(np.full(shape, value, np.float32))
    assert found.quality.reason
    assert found.blockiness.reason


def test_an_image_that_is_all_clipped_gives_a_reason() -> None:
    clipped = (np.random.default_rng(0).random((64, 64)) > 0.5).astype(np.float32)
    assert "unclipped" in estimate_jpeg(clipped).quality.reason
