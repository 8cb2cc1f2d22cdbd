"""Each damage does what its formula says."""

import io
import math

import numpy as np
import pytest
from degradation_images import photograph, retina
from PIL import Image
from scipy.stats import poisson

from lowlight.degradation import (
    Defocus,
    Exposure,
    JpegCompression,
    MotionBlur,
    Quantisation,
    RowNoise,
    SaltAndPepper,
    SensorNoise,
    UnevenIllumination,
)
from lowlight.degradation.blur import MOTION_PER_SIGMA
from lowlight.degradation.illumination import KINDS


def flat(value: float, size: int = 256, channels: int = 1) -> np.ndarray:
    return np.full((channels, size, size), value, np.float32)


def point(size: int = 41) -> np.ndarray:
    image = np.zeros((1, size, size), np.float32)
    image[0, size // 2, size // 2] = 1
    return image


def spread(image: np.ndarray) -> np.ndarray:
    """The covariance matrix of an image seen as a distribution, px^2."""
    rows, columns = np.indices(image.shape[1:])
    weights = image[0] / image.sum()
    return np.cov(np.stack([rows.ravel(), columns.ravel()]), aweights=weights.ravel(), ddof=0)


def test_exposure_is_gain_times_a_power():
    clean = retina()
    np.testing.assert_allclose(Exposure(0.3, 2.2)(clean), 0.3 * clean.astype(np.float64) ** 2.2, atol=1e-6)


def test_exposure_keeps_black_black_and_order():
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 16, 16)
    dark = Exposure(0.1, 3.0)(ramp).ravel()
    assert dark[0] == 0
    assert (np.diff(dark) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_uneven_light_leaves_between_1_minus_falloff_and_1(kind):
    field = UnevenIllumination(0.6, kind, seed=5, angle=33)(flat(1.0, 90))
    assert field.max() == pytest.approx(1.0, abs=1e-6)
    assert field.min() == pytest.approx(0.4, abs=1e-6)


def test_radial_light_is_brightest_at_its_centre_and_linear_along_its_angle():
    radial = UnevenIllumination(0.5, "radial", centre=(0.25, 0.75))(flat(1.0, 100))[0]
    assert np.allclose(np.unravel_index(radial.argmax(), radial.shape), (25, 75), atol=1)
    down = UnevenIllumination(0.5, "linear", angle=90)(flat(1.0, 100))[0]
    assert (np.diff(down[:, 0]) < 0).all()
    assert np.ptp(down[50]) == 0


def test_uneven_light_varies_slowly():
    field = UnevenIllumination(0.7, "smooth", seed=3)(flat(1.0, 256))[0]
    assert np.abs(np.diff(field, axis=0)).max() < 0.02


# At 4 standard errors a correct generator fails one time in 16,000; the seeds are fixed, so it does not.
@pytest.mark.parametrize(
    ("signal", "photons", "read"),
    [(0.02, 25, 0.01), (0.1, 80, 0.0), (0.2, 90, 0.02), (0.5, 300, 0.01), (0.5, 1500, 0.004), (0.5, 39, 0.03)],
)
def test_sensor_noise_has_poisson_gaussian_mean_and_variance(signal, photons, read):
    pixels = flat(signal, 512)
    noisy = SensorNoise(photons, read, seed=1).apply(pixels).astype(np.float64)
    variance = signal / photons + read**2
    assert noisy.mean() == pytest.approx(signal, abs=4 * math.sqrt(variance / noisy.size))
    # 1 % more: rounding the approximated counts adds up to 0.14 to a variance of 20.
    assert noisy.var() == pytest.approx(variance, rel=4 * math.sqrt(2.5 / noisy.size) + 0.01)


@pytest.mark.parametrize("expected", [0.3, 2.0, 12.0, 21.0, 60.0])
def test_photon_counts_follow_poisson_at_low_and_high_counts(expected):
    counts = np.rint(SensorNoise(100, 0.0, seed=2).apply(flat(expected / 100, 512)) * 100).astype(int).ravel()
    levels = np.arange(counts.max() + 1)
    observed = np.cumsum(np.bincount(counts)) / counts.size
    # Kolmogorov-Smirnov at p = 1e-4 (2.2 / sqrt(n)), and 0.001 for the approximation above 20.
    assert np.abs(observed - poisson.cdf(levels, expected)).max() < 2.2 / math.sqrt(counts.size) + 0.001


def test_colour_noise_is_independent_per_channel():
    noise = SensorNoise(50, 0.01, seed=3).apply(flat(0.3, 256, 3)) - 0.3
    correlation = np.corrcoef(noise.reshape(3, -1))
    assert np.abs(correlation - np.eye(3)).max() < 0.02


def test_black_gets_read_noise_only():
    assert not SensorNoise(25, 0.0)(flat(0.0)).any()
    assert SensorNoise(25, 0.02).apply(flat(0.0)).std() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_row_noise_is_one_offset_a_line(axis):
    offsets = RowNoise(0.01, axis, seed=4)(flat(0.5, 2000, 3)) - 0.5
    along, across = (2, 1) if axis == "rows" else (1, 2)
    assert np.ptp(offsets, axis=along).max() == 0
    assert np.ptp(offsets, axis=0).max() == 0
    assert offsets.mean(axis=(0, along)).std() == pytest.approx(0.01, rel=0.07)
    assert offsets.shape[across] == 2000


@pytest.mark.parametrize("per_channel", [False, True])
def test_salt_and_pepper_hits_its_share(per_channel):
    hit = SaltAndPepper(0.02, salt=0.25, per_channel=per_channel, seed=6).apply(flat(0.5, 512, 3))
    share = 4 * math.sqrt(0.02 / 512**2)
    assert (hit == 1).mean() == pytest.approx(0.005, abs=share)
    assert (hit == 0).mean() == pytest.approx(0.015, abs=share)
    together = (hit[0] != 0.5) == (hit[1] != 0.5)
    assert together.all() != per_channel


@pytest.mark.parametrize("shape", ["gaussian", "disc"])
@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.6, 3.0])
def test_defocus_spreads_a_point_by_sigma_in_every_direction(shape, sigma):
    covariance = spread(Defocus(sigma, shape)(point()))
    # A sampled Gaussian or anti-aliased disc has up to 1/12 px^2 more than the continuous one.
    np.testing.assert_allclose(covariance, np.eye(2) * sigma**2, atol=0.1)


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
def test_motion_spreads_a_point_along_its_line(angle):
    covariance = spread(MotionBlur(9.0, angle)(point()))
    direction = np.array([math.sin(math.radians(angle)), math.cos(math.radians(angle))])
    across = np.array([-direction[1], direction[0]])
    assert direction @ covariance @ direction == pytest.approx(81 / 12, rel=0.05)
    assert across @ covariance @ across < 0.3


def test_motion_of_equivalent_length_blurs_as_much_as_defocus():
    sigma = 1.5
    assert np.trace(spread(MotionBlur(MOTION_PER_SIGMA * sigma, 20)(point()))) == pytest.approx(2 * sigma**2, rel=0.08)


@pytest.mark.parametrize("blur", [Defocus(1.3), Defocus(1.3, "disc"), MotionBlur(6.5, 40), MotionBlur(200, 10)])
def test_blur_keeps_a_constant_image_and_the_mean(blur):
    np.testing.assert_allclose(blur(flat(0.4, 30)), 0.4, atol=2e-6)
    assert blur(point(251)).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("blur", [Defocus(0.0), Defocus(0.0, "disc"), MotionBlur(0.0), Defocus(0.02, "disc")])
def test_no_blur_is_no_change(blur):
    np.testing.assert_array_equal(blur(photograph()), photograph())


@pytest.mark.parametrize("bits", [1, 4, 8, 12])
def test_quantisation_rounds_to_the_nearest_level(bits):
    ramp = np.linspace(0, 1, 10000, dtype=np.float32).reshape(1, 100, 100)
    rounded = Quantisation(bits)(ramp)
    assert len(np.unique(rounded)) == 2**bits
    assert np.abs(rounded - ramp).max() <= 0.5 / (2**bits - 1) + 1e-6
    np.testing.assert_array_equal(Quantisation(bits)(rounded), rounded)


@pytest.mark.parametrize("image", [photograph, retina])
def test_jpeg_is_what_the_codec_writes(image):
    levels = np.rint(image() * 255).astype(np.uint8)
    picture = Image.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=40)  # Pillow's default subsampling is 4:2:0
    decoded = np.asarray(Image.open(file)).astype(np.float32) / 255
    expected = decoded[None] if decoded.ndim == 2 else decoded.transpose(2, 0, 1)
    np.testing.assert_array_equal(JpegCompression(40)(image()), expected)


def test_lower_quality_and_subsampling_lose_more():
    def loss(transform):
        return float(np.mean((transform(retina()) - retina()) ** 2))

    losses = [loss(JpegCompression(quality)) for quality in (95, 70, 35)]
    assert losses == sorted(losses)
    assert loss(JpegCompression(90, "4:4:4")) < loss(JpegCompression(90, "4:2:0"))


def test_jpeg_refuses_what_the_format_cannot_hold():
    with pytest.raises(ValueError, match="65500"):
        JpegCompression(80)(np.zeros((1, 1, 65501), np.float32))


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Exposure(1.5), "gain"),
        (lambda: Exposure(math.nan), "gain"),
        (lambda: Exposure("dark"), "gain"),
        (lambda: Exposure(0.5, 0.0), "gamma"),
        (lambda: UnevenIllumination(0.5, "spiral"), "kind"),
        (lambda: UnevenIllumination(0.5, centre=(0.5,)), "centre"),
        (lambda: SensorNoise(0), "photons"),
        (lambda: SensorNoise(100, -0.1), "read"),
        (lambda: SensorNoise(100, 0.1, seed=-1), "seed"),
        (lambda: SensorNoise(100, 0.1, seed=1.5), "seed"),
        (lambda: RowNoise(0.1, "diagonals"), "axis"),
        (lambda: SaltAndPepper(1.1), "amount"),
        (lambda: SaltAndPepper(0.1, per_channel=0.5), "per_channel"),
        (lambda: Defocus(-1), "sigma"),
        (lambda: Defocus(1, "square"), "shape"),
        (lambda: MotionBlur(math.inf), "length"),
        (lambda: JpegCompression(0), "quality"),
        (lambda: JpegCompression(70.5), "quality"),
        (lambda: JpegCompression(70, "4:1:1"), "subsampling"),
        (lambda: Quantisation(17), "bits"),
    ],
)
def test_impossible_parameters_are_refused_by_name(build, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        build()
