"""An image that needs nothing comes back as it was, and says so; a wish of the caller overrides the verdict."""

import json

import numpy as np
import pytest

from lowlight import Enhancer
from lowlight.errors import InputError


@pytest.fixture(scope="module")
def good() -> np.ndarray:
    """A bright, even, sharp photograph (scikit-image, public domain): uint8 (256, 256, 3)."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:256, 100:356])


@pytest.fixture(scope="module")
def dark(good) -> np.ndarray:
    """The same with a fifth of the light."""
    return np.rint(255 * 0.2 * (good / 255) ** 1.5).astype(np.uint8)


@pytest.fixture(scope="module")
def untouched(enhancer: Enhancer, good):
    return enhancer(good)


def test_an_undamaged_image_comes_back_bit_for_bit_and_is_not_the_same_array(untouched, good) -> None:
    assert untouched.undamaged
    assert np.array_equal(untouched.image, good)
    assert not np.shares_memory(untouched.image, good)
    assert untouched.report["undamaged"] is True
    assert "undamaged" in untouched.derivation
    assert "unchanged" in untouched.derivation


def test_its_result_says_that_nothing_was_changed_and_that_no_network_saw_it(untouched, good) -> None:
    height, width = good.shape[:2]
    assert untouched.gain.shape == (height, width)
    assert np.allclose(untouched.gain, 1)
    assert not untouched.residual.any()
    assert np.isnan(untouched.uncertainty).all()
    assert untouched.report["expected_error"] is None
    assert (untouched.brightness, untouched.denoise) == (0, 0)
    assert np.array_equal(untouched.blend(1, 1), good)


def test_depth_survives_for_an_undamaged_image(enhancer: Enhancer, good) -> None:
    for image, value_range in (
        (good.astype(np.uint16) * 257, None),
        (good[..., 1] / 255, None),
        (good.astype(np.int16) - 1000, (-1000, -745)),
    ):
        result = enhancer(image, value_range=value_range)
        assert result.undamaged
        assert result.image.dtype == image.dtype
        assert np.array_equal(result.image, image)


def test_force_enhances_it_all_the_same(enhancer: Enhancer, good) -> None:
    forced = enhancer(good, force=True)
    assert not forced.undamaged
    assert not np.array_equal(forced.image, good)
    assert np.isfinite(forced.uncertainty).all()
    assert forced.report["undamaged"] is False
    assert forced.report["before"]["undamaged"] is True


@pytest.mark.parametrize("wish", [{"brightness": 1.0}, {"denoise": 1.0}, {"brightness": 0.5, "denoise": 0.5}])
def test_a_named_strength_is_applied(enhancer: Enhancer, good, wish: dict[str, float]) -> None:
    result = enhancer(good, **wish)
    assert not result.undamaged
    assert np.array_equal(result.image, enhancer(good, force=True, **wish).image)


def test_a_dark_image_is_enhanced_with_and_without_force(enhancer: Enhancer, dark) -> None:
    result = enhancer(dark)
    assert not result.undamaged
    assert np.array_equal(result.image, enhancer(dark, force=True).image)


def test_the_tables_of_a_coarse_jpeg_file_tell_what_its_pixels_no_longer_do(enhancer: Enhancer, good) -> None:
    coarse = {0: [40] * 64, 1: [60] * 64}
    result = enhancer(good, tables=coarse)
    assert not result.undamaged
    assert result.report["before"]["jpeg_source"] == "file"
    assert result.report["after"]["jpeg_source"] == "pixels"


def test_padding_is_not_judged(enhancer: Enhancer, good) -> None:
    # A dark picture in a bright frame that the file declares to be padding.
    framed = np.random.default_rng(0).integers(215, 245, (320, 320, 3), dtype=np.uint8)
    framed[32:-32, 32:-32] = good // 8
    valid = np.zeros((320, 320), bool)
    valid[32:-32, 32:-32] = True
    report = enhancer(framed, valid=valid).report
    assert report["before"]["p99"] < 0.13 < 0.8 < enhancer(framed).report["before"]["p99"]
    with pytest.raises(InputError, match="valid"):
        enhancer(framed, valid=valid[1:])


def test_a_noisy_but_bright_image_is_not_left_alone(enhancer: Enhancer, good) -> None:
    noise = np.random.default_rng(0).normal(0, 20, good.shape)
    assert not enhancer(np.clip(good + noise, 0, 255).astype(np.uint8)).undamaged


def test_the_report_carries_both_states(enhancer: Enhancer, dark, untouched) -> None:
    report = enhancer(dark).report
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report["before"]) == set(report["after"])
    assert report["after"]["p99"] > report["before"]["p99"]
    order = ["none", "weak", "moderate", "strong"]
    rated = [order.index(report[state]["severities"]["exposure"]) for state in ("before", "after")]
    assert rated[1] < rated[0]
    assert untouched.report["before"] == untouched.report["after"]
    json.dumps(untouched.report, allow_nan=False)


def test_a_series_is_judged_once_and_as_a_whole(enhancer: Enhancer, good, dark) -> None:
    all_good = enhancer(np.stack([good] * 4), frames=True)
    assert all_good.undamaged
    assert np.array_equal(all_good.image, np.stack([good] * 4))
    assert all_good.report["frame"] == 2
    mixed = enhancer(np.stack([good, good, dark, dark]), frames=True)
    assert not mixed.undamaged
    assert mixed.report["frame"] in (2, 3)
    assert not np.array_equal(mixed.image[0], good)


def test_progress_ends_for_an_undamaged_series_too(enhancer: Enhancer, good) -> None:
    heard: list[tuple[int, int]] = []
    enhancer(np.stack([good] * 3), frames=True, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(3, 3)]


def test_what_is_refused_is_refused_before_anything_is_judged(enhancer: Enhancer, good) -> None:
    with pytest.raises(ValueError, match="brightness"):
        enhancer(good, brightness=2)
