"""Small details drawn into training frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, label

from lowlight.training.planting import RandPlantedDetailsd


@pytest.fixture
def frame(retina: np.ndarray) -> torch.Tensor:
    """A fundus photograph with a black surround: float32 (3, 300, 400) in [0, 1]."""
    shown = np.pad(retina[:300, :300], ((0, 0), (100, 0), (0, 0)))
    return torch.from_numpy(shown.transpose(2, 0, 1) / np.float32(255))


def test_details_are_bright_and_dark_and_stay_in_range_and_off_the_black(frame: torch.Tensor) -> None:
    before = frame.clone()
    drawn = RandPlantedDetailsd("image", prob=1.0, area=1000).set_random_state(seed=1)({"image": frame})["image"]
    assert torch.equal(frame, before), "the frame itself is not drawn into"
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1
    change = (drawn - frame).mean(0).numpy()
    assert label(change > 0.02)[1] >= 5
    assert label(change < -0.02)[1] >= 5
    assert float(np.mean(change != 0)) < 0.4
    # Lines reach up to 40 px from their middle; farther out, there is nothing but black around.
    black = binary_erosion((frame.max(0).values < 0.02).numpy(), iterations=40)
    assert black.any()
    assert not change[black].any()


def test_colours_keep_the_hue_of_their_surroundings(frame: torch.Tensor) -> None:
    flat = torch.tensor([0.6, 0.3, 0.2])[:, None, None].expand(3, 200, 200)
    drawn = RandPlantedDetailsd("image", prob=1.0).set_random_state(seed=1)({"image": flat})["image"]
    changed = (drawn != flat).any(0)
    assert changed.any()
    torch.testing.assert_close(drawn[0][changed], 2 * drawn[1][changed], atol=1e-5, rtol=0)


def test_grey_and_colour_get_the_same_details_and_the_seed_repeats_them(frame: torch.Tensor) -> None:
    item = {"a": frame[:1] * 0 + 0.5, "b": frame * 0 + 0.5}
    plant = RandPlantedDetailsd(["a", "b"], prob=1.0)
    first = plant.set_random_state(seed=4)(item)
    again = plant.set_random_state(seed=4)(item)
    torch.testing.assert_close(first["b"], first["a"].expand(3, -1, -1))
    assert torch.equal(first["b"], again["b"])
    assert not torch.equal(plant(item)["b"], first["b"])


def test_a_share_of_the_frames_stays_as_it_is(frame: torch.Tensor) -> None:
    plant = RandPlantedDetailsd("image", prob=0.4).set_random_state(seed=0)
    untouched = sum(torch.equal(plant({"image": frame})["image"], frame) for _ in range(40))
    assert 14 <= untouched <= 34


def test_a_frame_too_small_for_any_detail_stays_as_it_is() -> None:
    small = torch.rand(1, 9, 300)
    assert torch.equal(RandPlantedDetailsd("image", prob=1.0, area=10)({"image": small})["image"], small)
