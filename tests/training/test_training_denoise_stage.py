"""The denoise path alone, on patches that come with the tone of their whole frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.engines import SupervisedTrainer
from monai.transforms import Compose, EnsureTyped, SelectItemsd
from PIL import Image
from torch.utils.data import DataLoader

from lowlight.degradation import LowLightd
from lowlight.errors import InputError
from lowlight.imaging.transforms import ReadImaged
from lowlight.model.losses import EnhancementLoss
from lowlight.model.network import DualPathNet
from lowlight.training.denoise_stage import PatchInferer, as_it_was, mirror, prepare_batch
from lowlight.training.handlers import Frozen, export_weights
from lowlight.training.observations import Observations, Patches, RandPatchesOfFramed, SeenByTonePathd
from lowlight.training.transforms import RandFramed, ThreeChannelsd

SIZE = 32


@pytest.fixture
def network() -> DualPathNet:
    torch.manual_seed(0)
    network = DualPathNet(denoise_widths=(4, 4), denoise_blocks=(1, 1))
    # A real denoise path looks beyond the patch. With no residual and no local median, only the tone is left.
    torch.nn.init.constant_(network.denoise.exit.conv.bias[20:], -40.0)
    return network


def observations(folder: Path, retina: np.ndarray, network: DualPathNet, count: int = 8, **more: Any) -> Observations:
    file = folder / "fundus.png"
    Image.fromarray(retina[::2, ::2]).save(file)
    steps = [
        RandFramed("image", sizes=(64, 96), least_side=SIZE),
        LowLightd("image", copy_clean_to="label"),
        ThreeChannelsd(["image", "label"]),
        EnsureTyped(["image", "label"], track_meta=False),
        RandPatchesOfFramed(["image", "label"], size=SIZE, count=2),
        SeenByTonePathd(["image", "label"], network.tone),
        SelectItemsd(
            ["image", "label", "cells", "statistics", "image_patches", "label_patches", "corners", "frame_size"]
        ),
    ]
    items = [{"image": str(file), "modality": "fundus"}]
    return Observations(items, ReadImaged("image"), Compose(steps), count, **more)


def frame_and_batch(network: DualPathNet, shape: tuple[int, int], count: int = 4) -> tuple[torch.Tensor, Any]:
    """A random frame (1, 3, *shape) in 256 steps, and a batch of its patches."""
    frame = (torch.rand(1, 3, *shape) * 255).round() / 255
    cut = RandPatchesOfFramed(["image", "label"], size=SIZE, count=count)
    cut.set_random_state(seed=0)
    item = cut({"image": frame[0], "label": frame[0]})
    cells, statistics = network.tone.see(frame)
    return frame, {
        "image": item["image_patches"],
        "label": item["label_patches"],
        "corner": item["corners"],
        "frame_size": item["frame_size"].expand(count, 2),
        "cells": cells.expand(count, -1, -1, -1),
        "statistics": statistics.expand(count, -1),
    }


@pytest.mark.parametrize("shape", [(96, 64), (32, 80), (35, 129)])
def test_a_patch_comes_out_as_it_does_within_its_frame(network: DualPathNet, shape: tuple[int, int]) -> None:
    network.eval()
    frame, batch = frame_and_batch(network, shape)
    whole = network(frame)
    observed, truth, extra, more = prepare_batch(batch, "cpu")
    assert more == {}
    assert torch.equal(observed, truth)
    out = mirror(PatchInferer()(observed, network, *extra), extra[-1])
    for patch, (top, left) in zip(out, batch["corner"].tolist(), strict=True):
        assert (top % 8, left % 8) == (0, 0)
        own = whole[0, :, top : top + SIZE, left : left + SIZE]
        torch.testing.assert_close(patch[:, : own.shape[1], : own.shape[2]], own, atol=1e-5, rtol=0)


def test_in_bfloat16_the_patches_come_out_nearly_alike(network: DualPathNet) -> None:
    network.eval()
    torch.nn.init.normal_(network.denoise.exit.conv.weight, std=0.05)
    _, batch = frame_and_batch(network, (64, 64))
    observed, _, extra, _ = prepare_batch(batch, "cpu")
    exact, rounded = (PatchInferer(bfloat16)(observed, network, *extra) for bfloat16 in (False, True))
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded, exact, atol=0.05, rtol=0)


def test_the_network_as_it_was_says_its_part_and_learns_nothing(tmp_path: Path, network: DualPathNet) -> None:
    network.eval()
    export_weights(network, tmp_path / "model.pt")
    start = as_it_was(network, tmp_path / "model.pt")
    torch.nn.init.normal_(network.denoise.exit.conv.weight, std=0.05)
    _, batch = frame_and_batch(network, (64, 64))
    observed, _, extra, _ = prepare_batch(batch, "cpu")
    both = PatchInferer(start=start)(observed, network, *extra)
    assert both.shape == (4, 12, SIZE, SIZE)
    torch.testing.assert_close(both[:, :9], PatchInferer()(observed, network, *extra))
    torch.testing.assert_close(both[:, 9:], PatchInferer()(observed, start, *extra)[:, :3])
    assert not torch.allclose(both[:, :3], both[:, 9:])
    both.sum().backward()
    assert all(values.grad is None for values in start.parameters())
    assert network.denoise.exit.conv.weight.grad is not None
    with pytest.raises(InputError, match="no such file"):
        as_it_was(network, tmp_path / "none.pt")


def test_patches_are_mirrored_both_ways_by_halves(network: DualPathNet) -> None:
    _, batch = frame_and_batch(network, (64, 64), count=64)
    torch.manual_seed(0)
    observed, _, extra, _ = prepare_batch(batch, "cpu")
    mirrored = extra[-1]
    assert torch.equal(mirror(observed, mirrored), batch["image"] / 255)
    assert all(16 <= int(mirrored[:, axis].sum()) <= 48 for axis in (0, 1))


def test_a_frame_smaller_than_a_patch_repeats_its_last_pixels() -> None:
    frame = torch.rand(3, 20, 50)
    item = RandPatchesOfFramed("image", size=SIZE, count=1)({"image": frame})
    patch = item["image_patches"][0]
    assert patch.shape == (3, SIZE, SIZE)
    assert torch.equal(patch[:, 20:], patch[:, 19:20].expand(-1, 12, -1))


def test_patches_off_the_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        RandPatchesOfFramed("image", size=20)


def test_observations_are_simulated_once_and_read_again(
    tmp_path: Path, retina: np.ndarray, network: DualPathNet
) -> None:
    file = tmp_path / "runs" / "observations.pt"
    first = observations(tmp_path, retina, network, file=file)
    items = [{"image": str(tmp_path / "fundus.png"), "modality": "fundus"}]
    again = Observations(items, None, None, 8, file=file)  # type: ignore[arg-type]
    assert first.kept.keys() == again.kept.keys()
    assert all(torch.equal(first.kept[name], again.kept[name]) for name in first.kept)
    assert len(Patches(again)) == 16
    with pytest.raises(InputError, match="8 observations of seed 0, not 9 of 0"):
        Observations(items, None, None, 9, file=file)  # type: ignore[arg-type]
    Image.fromarray(retina[::4, ::4]).save(tmp_path / "fundus.png")
    with pytest.raises(InputError, match="holds observations of other images; name another output_dir"):
        Observations(items, None, None, 8, file=file)  # type: ignore[arg-type]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "observations.pt"
    file.write_text("no observations")
    with pytest.raises(InputError, match="holds no observations"):
        Observations([], None, None, 8, file=file)  # type: ignore[arg-type]


def test_the_loss_falls_and_the_tone_path_stays(tmp_path: Path, retina: np.ndarray, network: DualPathNet) -> None:
    found = Patches(observations(tmp_path, retina, network, count=16))
    before = {name: values.clone() for name, values in network.state_dict().items()}
    losses: list[float] = []
    trainer = SupervisedTrainer(
        device="cpu",
        max_epochs=25,
        train_data_loader=DataLoader(found, batch_size=8, shuffle=True),
        network=network,
        optimizer=torch.optim.AdamW(network.denoise.parameters(), lr=3e-3),
        loss_function=EnhancementLoss(perceptual=0, low_frequency=0, likelihood=0, fitted=2),
        inferer=PatchInferer(),
        prepare_batch=prepare_batch,
        train_handlers=[Frozen(network.tone)],
    )
    trainer.add_event_handler("ITERATION_COMPLETED", lambda engine: losses.append(engine.state.output[0]["loss"]))
    trainer.run()
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= {f"denoise.{name}" for name, _ in network.denoise.named_parameters()}
    assert len(changed) > 15
