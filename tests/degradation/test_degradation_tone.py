"""Tone augmentation of the clean material changes contrast, not hue or greyness."""

import numpy as np
import pytest
from degradation_images import photograph, retina
from skimage import exposure
from skimage.color import rgb2hsv

from lowlight.degradation import ContrastStretch, GammaCorrection, HistogramEqualisation


def test_contrast_stretch_maps_percentiles_to_black_and_white():
    pale = 0.4 + 0.2 * photograph()
    stretched = ContrastStretch(2, 98)(pale)
    assert np.percentile(stretched, 2) == pytest.approx(0, abs=1e-5)
    assert np.percentile(stretched, 98) == pytest.approx(1, abs=1e-5)


def test_contrast_stretch_uses_one_line_for_all_channels():
    stretched = ContrastStretch(0, 100)(retina())
    inside = (stretched > 0) & (stretched < 1)
    slope, offset = np.polyfit(retina()[inside], stretched[inside], 1)
    np.testing.assert_allclose(stretched[inside], slope * retina()[inside] + offset, atol=1e-4)


def test_gamma_correction_goes_both_ways():
    brighter = GammaCorrection(0.5)(photograph())
    assert brighter.mean() > photograph().mean()
    np.testing.assert_allclose(GammaCorrection(2.0)(brighter), photograph(), atol=1e-5)


def test_global_equalisation_spreads_brightness_evenly():
    equal = HistogramEqualisation("global")(photograph())
    shares = np.histogram(equal, bins=8, range=(0, 1))[0] / equal.size
    assert shares.max() < 0.2
    assert np.histogram(photograph(), bins=8, range=(0, 1))[0].max() / equal.size > 0.25


def test_clahe_is_scikit_images_on_grey():
    expected = exposure.equalize_adapthist(photograph()[0], clip_limit=0.02)
    np.testing.assert_allclose(HistogramEqualisation("clahe", clip_limit=0.02)(photograph())[0], expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["global", "clahe"])
def test_equalisation_of_colour_keeps_hue(mode):
    equal = HistogramEqualisation(mode)(retina())
    before, after = rgb2hsv(retina(), channel_axis=0), rgb2hsv(equal, channel_axis=0)
    coloured = (before[1] > 0.2) & (before[2] > 0.1) & (after[2] > 0.1)
    turned = np.abs(before[0] - after[0])[coloured]
    assert np.percentile(np.minimum(turned, 1 - turned), 99) < 0.01


def test_strength_blends_with_the_image():
    full, half = (HistogramEqualisation("global", strength)(photograph()) for strength in (1.0, 0.5))
    np.testing.assert_allclose(half, (full + photograph()) / 2, atol=1e-6)
    np.testing.assert_array_equal(HistogramEqualisation("global", 0.0)(photograph()), photograph())


@pytest.mark.parametrize(
    "transform", [ContrastStretch(), HistogramEqualisation("global"), HistogramEqualisation("clahe")]
)
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_image_has_no_contrast_to_stretch(transform, value):
    constant = np.full((1, 20, 20), value, np.float32)
    np.testing.assert_array_equal(transform(constant), constant)


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: ContrastStretch(50, 50), "lower"),
        (lambda: ContrastStretch(-1, 50), "lower"),
        (lambda: GammaCorrection(0), "gamma"),
        (lambda: HistogramEqualisation("local"), "mode"),
        (lambda: HistogramEqualisation(strength=2), "strength"),
    ],
)
def test_impossible_parameters_are_refused_by_name(build, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        build()
