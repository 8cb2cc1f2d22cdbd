"""The report joins all estimators, stays JSON, and survives whatever an image can be."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage import data

from lowlight.artifacts import quantify, surely_too_dark
from lowlight.artifacts.quantifying import LABELS
from lowlight.degradation import JpegCompression, LowLight, SaltAndPepper, SensorNoise

SEVERITIES = {"none", "weak", "moderate", "strong", "unknown"}


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """A bright, sharp photograph: uint8 (512, 512, 3)."""
    return data.astronaut()


@pytest.fixture(scope="module")
def plate() -> np.ndarray:
    """A grey one of even brightness, halved so that no coding of its own is left: float32 (1, 256, 256)."""
    grey = data.camera() / 255
    return grey.reshape(256, 2, 256, 2).mean((1, 3)).astype(np.float32)[None]


def of(pixels: np.ndarray):
    return quantify(np.rint(np.clip(pixels[0], 0, 1) * 255).astype(np.uint8), (0, 255))


def test_the_report_is_json_and_names_all_numbers(astronaut) -> None:
    report = quantify(astronaut, (0, 255))
    content = report.as_dict()
    assert json.loads(json.dumps(content)) == content
    assert set(LABELS) <= set(content)
    assert {"undamaged", "severities", "not_measurable", "blur_kind", "jpeg_source"} <= set(content)
    assert [row.name for row in report.rows()] == list(LABELS)
    assert {row.severity for row in report.rows() if row.severity} <= SEVERITIES
    for name, reason in content["not_measurable"].items():
        assert content[name] is None
        assert reason


@pytest.mark.parametrize(
    ("artifact", "number", "light", "heavy"),
    [
        ("noise", "noise_sigma", SensorNoise(1e9, 0.01, 1), SensorNoise(1e9, 0.06, 1)),
        ("impulses", "impulse_ratio", SaltAndPepper(0.001, seed=1), SaltAndPepper(0.02, seed=1)),
        ("jpeg", "jpeg_quality", JpegCompression(90), JpegCompression(30)),
    ],
)
def test_more_of_one_damage_changes_its_number_and_severity(plate, artifact, number, light, heavy) -> None:
    first, second = of(light.apply(plate)), of(heavy.apply(plate))
    assert abs(second.numbers[number].value - first.numbers[number].value) > 0.01
    order = ["none", "weak", "moderate", "strong"]
    assert order.index(second.severities[artifact]) > order.index(first.severities[artifact])
    assert second.severities[artifact] in ("moderate", "strong")
    assert not second.undamaged


@pytest.mark.parametrize("severity", ["light", "medium", "heavy"])
def test_no_low_light_observation_is_judged_undamaged(astronaut, severity: str) -> None:
    planes = np.moveaxis(astronaut, -1, 0).astype(np.float32) / 255
    dark = np.asarray(LowLight(severity, seed=3)(planes))
    report = quantify(np.rint(np.moveaxis(dark, 0, -1) * 255).astype(np.uint8), (0, 255))
    assert not report.undamaged
    # In a bright scene the mildest loss of light leaves a white point that others have by themselves.
    expected = {"light": ("none", "weak"), "medium": ("weak", "moderate"), "heavy": ("moderate", "strong")}
    assert report.severities["exposure"] in expected[severity]


@pytest.mark.parametrize("scale", [0.02, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("name", ["astronaut", "retina", "camera", "coins", "page", "clock", "hubble_deep_field"])
def test_what_looks_too_dark_at_once_is_not_undamaged_at_the_long_look(name: str, scale: float) -> None:
    picture = getattr(data, name)()[::2, ::2]
    image = np.rint(scale * picture).astype(np.uint8)
    for padding in (0, 1):
        framed = np.pad(image, [(40, 40), (0, 0), (0, 0)][: image.ndim], constant_values=255) if padding else image
        if surely_too_dark(framed, (0, 255)):
            assert not quantify(framed, (0, 255)).undamaged


def test_a_dark_image_is_seen_to_be_dark_at_once_and_a_good_one_is_not() -> None:
    good = data.astronaut()
    assert not surely_too_dark(good, (0, 255))
    for dark in (good // 8, good[..., 0] // 8, data.retina() // 8):
        assert surely_too_dark(dark, (0, 255))
    assert not surely_too_dark(good // 8, (0, 32)), "the range says what is white"
    assert not surely_too_dark(good // 8, (0, 255), np.zeros(good.shape[:2], bool))


def test_depth_sign_and_direction_of_the_range_do_not_matter(plate) -> None:
    eight = np.rint(plate[0] * 255).astype(np.uint8)
    expected = quantify(eight, (0, 255)).as_dict()
    spread = eight.astype(np.int32) * 256
    variants = {
        "16 bit": quantify(spread.astype(np.uint16), (0, 65280)),
        "signed": quantify((spread - 32768).astype(np.int16), (-32768, 32512)),
        "inverted": quantify(255 - eight, (255, 0)),
        "float": quantify(eight / 255, (0, 1)),
        "wide": quantify(eight.astype(np.int64) * 10**9 - 10**12, (-(10**12), 255 * 10**9 - 10**12)),
    }
    for name, report in variants.items():
        found = report.as_dict()
        assert found["severities"] == expected["severities"], name
        assert found["undamaged"] == expected["undamaged"], name
        for number in LABELS:
            assert (found[number] is None) == (expected[number] is None), (name, number)
            if expected[number] is not None:
                assert found[number] == pytest.approx(expected[number], rel=2e-3, abs=2e-5), (name, number)


def test_a_uniform_border_is_not_judged_unless_asked_for(plate) -> None:
    eight = np.rint(plate[0] * 255).astype(np.uint8)
    padded = np.pad(eight, 64)
    alone, with_border = quantify(eight, (0, 255)), quantify(padded, (0, 255))
    assert with_border.exposure.mean.value == pytest.approx(alone.exposure.mean.value, rel=0.02)
    everything = quantify(padded, (0, 255), valid=np.ones(padded.shape, bool))
    assert everything.exposure.mean.value < 0.6 * alone.exposure.mean.value


def test_quality_comes_from_the_tables_of_the_file(plate) -> None:
    tables = {0: [1] * 64}
    report = quantify(np.rint(plate[0] * 255).astype(np.uint8), (0, 255), tables=tables)
    assert report.jpeg.source == "file"
    assert report.jpeg.quality.value > 95


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (7, 7), (3, 900), (8, 8), (20, 31, 3)])
@pytest.mark.parametrize("value", [0, 100, 255])
def test_constant_and_tiny_images_get_reasons_and_no_verdict_of_health(shape: tuple[int, ...], value: int) -> None:
    report = quantify(np.full(shape, value, np.uint8), (0, 255))
    assert not report.undamaged
    content = report.as_dict()
    assert json.loads(json.dumps(content)) == content
    assert content["mean"] == pytest.approx(value / 255, abs=1e-6)
    assert report.noise.sigma.reason == "the image holds a single value"
    assert report.impulses.ratio.reason == "the image holds a single value"
    assert report.state == ("not judged" if value == 255 else "damaged")


@pytest.mark.parametrize("quality", [40, 80])
def test_impulses_after_jpeg_are_a_lower_bound(plate, quality: int) -> None:
    hit = SaltAndPepper(0.01, seed=1).apply(plate)
    before, after = of(hit), of(JpegCompression(quality).apply(hit))
    assert before.lower_bounds == []
    assert before.as_dict()["lower_bounds"] == []
    assert after.as_dict()["lower_bounds"] == ["impulse_ratio"]
    assert after.impulses.ratio.value < 0.6 * before.impulses.ratio.value


def test_where_nothing_is_measured_no_damage_is_claimed() -> None:
    for image in (np.full((64, 64), 255, np.uint8), np.full((7, 7), 200, np.uint8), np.full((1, 500), 180, np.uint8)):
        assert quantify(image, (0, 255)).as_dict()["state"] == "not judged"
    invisible = quantify(np.full((40, 40), 200, np.uint8), (0, 255), valid=np.zeros((40, 40), bool))
    assert invisible.state == "not judged"
    checkerboard = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    report = quantify(checkerboard, (0, 255))
    assert not set(report.severities.values()) & {"weak", "moderate", "strong"}
    assert report.state == "not judged"


def test_nothing_valid_gives_reasons_everywhere() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    report = quantify(image, (0, 255), valid=np.zeros(image.shape, bool))
    assert not report.undamaged
    assert all(number.value in (None, 0) for number in report.numbers.values())
    assert report.exposure.mean.reason


IMAGES = st.sampled_from([np.uint8, np.uint16, np.int16, np.float32]).flatmap(
    lambda kind: arrays.arrays(
        kind,
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=48)
        | st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(3)),
        elements=st.floats(-2, 3, width=32) if kind is np.float32 else None,
        fill=st.just(kind(1)),
    )
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(IMAGES, st.booleans())
def test_any_image_gives_finite_numbers_or_reasons(image: np.ndarray, masked: bool) -> None:
    value_range = (0.0, 1.0) if image.dtype.kind == "f" else (float(np.iinfo(image.dtype).min), 4095.0)
    valid = np.indices(image.shape[:2]).sum(0) % 5 > 0 if masked else None
    report = quantify(image, value_range, valid=valid)
    for name, number in report.numbers.items():
        assert number.value is None or np.isfinite(number.value), name
        assert bool(number.reason) == (number.value is None), name
    assert set(report.severities.values()) <= SEVERITIES
    json.dumps(report.as_dict(), allow_nan=False)
