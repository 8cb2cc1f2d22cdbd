"""The engine keeps its contract for every dtype, size and strength; its result blends without the network."""

import json

import numpy as np
import pytest

from lowlight import Enhancer
from lowlight.errors import BundleError, InputError

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
DTYPES = [*INTEGERS, "float16", "float32", "float64", "bool"]


def darkened(image: np.ndarray) -> np.ndarray:
    """The same scene with a quarter of the light: uint8."""
    return np.rint(255 * 0.25 * (image / 255) ** 1.5).astype(np.uint8)


def as_dtype(image: np.ndarray, dtype: str) -> np.ndarray:
    """An 8-bit picture spread over the range of another type."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return image > 40
    if kind.kind == "f":
        return (image / 255).astype(kind)
    limits = np.iinfo(kind)
    step = (int(limits.max) - int(limits.min)) // 255
    return (image.astype(object) * step + int(limits.min)).astype(kind)


@pytest.mark.parametrize("dtype", DTYPES)
def test_type_and_shape_survive_and_zero_strengths_return_the_input(enhancer, radiograph_like, dtype: str) -> None:
    image = as_dtype(darkened(radiograph_like), dtype)
    before = image.copy()
    result = enhancer(image)
    assert (result.image.dtype, result.image.shape) == (image.dtype, image.shape)
    assert np.array_equal(result.blend(0, 0), image)
    assert np.array_equal(image, before), "the input was changed"
    if dtype != "bool":
        assert result.image.astype(float).mean() > image.astype(float).mean(), "nothing became brighter"


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32"])
def test_depth_does_not_change_what_is_seen(enhancer, radiograph_like, dtype: str) -> None:
    dark = darkened(radiograph_like)
    reference = enhancer(dark).image.astype(float) / 255
    image = as_dtype(dark, dtype)
    low, high = (0, 1) if np.dtype(dtype).kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    found = (enhancer(image).image.astype(float) - low) / (float(high) - low)
    assert np.abs(found - reference).max() <= 1.5 / 255


def test_a_dark_image_comes_closer_to_the_truth(enhancer, retina) -> None:
    dark = darkened(retina)
    error = lambda image: np.mean((image.astype(float) - retina) ** 2)  # noqa: E731
    assert error(enhancer(dark).image) < 0.3 * error(dark)


def test_grey_stays_grey_even_in_three_channels(enhancer, radiograph_like) -> None:
    image = np.repeat(darkened(radiograph_like)[..., None], 3, axis=2)
    result = enhancer(image).image
    assert np.array_equal(result[..., 0], result[..., 1])
    assert np.array_equal(result[..., 0], result[..., 2])
    assert np.abs(result[..., 0].astype(int) - enhancer(image[..., 0]).image).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (3, 20000), (2, 5, 3)])
@pytest.mark.parametrize("value", [0, 255, 100])
def test_constant_and_extreme_shapes_come_back_whole(enhancer, shape: tuple[int, ...], value: int) -> None:
    result = enhancer(np.full(shape, value, np.uint8))
    assert result.image.shape == shape
    assert np.isfinite(result.gain).all()
    assert np.isfinite(result.uncertainty).all()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_nothing_is_drawn_into_a_frame_of_one_value(enhancer, value: int) -> None:
    image = np.full((64, 64), value, np.uint8)
    assert np.array_equal(enhancer(image).image, image)


def test_blending_agrees_with_a_call_of_the_same_strengths(enhancer, retina) -> None:
    dark = darkened(retina)
    full = enhancer(dark)
    for brightness, denoise in ((1, 1), (0.6, 0.3), (0, 1), (1.5, 0), (1, 0)):
        direct = enhancer(dark, brightness=brightness, denoise=denoise)
        assert np.array_equal(full.blend(brightness, denoise), direct.image), (brightness, denoise)


def test_more_brightness_never_darkens(enhancer, retina) -> None:
    result = enhancer(darkened(retina))
    means = [result.blend(brightness, 0).mean() for brightness in (0, 0.3, 0.6, 1.0, 1.5)]
    assert means == sorted(means)
    assert means[-1] > means[0] + 10


def test_maps_have_the_shapes_that_the_contract_names(enhancer, retina) -> None:
    result = enhancer(darkened(retina))
    height, width = retina.shape[:2]
    assert result.gain.shape == result.uncertainty.shape == (height, width)
    assert result.residual.shape == retina.shape
    assert (result.uncertainty > 0).all()
    assert result.gain.mean() > 1.5
    grey = enhancer(darkened(retina)[..., 1])
    assert grey.residual.shape == (height, width)


def test_frames_share_one_tone(enhancer, retina) -> None:
    dark = darkened(retina)
    clip = np.stack([dark, dark // 2, dark])
    result = enhancer(clip, frames=True)
    assert result.image.shape == clip.shape
    assert np.array_equal(result.gain[0], result.gain[1])
    assert np.array_equal(result.image[0], result.image[2])
    assert result.residual.shape == clip.shape


def test_outside_the_mask_nothing_changes(enhancer, retina) -> None:
    dark = darkened(retina)
    mask = np.zeros(dark.shape[:2], bool)
    mask[20:60, 20:60] = True
    result = enhancer(dark, mask=mask)
    assert np.array_equal(result.image[~mask], dark[~mask])
    assert not np.array_equal(result.image[mask], dark[mask])
    assert np.array_equal(result.image[mask], enhancer(dark).image[mask])


def test_a_declared_range_is_what_black_and_white_mean(enhancer, radiograph_like) -> None:
    dark = darkened(radiograph_like)
    twelve_bit = dark.astype(np.uint16) * 16
    found = enhancer(twelve_bit, value_range=(0, 4080)).image
    assert np.abs(found / 16 - enhancer(dark).image).max() <= 1
    assert found.max() <= 4080


def test_an_inverted_range_reads_high_values_as_black(enhancer, radiograph_like) -> None:
    dark = darkened(radiograph_like)
    negative = enhancer(255 - dark, value_range=(255, 0)).image
    assert np.abs((255 - negative.astype(int)) - enhancer(dark).image).max() <= 1


def test_the_report_is_complete_and_fits_json(enhancer, retina) -> None:
    report = enhancer(darkened(retina), modality="fundus").report
    assert json.loads(json.dumps(report)) == report
    assert report["modality"] == "fundus"
    assert report["after"]["mean"] > report["before"]["mean"]
    assert len(report["weights_sha256"]) == 64


def test_progress_counts_frames(enhancer, retina) -> None:
    heard: list[tuple[int, int]] = []
    clip = np.stack([darkened(retina)] * 3)
    enhancer(clip, frames=True, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.array([[0.5, np.nan]]), "NaN"),
        (np.array([[0.5, np.inf]]), "NaN or infinite"),
        (np.zeros((4, 4, 4), np.uint8), "alpha"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((0, 4), np.uint8), "no pixels"),
        (np.zeros((4, 4), complex), "complex"),
        (np.array([["a"]]), "type"),
        (np.full((4, 4), 7.0), "value_range"),
    ],
)
def test_what_cannot_be_enhanced_is_refused_in_one_line(enhancer, image: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        enhancer(image)
    assert "\n" not in str(caught.value)


def test_a_range_without_extent_and_a_wrong_mask_are_refused(enhancer) -> None:
    image = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match="extent"):
        enhancer(image, value_range=(3, 3))
    with pytest.raises(InputError, match="mask"):
        enhancer(image, mask=np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="brightness"):
        enhancer(image, brightness=2)
    with pytest.raises(InputError, match="pair"):
        enhancer(image, value_range=(4095,))
    with pytest.raises(InputError, match="NumPy array"):
        enhancer([[1, 2], [3, 4]])
    assert enhancer(image, mask=[[True] * 4] * 4).image.shape == image.shape


def test_damaged_or_foreign_weights_are_refused(tmp_path, bundle) -> None:
    import shutil

    copy = tmp_path / "bundle"
    shutil.copytree(bundle / "configs", copy / "configs")
    (copy / "models").mkdir()
    with pytest.raises(BundleError, match=r"model\.pt"):
        Enhancer(copy, device="cpu")
    weights = bytearray((bundle / "models" / "model.pt").read_bytes())
    weights[len(weights) // 2] ^= 0xFF
    (copy / "models" / "model.pt").write_bytes(weights)
    with pytest.raises(BundleError, match="checksum"):
        Enhancer(copy, device="cpu")


def test_a_missing_device_is_named() -> None:
    with pytest.raises(BundleError, match="nonsense"):
        Enhancer(device="nonsense")
