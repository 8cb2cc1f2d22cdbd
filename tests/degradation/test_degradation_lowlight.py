"""The composed observation: its order, its ranges, its severities and modalities, its place in a data loader."""

import json
import pickle

import numpy as np
import pytest
import torch
from degradation_images import photograph, retina, ultrasound
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch, set_track_meta
from monai.transforms import Compose, RandFlipd

from lowlight.degradation import (
    COMMON,
    MODALITIES,
    SEVERITIES,
    Defocus,
    Exposure,
    JpegCompression,
    LowLight,
    LowLightd,
    MotionBlur,
    Quantisation,
    RandContrastStretchd,
    RowNoise,
    SaltAndPepper,
    SensorNoise,
    UnevenIllumination,
    describe,
    record_of,
    replay,
)
from lowlight.degradation.presets import MODALITY_SHARE, WIDENED_SHARE, specific

# The ranges of the benchmark's table, which every preset has to cover.
BENCHMARK = {
    "light": {
        "gain": (0.45, 0.70),
        "gamma": (1.2, 1.8),
        "photons": (300, 1500),
        "read": (0.004, 0.010),
        "blur": (0, 0.5),
        "impulses": (0, 0.001),
        "quality": (80, 95),
    },
    "medium": {
        "gain": (0.22, 0.45),
        "gamma": (1.5, 2.4),
        "photons": (80, 300),
        "read": (0.008, 0.020),
        "blur": (0.3, 1.0),
        "impulses": (0, 0.005),
        "quality": (60, 85),
    },
    "heavy": {
        "gain": (0.10, 0.22),
        "gamma": (1.8, 3.0),
        "photons": (25, 80),
        "read": (0.015, 0.035),
        "blur": (0.6, 1.6),
        "impulses": (0.002, 0.015),
        "quality": (35, 70),
    },
}
ORDER = [
    Exposure,
    UnevenIllumination,
    (Defocus, MotionBlur),
    SensorNoise,
    RowNoise,
    SaltAndPepper,
    Quantisation,
    JpegCompression,
]


def observations(count: int, severity: str | None = None, modality: str | None = None, **arguments):
    transform = LowLight(severity, modality, **arguments)
    random = np.random.RandomState(0)
    return [transform.draw(random) for _ in range(count)]


def step(observation, kind):
    return next((step for step in observation.steps if isinstance(step, kind)), None)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_common_ranges_contain_the_benchmarks(severity):
    for name, (low, high) in BENCHMARK[severity].items():
        ours = getattr(COMMON[severity], name)
        assert ours.low <= low
        assert ours.high >= high


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("modality", [None, *MODALITIES])
def test_every_preset_draws_from_the_whole_of_the_benchmarks_ranges(severity, modality):
    drawn = observations(900, severity, modality)
    exposure = [step(one, Exposure) for one in drawn]
    noise = [step(one, SensorNoise) for one in drawn]
    values = {
        "gain": [one.gain for one in exposure],
        "gamma": [one.gamma for one in exposure],
        "photons": [one.photons for one in noise],
        "read": [one.read / np.sqrt(light.gain) for one, light in zip(noise, exposure, strict=True)],
        "blur": [one.sigma for one in (step(one, Defocus) for one in drawn) if one],
        "impulses": [step(one, SaltAndPepper).amount for one in drawn],
        "quality": [step(one, JpegCompression).quality for one in drawn],
    }
    for name, (low, high) in BENCHMARK[severity].items():
        drawn_values = np.array(values[name])
        margin = 0.03 * (high - low)
        assert drawn_values.min() <= low + margin
        assert drawn_values.max() >= high - margin
        # Evenly: no tenth of the range gets less than half of its share of the draws that follow the common profile.
        shares = np.histogram(drawn_values, bins=10, range=(low, high))[0] / len(drawn_values)
        assert shares.min() > 0.5 * (1 - MODALITY_SHARE) * (1 - WIDENED_SHARE) / 10


def test_steps_follow_the_light_through_the_camera():
    for one in observations(300):
        places = [next(i for i, kinds in enumerate(ORDER) if isinstance(step, kinds)) for step in one.steps]
        assert places == sorted(set(places))
        assert {0, 2, 3, 5, 6, 7} <= set(places)


def test_the_common_profile_lights_four_images_in_ten_unevenly():
    common = [one for one in observations(4000) if one.profile == "common"]
    assert np.mean([step(one, UnevenIllumination) is not None for one in common]) == pytest.approx(0.4, abs=0.04)
    assert len(common) / 4000 == pytest.approx((1 - MODALITY_SHARE) * (1 - WIDENED_SHARE), abs=0.04)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_modality_says_why_and_bends_its_own_share(modality):
    assert len(MODALITIES[modality].reason) > 60
    names = [one.profile for one in observations(2000, "medium", modality)]
    assert names.count(modality) / 2000 == pytest.approx(MODALITY_SHARE, abs=0.05)
    assert specific(modality, "medium") != COMMON["medium"]
    assert set(names) == {"common", "widened", modality}


def test_an_explicit_share_draws_from_the_modalitys_own_ranges_alone() -> None:
    transform = LowLight("heavy", "ultrasound", modality_share=1.0)
    random = np.random.RandomState(0)
    assert {transform.draw(random).profile for _ in range(50)} == {"ultrasound"}


def test_modalities_differ_as_their_physics_does():
    profiles = {modality: specific(modality, "medium") for modality in MODALITIES}
    assert profiles["xray"].photons.low < COMMON["medium"].photons.low
    assert profiles["ultrasound"].photons.low > 10 * COMMON["medium"].photons.low
    assert profiles["ultrasound"].impulses.high == 0
    assert profiles["dermatology"].motion > COMMON["medium"].motion
    assert profiles["endoscopy"].falloff.low > COMMON["medium"].falloff.low
    assert profiles["fundus"].kinds == ("radial",)


@pytest.mark.parametrize("image", [photograph, retina, ultrasound])
def test_heavier_is_darker_and_further_from_the_truth(image):
    clean = image()
    means, errors = [], []
    for severity in SEVERITIES:
        transform = LowLight(severity).set_random_state(4)
        results = [transform(clean[:, :256, :256]) for _ in range(8)]
        means.append(np.mean(results))
        errors.append(np.mean([(result - clean[:, :256, :256]) ** 2 for result in results]))
    assert clean[:, :256, :256].mean() > means[0] > means[1] > means[2]
    assert errors == sorted(errors)


def test_an_observation_has_8_bits():
    dark = LowLight("medium").set_random_state(2)(retina()) * 255
    np.testing.assert_allclose(dark, np.rint(dark), atol=1e-4)


def test_severities_are_drawn_by_their_weights():
    drawn = [one.severity for one in observations(3000, severity_weights=(1, 2, 0))]
    assert drawn.count("heavy") == 0
    assert drawn.count("medium") / 3000 == pytest.approx(2 / 3, abs=0.04)


def test_the_clean_share_is_left_alone_and_recorded():
    transform = LowLightd("image", clean_probability=0.3, copy_clean_to="label").set_random_state(0)
    clean = torch.tensor(photograph())[:, :32, :32]
    kept = 0
    for _ in range(200):
        item = transform({"image": clean})
        if '"severity": "clean"' in item["image"].meta["degradation"]:
            kept += 1
            assert torch.equal(item["image"].as_tensor(), clean)
            assert describe(record_of(item["image"])) == "[clean] as it was"
    assert 40 < kept < 80


def test_a_share_is_dark_and_nothing_else():
    drawn = observations(400, exposure_only_probability=0.3)
    alone = [one for one in drawn if len(one.steps) <= 3]
    assert 90 < len(alone) < 150
    kinds = {type(step).__name__ for one in alone for step in one.steps}
    assert kinds == {"Exposure", "UnevenIllumination", "Quantisation"}
    assert all(type(one.steps[-1]).__name__ == "JpegCompression" for one in drawn if len(one.steps) > 3)
    assert {one.severity for one in alone} == {"light", "medium", "heavy"}
    assert observations(20) == observations(20, exposure_only_probability=0.0), "a seed draws what it always drew"


def test_dictionary_form_keeps_the_clean_image_and_reads_the_modality():
    image = MetaTensor(torch.tensor(retina()), meta={"filename_or_obj": "retina.jpg"})
    item = LowLightd("image", copy_clean_to="label").set_random_state(1)({"image": image, "modality": "Fundus"})
    assert torch.equal(item["label"].as_tensor(), image.as_tensor())
    assert item["label"].meta["filename_or_obj"] == item["image"].meta["filename_or_obj"] == "retina.jpg"
    assert item["label"].data_ptr() != image.data_ptr()
    assert "degradation" not in item["label"].meta
    assert record_of(item["image"])[0]["parameters"]["modality"] == "fundus"
    assert torch.equal(replay(item["label"], record_of(item["image"])).as_tensor(), item["image"].as_tensor())


@pytest.mark.parametrize(
    ("item", "expected"), [({"modality": "ct"}, "xray"), ({}, "xray"), ({"modality": "fundus"}, "fundus")]
)
def test_a_group_that_is_no_modality_of_ours_counts_as_the_transforms_own(item, expected):
    transform = LowLightd("image", modality="xray").set_random_state(1)
    dark = transform({"image": retina(), **item})["image"]
    assert record_of(dark)[0]["parameters"]["modality"] == expected


def test_arrays_become_meta_tensors_unless_tracking_is_off():
    transform = LowLightd("image", "light")
    assert isinstance(transform({"image": retina()})["image"], MetaTensor)
    set_track_meta(False)
    try:
        assert isinstance(transform({"image": retina()})["image"], np.ndarray)
    finally:
        set_track_meta(True)


def test_with_a_seed_an_image_always_gets_the_same_degradation():
    transform = LowLightd("image", seed=5)
    first = transform({"image": retina()})["image"]
    transform({"image": photograph()})
    again = transform({"image": torch.tensor(retina())})["image"]
    other = LowLightd("image", seed=6)({"image": retina()})["image"]
    assert torch.equal(first.as_tensor(), again.as_tensor())
    assert not torch.equal(first.as_tensor(), other.as_tensor())
    # Another image gets another one, or the whole validation would see a single exposure.
    assert record_of(first) != record_of(transform({"image": photograph()})["image"])


def loader(workers: int) -> DataLoader:
    items = [{"image": retina(), "modality": "fundus"}, {"image": np.repeat(photograph(), 3, 0), "modality": "ct"}] * 4
    transform = Compose(
        [
            RandContrastStretchd("image", prob=0.5),
            LowLightd("image", copy_clean_to="label", clean_probability=0.2),
            RandFlipd(["image", "label"], prob=0.0),
        ]
    ).set_random_state(9)
    torch.manual_seed(0)
    return DataLoader(Dataset(items, transform), batch_size=4, num_workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_records_travel_through_a_data_loader_and_replay_after_decollating(workers):
    for batch in loader(workers):
        assert batch["image"].shape == (4, 3, 256, 256)
        for item in decollate_batch(batch):
            record = record_of(item["image"])
            json.dumps(record)
            assert record[-1]["name"] == "Observation"
            assert torch.equal(replay(item["label"], record[-1]).as_tensor(), item["image"].as_tensor())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_repeats_from_its_seed(workers):
    first, second = ([batch["image"] for batch in loader(workers)] for _ in range(2))
    assert all(torch.equal(a.as_tensor(), b.as_tensor()) for a, b in zip(first, second, strict=True))
    # The two batches hold the same images, and come from a worker each: they must not draw the same numbers.
    assert first[0].meta["degradation"] != first[1].meta["degradation"]


def test_transforms_can_be_pickled_for_workers_that_are_spawned():
    transform = LowLightd("image", "heavy").set_random_state(3)
    copied = pickle.loads(pickle.dumps(transform))
    item = {"image": retina()}
    assert torch.equal(transform(item)["image"].as_tensor(), copied(item)["image"].as_tensor())


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: LowLight("dark"), "severity"),
        (lambda: LowLight(modality="ct"), "modality"),
        (lambda: LowLight(severity_weights=(1, 1)), "severity_weights"),
        (lambda: LowLight(severity_weights=(0, 0, 0)), "severity_weights"),
        (lambda: LowLight(severity_weights=(1, -1, 1)), "severity_weights"),
        (lambda: LowLight(clean_probability=1.5), "clean_probability"),
        (lambda: LowLight(exposure_only_probability=-0.1), "exposure_only_probability"),
        (lambda: LowLight(seed=-1), "seed"),
        (lambda: LowLightd("image", copy_clean_to="image"), "copy_clean_to"),
        (lambda: LowLightd(["a", "b"], copy_clean_to="label"), "copy_clean_to"),
    ],
)
def test_impossible_arguments_are_refused_by_name(build, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        build()


def test_a_missing_key_is_an_error_unless_allowed():
    with pytest.raises(KeyError):
        LowLightd("image")({"picture": retina()})
    assert set(LowLightd("image", allow_missing_keys=True)({"picture": retina()})) == {"picture"}
