"""What holds for every transform: array and dictionary, deterministic and random, grey and colour, any size."""

import inspect
import json

import numpy as np
import pytest
import torch
from degradation_images import retina
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Compose, MapTransform, Randomizable, Transform

import lowlight.degradation as degradation
from lowlight.degradation import Degradation, LowLight, describe, record_of, replay

EXAMPLES = {
    "Exposure": {"gain": 0.4, "gamma": 1.8},
    "UnevenIllumination": {"falloff": 0.5, "kind": "smooth", "seed": 3},
    "SensorNoise": {"photons": 60.0, "read": 0.01, "seed": 3},
    "RowNoise": {"sigma": 0.01, "seed": 3},
    "SaltAndPepper": {"amount": 0.02, "per_channel": True, "seed": 3},
    "Defocus": {"sigma": 1.2, "shape": "disc"},
    "MotionBlur": {"length": 5.0, "angle": 30.0},
    "JpegCompression": {"quality": 50},
    "Quantisation": {"bits": 4},
    "ContrastStretch": {"lower": 5.0, "upper": 95.0},
    "GammaCorrection": {"gamma": 0.7},
    "HistogramEqualisation": {"mode": "clahe"},
}
NAMES = sorted(EXAMPLES)
SHAPES = [(1, 1, 1), (3, 1, 1), (1, 3, 20), (3, 3, 20), (3, 20, 3), (1, 1, 700), (1, 64, 48)]


def fixed(name: str) -> Degradation:
    return getattr(degradation, name)(**EXAMPLES[name])


def drawn(name: str):
    return LowLight() if name == "LowLight" else getattr(degradation, f"Rand{name}")()


@pytest.mark.parametrize("name", NAMES)
def test_every_damage_has_four_forms(name):
    array, dictionary, random, random_dictionary = (
        getattr(degradation, form) for form in (name, f"{name}d", f"Rand{name}", f"Rand{name}d")
    )
    assert issubclass(array, Transform)
    assert issubclass(random, Randomizable)
    assert issubclass(dictionary, MapTransform)
    assert issubclass(random_dictionary, (MapTransform, Randomizable))
    # The dictionary forms take the parameters of the array forms, with the same defaults, between two of their own.
    for plain, keyed in ((array, dictionary), (random, random_dictionary)):
        parameters = list(inspect.signature(plain).parameters.values())
        of_keyed = list(inspect.signature(keyed).parameters.values())
        assert [(p.name, p.default) for p in of_keyed[1:-1]] == [(p.name, p.default) for p in parameters]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_type_dtype_shape_and_range_are_kept(name, dtype):
    clean = retina().astype(dtype)
    transform = fixed(name)
    array, tensor, meta = transform(clean), transform(torch.tensor(clean)), transform(MetaTensor(torch.tensor(clean)))
    assert type(array) is np.ndarray
    assert type(tensor) is torch.Tensor
    assert type(meta) is MetaTensor
    for result in (array, tensor.numpy(), meta.numpy()):
        assert result.dtype == dtype
        assert result.shape == clean.shape
        assert result.min() >= 0
        assert result.max() <= 1
        np.testing.assert_array_equal(result, array)


@pytest.mark.parametrize("name", NAMES)
def test_the_input_is_not_changed(name):
    clean = MetaTensor(torch.tensor(retina()), meta={"filename_or_obj": "retina"})
    before = clean.clone()
    dark = fixed(name)(clean)
    assert torch.equal(clean, before)
    assert "degradation" not in clean.meta
    assert dark.meta["filename_or_obj"] == "retina"


@pytest.mark.parametrize("name", [*NAMES, "LowLight"])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_size_from_one_pixel_up(name, shape):
    clean = np.random.default_rng(0).random(shape, dtype=np.float32)
    for seed in range(3):
        dark = drawn(name).set_random_state(seed)(clean)
        assert dark.shape == shape
        assert np.isfinite(dark).all()


@pytest.mark.parametrize("name", [*NAMES, "LowLight"])
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_black_and_all_white(name, value, channels):
    dark = drawn(name).set_random_state(1)(np.full((channels, 40, 40), value, np.float32))
    assert np.isfinite(dark).all()
    assert 0 <= dark.min() <= dark.max() <= 1


@pytest.mark.parametrize("name", [*NAMES, "LowLight"])
def test_three_equal_channels_stay_equal_and_are_degraded_as_one(name):
    grey = retina()[1:2]
    one = drawn(name).set_random_state(5)(grey)
    three = drawn(name).set_random_state(5)(np.repeat(grey, 3, axis=0))
    np.testing.assert_array_equal(three, np.repeat(one, 3, axis=0))


@pytest.mark.parametrize("name", [*NAMES, "LowLight"])
def test_the_record_replays_bit_for_bit(name):
    clean = MetaTensor(torch.tensor(retina()))
    transform = drawn(name).set_random_state(8)
    for _ in range(5):
        dark = transform(clean)
        record = json.loads(json.dumps(record_of(dark)))
        assert record == json.loads(dark.meta["degradation"])
        assert torch.equal(replay(clean, record).as_tensor(), dark.as_tensor())
        np.testing.assert_array_equal(replay(retina(), record), dark.numpy())
        assert "\n" not in describe(record)
        assert transform.drawn.record() == record[0]


@pytest.mark.parametrize("name", NAMES)
def test_random_forms_repeat_from_a_seed_and_agree_with_their_dictionary(name):
    clean = torch.tensor(retina())
    keyed = getattr(degradation, f"Rand{name}d")(["image", "other"]).set_random_state(3)
    first = keyed({"image": clean, "other": clean, "id": 7})
    again = keyed.set_random_state(3)({"image": clean, "other": clean, "id": 7})
    plain = drawn(name).set_random_state(3)(clean)
    assert first["id"] == 7
    assert isinstance(first["image"], MetaTensor)
    for image in (first["other"], again["image"], plain):
        assert torch.equal(torch.as_tensor(first["image"]), torch.as_tensor(image))


@pytest.mark.parametrize("name", NAMES)
def test_prob_is_the_share_of_images_that_are_degraded(name):
    transform = getattr(degradation, f"Rand{name}")(prob=0.3).set_random_state(0)
    clean = np.random.default_rng(0).random((1, 8, 8), dtype=np.float32)
    hits = 0
    for _ in range(300):
        result = transform(clean)
        hits += transform.drawn is not None
        assert transform.drawn is not None or result is clean
    assert 60 < hits < 120


def test_steps_of_a_pipeline_are_recorded_in_order_and_replayed():
    pipeline = Compose([fixed(name) for name in NAMES])
    clean = MetaTensor(torch.tensor(retina()))
    dark = pipeline(clean)
    assert [step["name"] for step in record_of(dark)] == NAMES
    assert torch.equal(replay(clean, record_of(dark)).as_tensor(), dark.as_tensor())


def test_replay_does_not_repeat_what_the_clean_image_already_went_through():
    stretched = fixed("ContrastStretch")(MetaTensor(torch.tensor(retina())))
    dark = LowLight(severity="medium").set_random_state(1)(stretched)
    assert torch.equal(replay(stretched, record_of(dark)).as_tensor(), dark.as_tensor())


@pytest.mark.parametrize(
    "record",
    ["no json", "3", [{"name": "Exposure"}], [{"name": "Nothing", "parameters": {}}], ["Exposure"]]
    + [[{"name": "Exposure", "parameters": parameters}] for parameters in ({"gain": 7}, {"gian": 0.5}, None)],
)
def test_a_damaged_record_is_refused(record):
    with pytest.raises(ValueError, match=r"record|gain"):
        replay(retina(), record)


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        (np.zeros((8, 8), np.float32), "channel-first"),
        (np.zeros((8, 8, 3), np.float32), "channel-first"),
        (np.zeros((4, 8, 8), np.float32), "channel-first"),
        (np.zeros((1, 0, 8), np.float32), "empty"),
        (np.zeros((1, 8, 8), np.uint8), "floating-point"),
        (torch.zeros((1, 8, 8), dtype=torch.int16), "floating-point"),
        (np.full((1, 8, 8), 200, np.float32), r"\[0, 1\]"),
        (np.full((1, 8, 8), np.nan, np.float32), "NaN"),
        (np.full((1, 8, 8), np.inf, np.float32), "infinite"),
        ([[[0.5]]], "array or a tensor"),
    ],
)
def test_an_image_that_cannot_be_degraded_is_refused(image, fault):
    with pytest.raises(ValueError, match=fault):
        fixed("Exposure")(image)


def test_overshoot_of_interpolation_is_clipped():
    image = np.array([[[-0.1, 0.5, 1.1]]], np.float32)
    np.testing.assert_allclose(fixed("GammaCorrection")(image), [[[0, 0.5**0.7, 1]]], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    name=st.sampled_from([*NAMES, "LowLight"]),
)
def test_whatever_is_drawn_the_result_is_an_image_and_can_be_replayed(seed, channels, height, width, name):
    clean = np.random.default_rng(seed).random((channels, height, width), dtype=np.float32)
    transform = drawn(name).set_random_state(seed)
    dark = transform(clean)
    assert dark.shape == clean.shape
    assert dark.dtype == np.float32
    assert 0 <= dark.min() <= dark.max() <= 1
    np.testing.assert_array_equal(replay(clean, transform.drawn.record()), dark)
