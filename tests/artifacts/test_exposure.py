"""Exposure is what a display shows: brightness, range, clipping and evenness, without padding and scope borders."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lowlight.artifacts.exposure import PERCENTILES, measure_exposure, uniform_border
from lowlight.degradation import UnevenIllumination


@pytest.fixture(scope="module")
def fundus(retina) -> np.ndarray:
    """Mean of the channels, 0 to 1; three tenths of it are the black surround of the camera."""
    return (retina.mean(2) / 255).astype(np.float32)


def test_numbers_of_a_ramp_are_those_of_its_distribution() -> None:
    ramp = np.tile(np.linspace(0.1, 0.9, 801), (64, 1))
    exposure = measure_exposure(ramp)
    assert exposure.mean.value == pytest.approx(0.5, abs=1e-6)
    for percent in PERCENTILES:
        assert exposure.percentiles[percent].value == pytest.approx(0.1 + 0.008 * percent, abs=1e-3)
    assert exposure.used_range.value == pytest.approx(0.784, abs=1e-3)
    assert exposure.clipped_low.value == exposure.clipped_high.value == 0


def test_what_a_display_cannot_show_counts_as_clipped_and_not_as_used() -> None:
    window = np.tile(np.linspace(-1, 2, 300), (40, 1))
    exposure = measure_exposure(window)
    assert exposure.clipped_low.value == pytest.approx(1 / 3, abs=0.01)
    assert exposure.clipped_high.value == pytest.approx(1 / 3, abs=0.01)
    assert exposure.used_range.value == 1


def test_large_images_are_thinned_without_changing_the_numbers() -> None:
    random = np.random.default_rng(0)
    large = random.beta(2, 5, (2100, 2300)).astype(np.float32)
    found = measure_exposure(large)
    assert found.mean.value == pytest.approx(large.mean(), abs=1e-3)
    assert found.percentiles[99].value == pytest.approx(np.percentile(large, 99), abs=2e-3)


def test_only_valid_pixels_are_judged(fundus) -> None:
    valid = ~uniform_border(fundus)
    padded = np.pad(fundus, 80)
    outside = np.pad(valid, 80)
    found, alone = measure_exposure(padded, outside), measure_exposure(fundus, valid)
    assert found.mean == alone.mean
    assert found.percentiles == alone.percentiles
    assert found.mean.value > measure_exposure(padded).mean.value
    nothing = measure_exposure(fundus, np.zeros(fundus.shape, bool))
    assert "no pixel" in nothing.mean.reason
    assert not nothing.unevenness.measurable


@pytest.mark.parametrize("falloff", [0.3, 0.6, 0.85])
def test_uneven_light_on_an_even_scene_is_found_as_it_is(falloff: float) -> None:
    random = np.random.default_rng(1)
    scene = np.clip(0.6 + 0.05 * random.standard_normal((1, 240, 320)), 0, 1).astype(np.float32)
    light = UnevenIllumination(falloff, "linear", angle=30.0)
    # The outermost corners, 2 % at either end, are left out of the number.
    darkest, brightest = np.percentile(light.field(240, 320), [2, 98])
    found = measure_exposure(light(scene)[0]).unevenness.value
    assert found == pytest.approx(1 - darkest / brightest, abs=0.08)


def test_objects_in_the_scene_count_less_than_the_light() -> None:
    random = np.random.default_rng(2)
    scene = 0.6 + 0.02 * random.standard_normal((240, 320))
    for top, left in random.integers(0, 200, (12, 2)):
        scene[top : top + 20, left : left + 30] *= 0.3
    assert measure_exposure(scene).unevenness.value < 0.15


def test_unevenness_does_not_depend_on_the_exposure(fundus) -> None:
    full = measure_exposure(fundus).unevenness.value
    assert measure_exposure(0.4 * fundus).unevenness.value == pytest.approx(full, abs=0.08)


def test_a_border_of_one_value_is_found_and_the_scene_is_not(fundus) -> None:
    assert not uniform_border(fundus[100:250, 100:250]).any()
    for value in (0.0, 0.5, 1.0):
        padded = np.pad(fundus[100:250, 100:250], ((0, 0), (40, 25)), constant_values=value)
        border = uniform_border(padded)
        assert border[:, :40].all()
        assert border[:, -25:].all()
        assert border[:, 41:-26].mean() < 0.02


def test_a_noisy_border_is_taken_for_dark_scene_and_a_uniform_image_for_an_image() -> None:
    random = np.random.default_rng(3)
    scene = np.pad(np.full((80, 80), 0.5), 40) + 0.03 * random.standard_normal((160, 160))
    assert uniform_border(scene).mean() < 0.02
    assert not uniform_border(np.zeros((50, 60))).any()


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=70),
        elements=st.floats(-4, 5, width=32),
        fill=st.sampled_from([np.float32(0), np.float32(0.25), np.float32(1)]),
    ),
    st.booleans(),
)
def test_any_image_gets_numbers_in_their_range_or_reasons(luminance: np.ndarray, masked: bool) -> None:
    exposure = measure_exposure(luminance, ~uniform_border(luminance) if masked else None)
    assert luminance.min() - 1e-4 <= exposure.mean.value <= luminance.max() + 1e-4
    for share in (exposure.used_range, exposure.clipped_low, exposure.clipped_high, exposure.unevenness):
        assert share.value is None or 0 <= share.value <= 1
    ordered = [exposure.percentiles[percent].value for percent in PERCENTILES]
    assert ordered == sorted(ordered)
