"""What the salt-and-pepper estimator promises."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom.data import get_testdata_file
from skimage import data

from lowlight.artifacts import quantify
from lowlight.artifacts.impulse import estimate_impulses
from lowlight.degradation import SaltAndPepper
from lowlight.imaging import read


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """A photograph: float32 (256, 256)."""
    return (data.camera()[100:356, 100:356] / 255.0).astype(np.float32)


@pytest.fixture(scope="module")
def colour() -> np.ndarray:
    """A fundus photograph with its black border: float32 (353, 353, 3)."""
    return (data.retina()[::4, ::4] / 255.0).astype(np.float32)


def hit(image: np.ndarray, amount: float, **how: object) -> np.ndarray:
    """With salt and pepper; channels last in and out."""
    first = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    corrupted = SaltAndPepper(amount, seed=1, **how)(first)
    return corrupted[0] if image.ndim == 2 else corrupted.transpose(1, 2, 0)


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("amount", [0.001, 0.01, 0.05])
def test_the_share_of_hit_pixels(photograph: np.ndarray, amount: float, gain: float) -> None:
    assert estimate_impulses(hit(gain * photograph, amount)).ratio.value == pytest.approx(amount, rel=0.2)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("amount", [0.01, 0.05])
def test_the_share_of_hit_samples_in_colour(colour: np.ndarray, amount: float, per_channel: bool) -> None:
    found = estimate_impulses(hit(colour, amount, per_channel=per_channel))
    assert found.ratio.value == pytest.approx(amount, rel=0.25)


def test_the_mask_names_the_hit_pixels(photograph: np.ndarray) -> None:
    corrupted = hit(photograph, 0.02)
    mask = estimate_impulses(corrupted).mask
    changed = np.abs(corrupted - photograph)
    assert (changed[mask] > 0).mean() > 0.99
    assert mask[changed > 0.1].mean() > 0.7


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.25, 0.1, 0.02])
@pytest.mark.parametrize("sigma", [0.0, 0.03])
def test_dark_pixels_are_no_pepper(photograph: np.ndarray, gain: float, sigma: float) -> None:
    noise = sigma * np.random.default_rng(0).standard_normal(photograph.shape)
    ratio = estimate_impulses(np.clip(gain * photograph + noise, 0, 1)).ratio.value
    assert ratio is not None
    assert ratio <= 1e-4


def test_bright_noise_is_no_salt() -> None:
    noise = 0.06 * np.random.default_rng(0).standard_normal((256, 256))
    ramp = np.tile(np.linspace(0.4, 1.0, 256), (256, 1))
    clipped = np.clip(ramp + noise, 0, 1)
    assert (clipped == 1).mean() > 0.03
    assert estimate_impulses(clipped).ratio.value <= 1e-4


def test_highlights_and_text_are_no_salt(photograph: np.ndarray) -> None:
    drawn = Image.fromarray((photograph * 160).astype(np.uint8))
    pen = ImageDraw.Draw(drawn)
    pen.text((10, 10), "LEFT 12.5 cm  i.v. 2024", fill=255)
    pen.line((20, 200, 240, 120), fill=255)
    pen.line((20, 60, 240, 100), fill=0)
    for row, column in ((150, 60), (160, 90), (220, 200)):
        pen.ellipse((column, row, column + 3, row + 2), fill=255)
    assert estimate_impulses(np.asarray(drawn) / 255.0).ratio.value <= 1e-4


@pytest.mark.parametrize("name", ["examples_jpeg2k.dcm", "ExplVR_BigEnd.dcm"])
def test_burned_in_text_and_overlays_of_ultrasound_are_no_salt_and_pepper(name: str) -> None:
    image = read(get_testdata_file(name))
    assert quantify(image.pixels, image.value_range, image.valid).impulses.ratio.value <= 1e-4


def test_the_tip_of_a_stroke_counts_neither_beside_it_nor_at_its_end() -> None:
    grey = np.full((64, 64), 0.4)
    grey[20, 10:40] = grey[30:50, 50] = 1
    assert not estimate_impulses(grey).mask.any()
    grey[40, 20] = grey[40, 21] = 1
    assert estimate_impulses(grey).mask.sum() == 2, "two side by side may both be hit"


def test_a_black_scope_border_is_no_pepper(colour: np.ndarray) -> None:
    assert (colour.max(2) < 0.05).mean() > 0.1
    assert estimate_impulses(colour).ratio.value <= 1e-4


def test_speckle_is_no_salt_and_pepper() -> None:
    random = np.random.default_rng(0)
    speckle = np.clip(0.15 * random.gamma(2.0, 1.0, (256, 256)), 0, 1)
    ratio = estimate_impulses(speckle).ratio.value
    assert ratio is None or ratio <= 1e-4


def test_pepper_hidden_by_a_black_half_is_accounted_for(photograph: np.ndarray) -> None:
    half = photograph.copy()
    half[:, :128] = 0
    assert estimate_impulses(hit(half, 0.02)).ratio.value == pytest.approx(0.02, rel=0.25)


def test_where_pepper_cannot_be_told_it_is_as_frequent_as_salt(photograph: np.ndarray) -> None:
    assert estimate_impulses(hit(0.05 * photograph, 0.02)).ratio.value == pytest.approx(0.02, rel=0.2)


def test_only_valid_pixels_are_judged(photograph: np.ndarray) -> None:
    corrupted = photograph.copy()
    corrupted[:, :128] = hit(photograph, 0.04)[:, :128]
    valid = np.zeros(photograph.shape, bool)
    valid[:, 132:] = True
    found = estimate_impulses(corrupted, valid)
    assert found.ratio.value <= 1e-4
    assert not found.mask[:, :132].any()


@pytest.mark.parametrize(
    ("image", "valid"),
    [
        (np.full((4, 60), 0.5), None),
        (np.zeros((0, 7)), None),
        (np.full((64, 64), 0.5), np.zeros((64, 64), bool)),
        (np.random.default_rng(0).random((64, 64)), None),
    ],
    ids=["too thin", "empty", "nothing valid", "noise all over"],
)
def test_what_cannot_be_told_says_why(image: np.ndarray, valid: np.ndarray | None) -> None:
    found = estimate_impulses(image, valid)
    assert found.ratio.value is None
    assert found.ratio.reason
    assert found.mask.shape == image.shape


@pytest.mark.parametrize("level", [-0.5, 0.0, 0.5, 1.0, 1.5])
def test_a_constant_image_tells_nothing(level: float) -> None:
    found = estimate_impulses(np.full((40, 50), level))
    assert found.ratio.reason == "the image holds a single value"
    assert not found.mask.any()
