"""Readers' answers as a loss: what is held out, what is trained, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from PIL import Image

from lowlight.errors import StudyError
from lowlight.imaging import collect
from lowlight.model.losses import ToneLoss
from lowlight.model.network import DualPathNet
from lowlight.study.making import Case, Design, make
from lowlight.study.observers import Population
from lowlight.study.simulating import simulate
from lowlight.training.feedback import Agreement, FeedbackLoss, Preferences


@pytest.fixture(scope="module")
def rated(retina: np.ndarray, enhancer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Comparisons of 24 dark images by simulated readers, who like 50 % of the brightness best."""
    folder = tmp_path_factory.mktemp("rated")
    small = retina[::6, ::6]
    for number in range(24):
        dark = np.roll(small, 5 * number, axis=number % 2) * (0.2 + 0.01 * number)
        Image.fromarray(dark.astype(np.uint8)).save(folder / f"{number}.png")
    design = Design(("pair",), [(b, 1.0) for b in (0.4, 0.7, 1.0, 1.3)], original=False, readers=4, items=48)
    make(folder / "asked.study", [Case((found,), "fundus") for found in collect([folder])], design, enhancer)
    return simulate(folder / "asked.study", folder / "rated.study", Population({"fundus": 0.5}), seed=1)


@pytest.fixture
def network(bundle: Path) -> DualPathNet:
    made = DualPathNet()
    made.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    return made


def test_images_are_held_out_whole(rated: Path, network: DualPathNet) -> None:
    kept = Preferences(rated, network.tone)
    assert len(kept.train) + len(kept.held_out) == 192
    train, held_out = (set(part[:, 0].tolist()) for part in (kept.train, kept.held_out))
    assert len(held_out) == 6
    assert not train & held_out
    assert train | held_out == set(range(24))
    again = Preferences(rated, network.tone)
    assert torch.equal(kept.held_out, again.held_out)


def test_the_network_learns_to_agree_with_held_out_answers(rated: Path, network: DualPathNet, tmp_path: Path) -> None:
    torch.manual_seed(1)
    preferences = Preferences(rated, network.tone)
    loss = FeedbackLoss(ToneLoss(), network, preferences)
    agreement = Agreement(loss, network, SimpleNamespace(tone=network.tone), tmp_path / "feedback.json")
    engine = Engine(lambda _engine, _batch: None)
    agreement.attach(engine)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.AdamW(
        [{"params": network.tone.parameters(), "lr": 5e-4}, {"params": loss.parameters(), "lr": 0.05}]
    )
    held = preferences.means

    def step(_engine: Engine, _batch: int) -> None:
        network.tone.train()
        optimizer.zero_grad()
        loss(held, held).backward()
        optimizer.step()

    engine._process_function = step
    loss.supervised.weights = dict.fromkeys(loss.supervised.weights, 0.0)
    engine.run(range(60), max_epochs=1)
    told = json.loads((tmp_path / "feedback.json").read_text(encoding="utf-8"))
    assert told["after"] > told["before"] + 0.1
    # Four images that all improve are as unlikely as one in sixteen.
    assert told["p"] <= 1 / 16
    assert told["simulated"] is True
    # The favourite brightness moved from 1 towards 0.5, and nothing but the tone path was trained.
    assert told["favourite_strengths"]["fundus"]["brightness"] < 0.9
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("tone.") for name in changed)


def test_the_supervised_loss_is_part_of_it(rated: Path, network: DualPathNet) -> None:
    preferences = Preferences(rated, network.tone)
    loss = FeedbackLoss(ToneLoss(), network, preferences, ranking=0.0, strength_ranking=0.0)
    toned, truth = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    assert float(loss(toned, truth).detach()) == pytest.approx(float(ToneLoss()(toned, truth)))
    assert {"mse", "absolute", "log_mse", "ranking", "strength_ranking"} <= set(loss.terms)


def test_too_few_answers_are_refused_with_how_many_are_needed(rated: Path, network: DualPathNet) -> None:
    with pytest.raises(StudyError, match=r"192 comparisons of 24 images are too few .*at least 500 comparisons"):
        Preferences(rated, network.tone, least=500)
