"""Noise that JPEG took away is looked up, and where nothing is left, that is said."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from lowlight.artifacts import quantify
from lowlight.artifacts.coded_noise import noise_before_coding
from lowlight.artifacts.measurement import Measurement
from lowlight.artifacts.noise import estimate_noise
from lowlight.degradation import Exposure, JpegCompression


def coded(sigma: float, quality: int, gain: float = 1.0) -> np.ndarray:
    """A photograph (scikit-image, public domain) with noise, then compressed: (H, W), 0 to 1."""
    clean = Exposure(0.8 * gain).apply(data.camera()[None, :384, :384].astype(np.float32) / 255)
    noise = np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32)
    return np.asarray(JpegCompression(quality).apply(np.clip(clean + np.float32(sigma) * noise, 0, 1)))[0]


@pytest.mark.parametrize("gain", [1.0, 0.4])
@pytest.mark.parametrize("quality", [40, 60, 80, 90])
@pytest.mark.parametrize("sigma", [0.03, 0.06])
def test_the_noise_before_compression_is_found_within_a_third(sigma: float, quality: int, gain: float) -> None:
    pixels = coded(sigma, quality, gain)
    found = quantify(pixels, (0, 1)).numbers["noise_sigma"]
    assert found.value == pytest.approx(sigma, rel=0.34)
    raw = estimate_noise(pixels).sigma.value
    assert raw is not None
    assert found.value is not None
    assert abs(found.value - sigma) <= abs(raw - sigma) + 0.1 * sigma


def test_what_jpeg_hides_is_said_with_its_bound_and_not_called_clean() -> None:
    report = quantify(coded(0.01, 50), (0, 1))
    noise = report.numbers["noise_sigma"]
    assert noise.value is None
    assert "JPEG of quality 50 hides noise below 2 % of the range" in noise.reason
    assert report.severities["noise"] == "unknown"
    assert report.evidence["noise_sigma"].measurable


def test_without_jpeg_the_noise_is_what_it_seems() -> None:
    seen = estimate_noise(data.camera()[:256, :256] / 255)
    assert noise_before_coding(seen, Measurement.missing("quality", "no trace of JPEG")) is seen


def test_more_noise_seen_is_more_noise_before_at_every_quality() -> None:
    def before(seen: float, quality: float) -> float:
        noise = estimate_noise(np.tile(np.linspace(0.2, 0.8, 64), (64, 1)))
        sigma = Measurement(seen, "of range")
        found = noise_before_coding(type(noise)(sigma, sigma, sigma), Measurement(quality, "quality")).sigma.value
        assert found is not None
        return found

    for quality in (5, 20, 37, 62, 88, 97, 100):
        found = [before(seen, quality) for seen in np.geomspace(0.001, 0.3, 40)]
        assert all(np.diff(found) > 0)
        assert found[-1] < 1.6
    assert before(0.02, 100) == pytest.approx(0.02, rel=0.05)
