"""Ignite handlers of the training and evaluation workflows."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from monai.handlers import CheckpointLoader, CheckpointSaver
from torch import nn

from lowlight.errors import InputError
from lowlight.model.losses import EnhancementLoss
from lowlight.model.metrics import PSNR, SSIM, PairMetric

logger = logging.getLogger(__name__)


class EpochCheckpoint(CheckpointSaver):
    """MONAI's CheckpointSaver, once an epoch, keeping the newest file and the trainer's own state besides.

    A configuration cannot name the trainer among the objects to save, because the trainer names its handlers.

    Args:
        save_dir: folder of `checkpoint_epoch=N.pt`.
        save_dict: objects with a state_dict.
    """

    def __init__(self, save_dir: str, save_dict: dict[str, Any]) -> None:
        super().__init__(save_dir=save_dir, save_dict=dict(save_dict), save_interval=1, n_saved=1)

    def attach(self, engine: Engine) -> None:
        """Save after every epoch of `engine`, its own state included."""
        self.save_dict["trainer"] = engine
        super().attach(engine)


class ResumeLatest:
    """At the start of a run, go on from the newest epoch checkpoint in a folder, and say so.

    Args:
        folder: where `EpochCheckpoint` saves.
        load_dict: the objects that it saves; the trainer is added.
        enabled: False starts afresh and leaves the files alone.
    """

    def __init__(self, folder: str | Path, load_dict: dict[str, Any], enabled: bool = True) -> None:
        self.folder, self.load_dict, self.enabled = Path(folder), load_dict, enabled

    def attach(self, engine: Engine) -> None:
        """Run once, when the trainer starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Load the newest checkpoint into the objects of `load_dict`, where there is one."""
        found = sorted(self.folder.glob("checkpoint_epoch=*.pt"), key=_epoch) if self.enabled else []
        if not found:
            logger.info("No checkpoint in %s: training starts at epoch 1.", self.folder)
            return
        state = {**self.load_dict, "trainer": engine}
        CheckpointLoader(str(found[-1]), state, map_location="cpu", strict=True)(engine)
        logger.info("Resumed from %s: %d epochs are done.", found[-1], engine.state.epoch)


def _epoch(path: Path) -> int:
    match = re.search(r"epoch=(\d+)", path.name)
    return int(match[1]) if match else -1


class GradientClip:
    """Bound the gradient's norm after each backward pass, so that one odd batch cannot throw the training off."""

    def __init__(self, network: nn.Module, largest_norm: float) -> None:
        self.network, self.largest_norm = network, largest_norm

    def attach(self, engine: Engine) -> None:
        """Act between the backward pass and the optimizer's step."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Scale all gradients down where their joint norm exceeds the bound."""
        if getattr(engine, "scaler", None) is not None:
            engine.scaler.unscale_(engine.optimizer)  # mixed precision: the bound speaks of true gradients
        nn.utils.clip_grad_norm_(self.network.parameters(), self.largest_norm)


class LossTerms:
    """Log the mean of each term of an `EnhancementLoss` per epoch, as metrics of the trainer."""

    def __init__(self, loss: EnhancementLoss) -> None:
        self.loss = loss
        self.sums: dict[str, float] = defaultdict(float)
        self.count = 0

    def attach(self, engine: Engine) -> None:
        """Collect after every iteration, publish after every epoch."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._publish)

    def _collect(self, engine: Engine) -> None:
        self.count += 1
        for name, value in self.loss.terms.items():
            self.sums[name] += value

    def _publish(self, engine: Engine) -> None:
        for name, value in self.sums.items():
            engine.state.metrics[f"loss_{name}"] = value / max(self.count, 1)
        self.sums.clear()
        self.count = 0


class GroupedMetrics:
    """Metrics per group (modality, severity), published as `name_group` beside the evaluator's own.

    Args:
        metrics: name -> PairMetric; default PSNR and SSIM.
        by: keys of the batch's items whose values form the groups.
    """

    def __init__(self, metrics: dict[str, PairMetric] | None = None, by: tuple[str, ...] = ("modality",)) -> None:
        self.metrics = metrics if metrics is not None else {"psnr": PSNR(), "ssim": SSIM()}
        self.by = tuple(by)
        self.values: dict[str, list[float]] = defaultdict(list)

    def attach(self, engine: Engine) -> None:
        """Collect after every batch, publish after the evaluation."""
        engine.add_event_handler(Events.EPOCH_STARTED, lambda _: self.values.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._publish)

    def _collect(self, engine: Engine) -> None:
        for source, item in zip(engine.state.batch, engine.state.output, strict=True):
            output, truth = item["pred"][None], item["label"][None]
            for name, metric in self.metrics.items():
                value = float(metric.measure(output.float().cpu(), truth.float().cpu()))
                for key in self.by:
                    self.values[f"{name}_{source[key]}"].append(value)

    def _publish(self, engine: Engine) -> None:
        for name, values in sorted(self.values.items()):
            engine.state.metrics[name] = sum(values) / len(values)


def export_weights(network: nn.Module, file: str | Path) -> None:
    """Write a network's state dict, as float32 on the CPU, to a new file, whole or not at all."""
    target = Path(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".part")
    torch.save({name: tensor.detach().cpu().float() for name, tensor in network.state_dict().items()}, temporary)
    temporary.replace(target)
    logger.info("Weights written to %s.", target)


def load_initial_weights(network: nn.Module, file: str | Path | None) -> None:
    """Start from saved weights (a state dict, or a checkpoint that holds one under "network"); None: from scratch."""
    if file is None:
        return
    path = Path(file)
    if not path.is_file():
        raise InputError(path, "no such file", "initial_weights must name a model.pt")
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(state.get("network", state))
    logger.info("Training starts from %s.", path)


class Every:
    """Event filter of ignite: true at every `interval`-th event."""

    def __init__(self, interval: int) -> None:
        self.interval = interval

    def __call__(self, engine: Engine, event: int) -> bool:
        return event % self.interval == 0
