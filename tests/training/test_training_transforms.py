"""From a whole clean image to what a training or validation step needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lowlight.degradation import record_of
from lowlight.imaging.transforms import ReadImaged
from lowlight.model.features import MODALITIES
from lowlight.training.transforms import (
    Enhancedd,
    FixedLowLightd,
    LongestSided,
    RandFramed,
    RandPatchd,
    RandTurnd,
    ThreeChannelsd,
)


@pytest.fixture
def colour(retina: np.ndarray) -> torch.Tensor:
    """The fundus photograph, 200 rows of 300 pixels: float32 (3, 200, 300) in [0, 1]."""
    return torch.from_numpy(retina[50:250, 25:325].transpose(2, 0, 1) / np.float32(255))


@pytest.mark.parametrize("size", [32, 96, 500])
@pytest.mark.parametrize("whole", [0.0, 1.0])
def test_a_patch_is_square_and_stays_in_range(colour: torch.Tensor, size: int, whole: float) -> None:
    patch = RandPatchd("image", size, whole_probability=whole).set_random_state(seed=1)({"image": colour})["image"]
    assert patch.shape == (3, size, size)
    assert patch.dtype == torch.float32
    assert 0 <= patch.min() <= patch.max() <= 1


def test_frames_are_of_many_sizes_never_larger_than_the_image_and_turn_only_where_nothing_is_up(
    colour: torch.Tensor,
) -> None:
    ramp = torch.linspace(0, 1, 200)[None, :, None].expand(1, 200, 300)
    frame = RandFramed(["image", "ramp"], sizes=(64, 400)).set_random_state(seed=2)
    found = [frame({"image": colour, "ramp": ramp, "modality": "xray"}) for _ in range(40)]
    assert all(item["image"].shape[-2:] == item["ramp"].shape[-2:] for item in found)
    longest = {max(item["image"].shape) for item in found}
    assert len(longest) > 15
    assert min(longest) >= 64
    assert max(longest) == 300
    for item in found:
        assert 0 <= item["image"].min() <= item["image"].max() <= 1 + 1e-6
        height, width = item["image"].shape[-2:]
        assert 0.6 * 2 / 3 - 0.03 <= height / width <= 2 / 3 / 0.6 + 0.03
        assert item["ramp"].mean(-1).diff().min() > 0
        assert float(item["ramp"].max() - item["ramp"].min()) > 0.55
    turned = [frame({"image": colour, "ramp": ramp, "modality": "natural"})["ramp"] for _ in range(40)]
    assert sum(float(ramp.mean(-1).diff().min()) <= 0 for ramp in turned) > 5


def test_an_untouched_frame_keeps_its_size_and_every_pixel_on_its_place(colour: torch.Tensor) -> None:
    frame = RandFramed("image", sizes=(64, 128), untouched_probability=0.5).set_random_state(seed=2)
    found = [frame({"image": colour, "modality": "natural"})["image"] for _ in range(40)]
    untouched = [image for image in found if torch.equal(image, colour)]
    assert 10 <= len(untouched) <= 30
    assert all(max(image.shape) <= 128 for image in found if not torch.equal(image, colour))


def test_a_crop_at_its_own_scale_is_a_turned_or_mirrored_part_of_the_image(colour: torch.Tensor) -> None:
    cut = RandPatchd("image", 64, whole_probability=0, largest_shrink=1).set_random_state(seed=3)
    windows = colour.unfold(1, 64, 1).unfold(2, 64, 1)
    for _ in range(4):
        patch = cut({"image": colour})["image"]
        straight = [torch.rot90(view, k, (1, 2)) for view in (patch, patch.flip(-1)) for k in range(4)]
        # The corner alone decides where a candidate could lie; then all of it has to agree.
        found = [
            torch.equal(windows[:, top, left], view)
            for view in straight
            for top, left in zip(*torch.where((windows[..., 0, 0] == view[:, None, None, 0, 0]).all(0)), strict=True)
        ]
        assert any(found)


def test_a_whole_frame_shows_everything_and_keeps_its_way_up(colour: torch.Tensor) -> None:
    ramp = torch.linspace(0, 1, 200)[None, :, None].expand(1, 200, 300)
    cut = RandPatchd(["image", "ramp"], 40, whole_probability=1).set_random_state(seed=5)
    for _ in range(6):
        item = cut({"image": colour, "ramp": ramp})
        assert item["ramp"][0, :, 20].diff().min() > 0
        assert item["image"].mean() == pytest.approx(float(colour.mean()), abs=0.01)


def test_all_images_of_an_item_are_cut_alike(colour: torch.Tensor) -> None:
    cut = RandPatchd(["image", "label"], 48, whole_probability=0.5).set_random_state(seed=7)
    for _ in range(8):
        item = cut({"image": colour, "label": 1 - colour})
        assert torch.allclose(item["image"] + item["label"], torch.ones(()), atol=1e-5)


def test_patches_repeat_with_the_seed_and_differ_without(colour: torch.Tensor) -> None:
    def draw(seed: int) -> torch.Tensor:
        cut = RandPatchd("image", 32).set_random_state(seed=seed)
        return torch.stack([cut({"image": colour})["image"] for _ in range(6)])

    assert torch.equal(draw(11), draw(11))
    assert not torch.equal(draw(11), draw(12))


@pytest.mark.parametrize(("size", "shape"), [(150, (100, 150)), (300, (200, 300)), (1000, (200, 300)), (1, (1, 1))])
def test_the_longer_side_is_bounded_and_small_images_stay(
    colour: torch.Tensor, size: int, shape: tuple[int, int]
) -> None:
    scaled = LongestSided("image", size)({"image": colour})["image"]
    assert scaled.shape == (3, *shape)
    assert torch.equal(scaled, colour) == (size >= 300)


def test_grey_gets_three_equal_channels_and_alpha_is_left_out(colour: torch.Tensor) -> None:
    widen = ThreeChannelsd("image")
    grey = widen({"image": colour[:1]})["image"]
    assert torch.equal(grey, colour[:1].repeat(3, 1, 1))
    assert torch.equal(widen({"image": colour})["image"], colour)
    assert torch.equal(widen({"image": torch.cat([colour, colour[:1]])})["image"], colour)


def observe(path: Path, severity: str, **more: object) -> dict[str, torch.Tensor]:
    item = ReadImaged("image")({"image": str(path), "severity": severity, "modality": "fundus", **more})
    return FixedLowLightd("image")(LongestSided("image", 120)(item))


def test_an_image_has_the_same_observation_wherever_it_lies(tmp_path: Path, retina: np.ndarray) -> None:
    here, there = tmp_path / "eye.png", tmp_path / "elsewhere" / "eye.png"
    there.parent.mkdir()
    for path in (here, there):
        Image.fromarray(retina).save(path)
    observed = {severity: observe(here, severity) for severity in ("light", "medium", "heavy")}
    torch.manual_seed(4)
    np.random.seed(4)
    for severity, item in observed.items():
        assert torch.equal(observe(there, severity)["image"], item["image"])
        assert torch.equal(item["label"], observed["light"]["label"])
    levels = [float(observed[severity]["image"].mean()) for severity in ("light", "medium", "heavy")]
    assert float(observed["light"]["label"].mean()) > levels[0] > levels[1] > levels[2]


def test_each_severity_has_noise_of_its_own(tmp_path: Path, retina: np.ndarray) -> None:
    path = tmp_path / "eye.png"
    Image.fromarray(retina).save(path)
    seeds = set()
    for severity in ("light", "medium", "heavy"):
        (observation,) = record_of(observe(path, severity)["image"])
        steps = {step["name"]: step["parameters"] for step in observation["parameters"]["steps"]}
        seeds.add(steps["SensorNoise"]["seed"])
    assert len(seeds) == 3


def test_images_of_other_names_are_damaged_otherwise(tmp_path: Path, retina: np.ndarray) -> None:
    path = tmp_path / "eye.png"
    Image.fromarray(retina).save(path)
    assert not torch.equal(
        observe(path, "heavy", name="left.png")["image"], observe(path, "heavy", name="right.png")["image"]
    )


def test_a_turned_image_carries_its_turn_and_modality(colour: torch.Tensor) -> None:
    turn = RandTurnd("image").set_random_state(seed=2)
    seen = set()
    for _ in range(16):
        item = turn({"image": colour, "modality": "fundus"})
        modality, turns = item["label"].tolist()
        assert MODALITIES[modality] == "fundus"
        assert torch.equal(item["image"], torch.rot90(colour, turns, (1, 2)))
        seen.add(turns)
    assert seen == {0, 1, 2, 3}


def test_an_unknown_modality_is_left_out_of_the_classification(colour: torch.Tensor) -> None:
    label = RandTurnd("image")({"image": colour, "modality": "unknown"})["label"]
    assert int(label[0]) == torch.nn.CrossEntropyLoss().ignore_index


def test_of_a_network_output_the_picture_is_kept_as_a_screen_shows_it(colour: torch.Tensor) -> None:
    output = torch.cat([3 * colour - 1, torch.zeros(6, 200, 300)])
    picture = Enhancedd("pred")({"pred": output})["pred"]
    assert torch.equal(picture, (3 * colour - 1).clamp(0, 1))
