"""The tone curve is increasing and invertible everywhere, and a blend at zero strength is the image itself."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlight.model.network import DualPathNet
from lowlight.model.tone import SHOULDER_SLOPE, TOE, blend, inverse_tone_curve, tone_curve


def bounds() -> list[tuple[float, float]]:
    """The corners of what the default network's maps can hold, local deviations included."""
    tone = DualPathNet().tone
    low, high = tone.middle - tone.half_range - tone.local_bound, tone.middle + tone.half_range + tone.local_bound
    return list(itertools.product((float(low[0]), float(high[0])), (float(low[1]), float(high[1]))))


@pytest.mark.parametrize(("log_gain", "log_gamma"), bounds())
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_inverse_returns_every_value_at_the_bounds_of_the_maps(log_gain: float, log_gamma: float, library: str) -> None:
    y = np.linspace(-0.1, 1.5, 20001, dtype=np.float32)
    g, c = np.full_like(y, log_gain), np.full_like(y, log_gamma)
    if library == "torch":
        y, g, c = (torch.from_numpy(array) for array in (y, g, c))
    assert float(abs(inverse_tone_curve(tone_curve(y, g, c), g, c) - y).max()) <= 1e-5


@pytest.mark.parametrize(("log_gain", "log_gamma"), bounds())
def test_curve_is_strictly_increasing_and_keeps_black(log_gain: float, log_gamma: float) -> None:
    y = torch.linspace(-0.1, 1.5, 5001, dtype=torch.float64)
    t = tone_curve(y, torch.tensor(log_gain, dtype=torch.float64), torch.tensor(log_gamma, dtype=torch.float64))
    assert (t.diff() > 0).all()
    assert tone_curve(torch.zeros(1), torch.tensor(log_gain), torch.tensor(log_gamma)) == 0


@settings(max_examples=60, deadline=None)
@given(gain=st.floats(0.1, 1.0), gamma=st.floats(1.0, 3.0))
def test_curve_undoes_an_exposure_exactly_above_the_toe(gain: float, gamma: float) -> None:
    x = np.linspace(0, 1, 500)
    y = gain * x**gamma
    restored = tone_curve(y, np.float64(-np.log(gain)), np.float64(-np.log(gamma)))
    np.testing.assert_allclose(restored[y > TOE], x[y > TOE], atol=1e-9)


def test_a_white_impulse_in_a_dark_image_stays_near_white() -> None:
    t = float(tone_curve(torch.tensor(1.0), torch.tensor(3.0), torch.tensor(-1.0)))
    assert 1 < t <= 1 + SHOULDER_SLOPE * np.exp(3.0)


def test_torch_and_numpy_agree() -> None:
    y = np.random.default_rng(0).uniform(-0.2, 1.4, (3, 40)).astype(np.float32)
    g, c = np.float32(1.7), np.float32(-0.6)
    expected = tone_curve(torch.from_numpy(y), torch.tensor(g), torch.tensor(c)).numpy()
    np.testing.assert_allclose(tone_curve(y, g, c), expected, atol=1e-6)


def test_blend_of_zero_is_the_input_and_of_one_the_full_result() -> None:
    rng = np.random.default_rng(1)
    y = rng.random((3, 20, 20), dtype=np.float32)
    r = rng.normal(0, 0.05, y.shape).astype(np.float32)
    g, c = np.full((20, 20), 1.2, np.float32), np.full((20, 20), -0.5, np.float32)
    assert blend(y, r, g, c, 0, 0) is y
    np.testing.assert_array_equal(blend(y, r, g, c, 1, 1), tone_curve(y, g, c) + r)


def test_denoising_alone_keeps_the_exposure() -> None:
    rng = np.random.default_rng(2)
    y = rng.uniform(0.1, 0.3, (3, 20, 20)).astype(np.float32)
    r = np.full_like(y, 0.01)
    g, c = np.full((20, 20), 1.2, np.float32), np.full((20, 20), -0.5, np.float32)
    denoised = blend(y, r, g, c, 0, 1)
    np.testing.assert_allclose(tone_curve(denoised, g, c), tone_curve(y, g, c) + r, atol=1e-5)


@pytest.mark.parametrize(("brightness", "denoise"), [(-0.1, 0), (1.6, 0), (0, -0.1), (0, 1.1), (float("nan"), 0)])
def test_strengths_outside_their_range_are_refused(brightness: float, denoise: float) -> None:
    array = np.zeros((1, 2, 2), np.float32)
    with pytest.raises(ValueError, match="must lie in"):
        blend(array, array, array[0], array[0], brightness, denoise)
