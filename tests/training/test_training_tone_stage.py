"""The tone path alone, trained on observations that are simulated once."""

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
from lowlight.imaging.transforms import ReadImaged
from lowlight.model.losses import ToneLoss
from lowlight.model.network import DualPathNet
from lowlight.model.resampling import area_resize, spline_resize
from lowlight.model.tone import tone_curve
from lowlight.training.handlers import Frozen
from lowlight.training.observations import Observations, SeenByTonePathd
from lowlight.training.tone_stage import ToneInferer, learn_damage, learn_statistics, prepare_batch
from lowlight.training.transforms import RandFramed, ThreeChannelsd


@pytest.fixture
def network() -> DualPathNet:
    torch.manual_seed(0)
    return DualPathNet(denoise_widths=(4, 4), denoise_blocks=(1, 1))


@pytest.fixture
def items(tmp_path: Path, retina: np.ndarray, radiograph_like: np.ndarray) -> list[dict[str, Any]]:
    """A colour and a grey image as files."""
    pictures = {"fundus": retina[::2, ::2], "xray": radiograph_like}
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return [{"image": str(tmp_path / f"{name}.png"), "modality": name} for name in pictures]


def observations(
    items: list[dict[str, Any]], network: DualPathNet, count: int = 12, clean: float = 0.1, **more: Any
) -> Observations:
    steps = [
        RandFramed("image", sizes=(48, 96)),
        LowLightd("image", clean_probability=clean, copy_clean_to="label"),
        ThreeChannelsd(["image", "label"]),
        EnsureTyped(["image", "label"], track_meta=False),
        SeenByTonePathd(["image", "label"], network.tone),
        SelectItemsd(["image", "label", "cells", "statistics"]),
    ]
    return Observations(items, ReadImaged("image"), Compose(steps), count, **more)


def same(one: Observations, other: Observations) -> bool:
    return all(torch.equal(one.kept[name], other.kept[name]) for name in one.kept)


def test_the_seed_alone_decides_what_is_observed(items: list[dict[str, Any]], network: DualPathNet) -> None:
    torch.manual_seed(1)
    first = observations(items, network, seed=3)
    torch.manual_seed(2)
    np.random.seed(2)
    assert same(first, observations(items, network, seed=3, num_workers=2))
    assert not same(first, observations(items, network, seed=4))


def test_no_two_observations_are_alike_and_each_takes_27_kilobytes(
    items: list[dict[str, Any]], network: DualPathNet
) -> None:
    found = observations(items, network, count=20)
    assert len(found) == 20
    assert len({each["cells"].numpy().tobytes() for each in (found[n] for n in range(20))}) == 20
    assert sum(values.nbytes for values in found.kept.values()) < 20 * 27_000


def test_what_is_kept_is_what_the_network_sees_of_the_frame(network: DualPathNet, retina: np.ndarray) -> None:
    clean = torch.from_numpy(retina[:90, :131].transpose(2, 0, 1) / np.float32(255))
    dark = clean * 0.3
    seen = SeenByTonePathd(["image", "label"], network.tone)({"image": dark, "label": clean})
    network.eval()
    cells, statistics = network.tone.see(dark[None])
    # float16 has 11 binary digits; the largest cells are near 4.
    torch.testing.assert_close(seen["cells"].float(), cells[0], atol=2e-3, rtol=0)
    assert torch.equal(seen["statistics"], statistics[0])
    for key, frame in (("image", dark), ("label", clean)):
        torch.testing.assert_close(seen[key].float(), area_resize(frame[None], (32, 32))[0], atol=5e-4, rtol=0)
    decided = network.tone.decide(seen["cells"][None].float(), seen["statistics"][None])
    torch.testing.assert_close(decided, network.tone(dark[None]), atol=1e-2, rtol=0)


def test_the_inferer_applies_the_curve_that_the_network_decides_on(network: DualPathNet, retina: np.ndarray) -> None:
    frame = torch.from_numpy(retina[:64, :64].transpose(2, 0, 1) / np.float32(800))[None]
    network.eval()
    maps = spline_resize(network.tone(frame), (64, 64))
    toned = ToneInferer()(frame, network, *network.tone.see(frame))
    torch.testing.assert_close(toned, tone_curve(frame, maps[:, :1], maps[:, 1:]))


def test_a_batch_is_mirrored_as_a_whole_and_by_halves(items: list[dict[str, Any]], network: DualPathNet) -> None:
    found = observations(items, network, count=32)
    batch = next(iter(DataLoader(found, batch_size=32)))
    torch.manual_seed(0)
    observed, truth, (cells, statistics), more = prepare_batch(batch, "cpu")
    assert more == {}
    assert torch.equal(statistics, batch["statistics"])
    mirrored = 0
    for n in range(32):
        pairs = ((observed, "image"), (truth, "label"), (cells, "cells"))
        straight = {torch.equal(own[n], batch[name][n].float()) for own, name in pairs}
        assert len(straight) == 1
        if straight == {False}:
            mirrored += 1
            assert all(torch.equal(own[n].flip(-1), batch[name][n].float()) for own, name in pairs)
    assert 6 <= mirrored <= 26


def test_statistics_are_learned_once_and_kept_where_weights_bring_them(
    items: list[dict[str, Any]], network: DualPathNet
) -> None:
    found = observations(items, network, count=20)
    learn_statistics(network.tone, found)
    standard = network.tone.statistics.eval()(found.kept["statistics"])
    assert float(standard.mean(0).abs().max()) < 0.5
    assert 0.5 < float(standard[:, :100].std()) < 1.2
    before = network.tone.statistics.mean.clone()
    learn_statistics(network.tone, observations(items, network, count=20, seed=9))
    assert torch.equal(network.tone.statistics.mean, before)


def test_how_it_learns_about_damage_can_be_set(
    items: list[dict[str, Any]], network: DualPathNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    step = torch.optim.AdamW.step

    def counted(optimizer: torch.optim.AdamW, *rest: Any) -> Any:
        nonlocal steps
        steps += 1
        return step(optimizer, *rest)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    learn_statistics(network.tone, observations(items, network, count=20, clean=0.4), {"iterations": 7})
    assert steps == 7


def test_it_learns_to_tell_damaged_frames_from_good_ones(items: list[dict[str, Any]], network: DualPathNet) -> None:
    torch.manual_seed(5)
    found = observations(items, network, count=200, clean=0.4)
    damaged = (found.kept["image"] != found.kept["label"]).flatten(1).any(1)
    tone = network.tone
    before = {name: values.clone() for name, values in tone.state_dict().items()}
    tone.train()
    learn_statistics(tone, found)
    assert tone.training
    after = tone.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"statistics", "damage"}
    tone.eval()
    fresh = observations(items, network, count=200, clean=0.4, seed=8)
    damaged = (fresh.kept["image"] != fresh.kept["label"]).flatten(1).any(1)
    with torch.no_grad():
        decided = tone.decide(fresh.kept["cells"].float(), fresh.kept["statistics"]).abs().amax((1, 2, 3))
    assert float((decided[damaged] > 0.2).float().mean()) > 0.95
    assert float((decided[~damaged] < 0.02).float().mean()) > 0.95


def test_without_good_frames_it_goes_on_taking_every_frame_for_damaged(
    items: list[dict[str, Any]], network: DualPathNet
) -> None:
    before = {name: values.clone() for name, values in network.tone.damage.state_dict().items()}
    for clean in (0.0, 1.0):
        learn_damage(network.tone, observations(items, network, count=12, clean=clean), iterations=2)
    for name, values in network.tone.damage.state_dict().items():
        assert torch.equal(values, before[name])


def test_the_loss_falls_and_the_statistics_and_the_other_path_stay(
    items: list[dict[str, Any]], network: DualPathNet
) -> None:
    found = observations(items, network, count=32)
    learn_statistics(network.tone, found)
    before = {name: values.clone() for name, values in network.state_dict().items()}
    losses: list[float] = []
    trainer = SupervisedTrainer(
        device="cpu",
        max_epochs=20,
        train_data_loader=DataLoader(found, batch_size=16, shuffle=True),
        network=network,
        optimizer=torch.optim.AdamW(network.tone.parameters(), lr=2e-3),
        loss_function=ToneLoss(),
        inferer=ToneInferer(),
        prepare_batch=prepare_batch,
        train_handlers=[Frozen(network.tone.statistics), Frozen(network.tone.damage)],
    )
    trainer.add_event_handler("ITERATION_COMPLETED", lambda engine: losses.append(engine.state.output[0]["loss"]))
    trainer.run()
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.02
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    trained = {name for name, _ in network.tone.named_parameters() if not name.startswith("damage.")}
    assert changed == {f"tone.{name}" for name in trained}


def test_the_terms_of_the_tone_loss_make_the_loss() -> None:
    torch.manual_seed(0)
    toned, truth = torch.rand(4, 3, 8, 8) * 1.4 - 0.2, torch.rand(4, 3, 8, 8)
    loss = ToneLoss(mse=1, absolute=2, log_mse=3)
    total = loss(toned, truth)
    assert float(total) == pytest.approx(loss.terms["mse"] + 2 * loss.terms["absolute"] + 3 * loss.terms["log_mse"])
    assert float(ToneLoss(1, 0, 0)(truth, truth)) == 0


def test_less_than_one_observation_is_refused(items: list[dict[str, Any]], network: DualPathNet) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        observations(items, network, count=0)
