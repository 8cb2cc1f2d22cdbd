"""What acts during training and evaluation, on MONAI's own engines."""

from __future__ import annotations

import copy
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from ignite.handlers import EMAHandler
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import IgniteMetricHandler, from_engine
from torch import nn
from torch.utils.data import DataLoader, RandomSampler

from lowlight.errors import InputError
from lowlight.model.losses import EnhancementLoss
from lowlight.model.metrics import PSNR, SSIM
from lowlight.model.network import DualPathNet
from lowlight.training.handlers import (
    Anchored,
    BestWeights,
    EpochCheckpoint,
    Frozen,
    GradientClip,
    GroupedMetrics,
    LossTerms,
    MeanWithStart,
    Progress,
    ResumeLatest,
    Validation,
    export_weights,
    load_initial_weights,
    load_tone,
    load_weights,
)


@pytest.fixture
def items(retina: np.ndarray) -> list[dict[str, Any]]:
    """Eight tiles of the fundus photograph, 40 x 40, and the same at half the light."""
    image = torch.from_numpy(retina.transpose(2, 0, 1) / np.float32(255))
    tiles = [image[:, 40 * k : 40 * k + 40, 100:140] for k in range(8)]
    return [{"image": tile / 2, "label": tile, "number": number} for number, tile in enumerate(tiles)]


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, 3, 3, padding=1)


def trainer_of(
    network: nn.Module, items: list[dict[str, Any]], handlers: Sequence[Any], epochs: int = 1, **more: Any
) -> SupervisedTrainer:
    optimizer = more.pop("optimizer", None) or torch.optim.SGD(network.parameters(), lr=0.01)
    return SupervisedTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=DataLoader(items, batch_size=2, sampler=RandomSampler(items, num_samples=4)),
        network=network,
        optimizer=optimizer,
        loss_function=more.pop("loss_function", nn.MSELoss()),
        train_handlers=list(handlers),
        decollate=False,
        **more,
    )


def evaluator_of(network: nn.Module, items: list[dict[str, Any]], handlers: Sequence[Any] = ()) -> SupervisedEvaluator:
    return SupervisedEvaluator(
        device="cpu",
        val_data_loader=DataLoader(items, batch_size=2),
        network=network,
        key_val_metric={"val_psnr": IgniteMetricHandler(PSNR(), output_transform=from_engine(["pred", "label"]))},
        val_handlers=list(handlers),
    )


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_a_training_goes_on_from_its_last_epoch_and_says_so(
    tmp_path: Path, items: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    first = small_network()
    trainer_of(first, items, [EpochCheckpoint(tmp_path, {"network": first})], epochs=2).run()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_epoch=2.pt"]
    second = nn.Conv2d(3, 3, 3, padding=1)
    trainer = trainer_of(second, items, [ResumeLatest(tmp_path, {"network": second})], epochs=3)
    epochs = []
    trainer.add_event_handler(Events.STARTED, lambda: epochs.append(same_weights(first, second)))
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: epochs.append(engine.state.epoch))
    with caplog.at_level(logging.INFO):
        trainer.run()
    assert epochs == [True, 3]
    assert "Resumed from" in caplog.text
    assert "checkpoint_epoch=2.pt: 2 of 3 epochs are done." in caplog.text


def test_the_newest_epoch_is_the_highest_number_not_the_last_name(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    network = small_network()
    trainer_of(network, items, [EpochCheckpoint(tmp_path / "long", {"network": network})], epochs=10).run()
    other = small_network()
    trainer_of(other, items, [EpochCheckpoint(tmp_path / "short", {"network": other})], epochs=9).run()
    shutil.move(tmp_path / "short" / "checkpoint_epoch=9.pt", tmp_path / "long" / "checkpoint_epoch=9.pt")
    resumed = nn.Conv2d(3, 3, 3, padding=1)
    trainer = trainer_of(resumed, items, [ResumeLatest(tmp_path / "long", {"network": resumed})], epochs=10)
    trainer.run()
    assert trainer.state.epoch == 10
    assert same_weights(resumed, network)


def test_resuming_can_be_turned_off_and_an_empty_folder_starts_afresh(
    tmp_path: Path, items: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    network = small_network()
    trainer_of(network, items, [EpochCheckpoint(tmp_path, {"network": network})], epochs=2).run()
    for folder, enabled in ((tmp_path, False), (tmp_path / "empty", True)):
        trainer = trainer_of(network, items, [ResumeLatest(folder, {"network": network}, enabled)])
        with caplog.at_level(logging.INFO):
            trainer.run()
        assert trainer.state.epoch == 1
    assert caplog.text.count("training starts at epoch 1") == 2


def test_a_resumed_training_does_not_see_its_first_images_again(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    def draws(folder: Path, epochs: int) -> list[int]:
        network = small_network()
        torch.manual_seed(9)
        state = {"network": network}
        trainer = trainer_of(network, items, [ResumeLatest(folder, state), EpochCheckpoint(folder, state)], epochs)
        seen: list[int] = []
        trainer.add_event_handler(
            Events.ITERATION_COMPLETED, lambda engine: seen.extend(engine.state.batch["number"].tolist())
        )
        trainer.run()
        return seen

    first = draws(tmp_path / "one", 1)
    assert draws(tmp_path / "two", 1) == first
    assert draws(tmp_path / "one", 2) != first


def test_the_best_validation_is_remembered_across_a_resume(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    file, network = tmp_path / "model.pt", small_network()
    evaluator = evaluator_of(nn.Identity(), items, [BestWeights(network, file)])
    evaluator.run(global_epoch=1)
    assert file.is_file()
    trainer_of(network, items, [EpochCheckpoint(tmp_path, {"network": network}, evaluator)]).run()
    file.unlink()
    worse = evaluator_of(nn.Threshold(1.0, 1.0), items, [BestWeights(network, file)])
    trainer_of(network, items, [ResumeLatest(tmp_path, {"network": network}, evaluator=worse)]).run()
    worse.run(global_epoch=2)
    assert worse.state.best_metric == pytest.approx(evaluator.state.best_metric)
    assert worse.state.best_metric_epoch == 1
    assert not file.exists()


@pytest.mark.parametrize(("epochs", "interval", "validated"), [(3, 2, [2, 3]), (4, 2, [2, 4]), (1, 5, [1])])
def test_the_last_epoch_is_validated_whatever_the_interval(
    epochs: int, interval: int, validated: list[int], items: list[dict[str, Any]]
) -> None:
    seen: list[int] = []
    evaluator = evaluator_of(nn.Identity(), items)
    evaluator.add_event_handler(Events.COMPLETED, lambda engine: seen.append(engine.state.epoch))
    handler = Validation(validator=evaluator, interval=interval, epoch_level=True)
    trainer_of(small_network(), items, [handler], epochs=epochs).run()
    assert seen == validated


def test_a_training_with_nothing_left_says_so(
    tmp_path: Path, items: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    network = small_network()
    handlers = [ResumeLatest(tmp_path, {"network": network}), EpochCheckpoint(tmp_path, {"network": network})]
    trainer_of(network, items, handlers).run()
    assert "Nothing is left to train" not in caplog.text
    trainer_of(network, items, handlers).run()
    assert "Nothing is left to train. To train anew, on other images say, name another output_dir" in caplog.text


def test_a_checkpoint_without_a_best_validation_resumes_too(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    network, evaluator = small_network(), evaluator_of(nn.Identity(), items)
    trainer_of(network, items, [EpochCheckpoint(tmp_path, {"network": network})]).run()
    resume = ResumeLatest(tmp_path, {"network": network}, evaluator=evaluator)
    trainer_of(network, items, [resume], epochs=2).run()
    assert evaluator.state.best_metric_epoch == -1


def test_no_step_is_longer_than_the_gradient_bound(items: list[dict[str, Any]]) -> None:
    def longest_step(*handlers: Any) -> float:
        network = small_network()
        before = nn.utils.parameters_to_vector(network.parameters()).detach().clone()
        steps = []

        def measure() -> None:
            nonlocal before
            after = nn.utils.parameters_to_vector(network.parameters()).detach().clone()
            steps.append(float((after - before).norm()))
            before = after

        optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
        trainer = trainer_of(network, items, [handler(network) for handler in handlers], optimizer=optimizer)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, measure)
        trainer.run()
        return max(steps)

    assert longest_step() > 0.25
    assert longest_step(lambda network: GradientClip(network, 0.25)) <= 0.25 + 1e-5


def test_a_frozen_part_stays_bit_for_bit_as_it_is_and_so_does_its_average(items: list[dict[str, Any]]) -> None:
    def trained(freeze: bool) -> tuple[set[str], set[str]]:
        """Names of what a short training changes in the network, and in the average of the weights."""
        torch.manual_seed(0)
        network = DualPathNet(tone_size=16, tone_widths=(4, 8), denoise_widths=(4, 4), denoise_blocks=(1, 1))
        before = {name: values.clone() for name, values in network.state_dict().items()}
        ema = EMAHandler(network, momentum=0.3)
        parts = [network.denoise] if freeze else [network.denoise, network.tone]
        optimizer = torch.optim.AdamW([p for part in parts for p in part.parameters()], lr=0.01)
        handlers = [ema, *([Frozen(network.tone, ema.ema_model.tone)] if freeze else [])]
        loss = EnhancementLoss(perceptual=0)
        trainer_of(network, items, handlers, epochs=3, loss_function=loss, optimizer=optimizer).run()
        return tuple(
            {name for name, values in state.items() if not torch.equal(values, before[name])}
            for state in (network.state_dict(), ema.ema_model.state_dict())
        )

    for changed in trained(freeze=True):
        assert changed
        assert all(name.startswith("denoise.") for name in changed)
    for changed in trained(freeze=False):
        assert {"tone.statistics.mean", "tone.statistics.batches", "tone.frame.0.weight"} <= changed


def test_anchored_weights_stay_near_their_start(items: list[dict[str, Any]]) -> None:
    def moved(pull: float) -> float:
        network = small_network()
        start = [weights.detach().clone() for weights in network.parameters()]
        trainer_of(network, items, [Anchored(network, pull)], epochs=5).run()
        return max(
            float((weights.detach() - old).abs().max())
            for weights, old in zip(network.parameters(), start, strict=True)
        )

    free, held, fixed = (moved(pull) for pull in (0.0, 0.2, 1.0))
    assert 0 == fixed < held < 0.7 * free
    with pytest.raises(ValueError, match="pull"):
        Anchored(small_network(), 1.5)


def test_the_mean_with_the_start_is_written_when_training_ends(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    network, start, file = small_network(), tmp_path / "start.pt", tmp_path / "model.pt"
    export_weights(network, start)
    before = {name: values.clone() for name, values in network.state_dict().items()}
    trainer_of(network, items, [MeanWithStart(network, start, 0.25, file)], epochs=2).run()
    mean = torch.load(file, weights_only=True)
    for name, values in network.state_dict().items():
        assert not torch.equal(values, before[name])
        torch.testing.assert_close(mean[name], 0.75 * before[name] + 0.25 * values)
    with pytest.raises(ValueError, match="share must lie in"):
        MeanWithStart(network, start, 1.5, file)


def test_a_mean_is_not_mixed_again_when_nothing_is_left_to_train(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    network, start, file = small_network(), tmp_path / "start.pt", tmp_path / "model.pt"
    export_weights(network, start)
    handler = MeanWithStart(network, start, 0.5, file)
    trainer = trainer_of(network, items, [handler], epochs=1)
    handler(trainer)
    assert not file.exists()
    trainer.run()
    assert file.exists()


def test_the_terms_of_the_loss_are_published_as_means_over_the_epoch(items: list[dict[str, Any]]) -> None:
    torch.manual_seed(0)
    network = DualPathNet(tone_size=16, tone_widths=(4, 8), denoise_widths=(4, 4), denoise_blocks=(1, 1))
    loss = EnhancementLoss(perceptual=0)
    trainer = trainer_of(network, items, [LossTerms(loss)], epochs=2, loss_function=loss)
    terms: list[dict[str, float]] = []
    trainer.add_event_handler(Events.EPOCH_STARTED, terms.clear)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: terms.append(dict(loss.terms)))
    trainer.run()
    assert len(terms) == 2
    published = {name: value for name, value in trainer.state.metrics.items() if name.startswith("loss_")}
    assert set(published) == {"loss_mse", "loss_absolute", "loss_ssim", "loss_low_frequency", "loss_likelihood"}
    for name, value in published.items():
        assert value == pytest.approx(np.mean([each[name.removeprefix("loss_")] for each in terms]))


def test_metrics_are_published_per_modality_and_per_severity(items: list[dict[str, Any]]) -> None:
    for number, item in enumerate(items):
        item["modality"] = "fundus" if number < 6 else "xray"
        item["severity"] = ("light", "heavy")[number % 2]
    evaluator = evaluator_of(nn.Identity(), items, [GroupedMetrics(by=("modality", "severity"))])
    for _ in range(2):
        evaluator.run()
    groups = {"fundus": items[:6], "xray": items[6:], "light": items[::2], "heavy": items[1::2]}
    for name, members in groups.items():
        outputs, truths = (torch.stack([item[key] for item in members]) for key in ("image", "label"))
        assert evaluator.state.metrics[f"psnr_{name}"] == pytest.approx(float(PSNR().measure(outputs, truths).mean()))
        assert evaluator.state.metrics[f"ssim_{name}"] == pytest.approx(
            float(SSIM().measure(outputs, truths).mean()), abs=1e-5
        )


def test_progress_is_told_now_and_then_and_at_the_end(
    items: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "lowlight"):
        evaluator_of(nn.Identity(), items, [Progress(interval=3, what="batches")]).run()
    assert [record.message for record in caplog.records if record.name.startswith("lowlight")] == [
        "3 of 4 batches done.",
        "4 of 4 batches done.",
    ]


def test_weights_written_are_weights_read(tmp_path: Path) -> None:
    network = small_network().double()
    export_weights(network, tmp_path / "deep" / "model.pt")
    state = torch.load(tmp_path / "deep" / "model.pt", weights_only=True)
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model.pt"]
    other = nn.Conv2d(3, 3, 3, padding=1)
    load_weights(other, tmp_path / "deep" / "model.pt")
    assert same_weights(network.float(), other)


def test_training_starts_from_given_weights_or_a_checkpoint_or_scratch(
    tmp_path: Path, items: list[dict[str, Any]]
) -> None:
    trained = small_network()
    trainer_of(trained, items, [EpochCheckpoint(tmp_path, {"network": trained})]).run()
    started = nn.Conv2d(3, 3, 3, padding=1)
    load_initial_weights(started, tmp_path / "checkpoint_epoch=1.pt")
    assert same_weights(started, trained)
    load_initial_weights(started, None)
    assert same_weights(started, trained)


def test_missing_or_foreign_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pt: no such file; name a model\.pt"):
        load_initial_weights(small_network(), tmp_path / "gone.pt")
    export_weights(nn.Linear(2, 2), tmp_path / "linear.pt")
    with pytest.raises(InputError, match=r"linear\.pt: holds the weights of another network"):
        load_weights(small_network(), tmp_path / "linear.pt")
    for name, content in (("text.pt", b"no weights"), ("empty.pt", b""), ("picture.pt", b"\x89PNG\r\n\x1a\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: holds no weights"):
            load_weights(small_network(), tmp_path / name)


def test_a_smaller_network_starts_with_the_tone_path_of_another(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained, smaller = DualPathNet(), DualPathNet(denoise_widths=(16, 32, 64), denoise_blocks=(0, 1, 2))
    export_weights(trained, tmp_path / "model.pt")
    denoise = copy.deepcopy(smaller.denoise)
    load_tone(smaller, tmp_path / "model.pt")
    assert same_weights(smaller.tone, trained.tone)
    assert same_weights(smaller.denoise, denoise)
    with pytest.raises(InputError, match=r"model\.pt: holds another tone path"):
        load_tone(DualPathNet(tone_widths=(8, 16, 32)), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"gone\.pt: no such file"):
        load_tone(smaller, tmp_path / "gone.pt")
