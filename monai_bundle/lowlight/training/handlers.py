"""Ignite handlers of the training and evaluation workflows."""

from __future__ import annotations

import logging
import pickle
import re
from collections import defaultdict
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd
from monai.engines import IterationEvents, Workflow
from monai.handlers import CheckpointLoader, ValidationHandler
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lowlight.errors import InputError
from lowlight.imaging import atomic_path
from lowlight.model.losses import EnhancementLoss, ToneLoss
from lowlight.model.metrics import PSNR, SSIM, PairMetric

logger = logging.getLogger(__name__)

CHECKPOINTS = "checkpoint_epoch=*.pt"
BEST = "best"
"""What a checkpoint calls the best validation so far."""
EPOCH_STRIDE = 1_000_003
"""Between the seeds of two epochs, so that the seeds of several processes, which lie side by side, do not meet."""


class EpochCheckpoint:
    """Save the whole state of a training after each epoch, as `checkpoint_epoch=N.pt`; only the newest file stays.

    A file appears whole or not at all, and older ones go only when it is there: a training that is killed at any moment
    can be resumed. No process waits for another here, so that a group of processes may save on one of them alone.

    Args:
        save_dir: folder of the file.
        save_dict: name -> object with a state_dict; the trainer itself is added, which a configuration cannot name,
            because the trainer names its handlers.
        evaluator: whose best metric so far is saved besides, so that a resumed training does not take its first
            validation for the best.
    """

    def __init__(self, save_dir: str | Path, save_dict: dict[str, Any], evaluator: Workflow | None = None) -> None:
        self.folder, self.save_dict, self.evaluator = Path(save_dir), save_dict, evaluator

    def attach(self, engine: Engine) -> None:
        """Save after every epoch of `engine`."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Write the file of this epoch, then remove the others."""
        state = {name: _without_wrapper(part).state_dict() for name, part in self.save_dict.items()}
        state["trainer"] = engine.state_dict()
        if self.evaluator is not None:
            found = self.evaluator.state
            state[BEST] = {"metric": float(found.best_metric), "epoch": int(found.best_metric_epoch)}
        target = self.folder / f"checkpoint_epoch={engine.state.epoch}.pt"
        with atomic_path(target) as temporary:
            torch.save(state, temporary)
        for other in set(self.folder.glob(CHECKPOINTS)) - {target}:
            other.unlink()
        logger.info("Saved %s.", target)


class ResumeLatest:
    """At the start of a run, go on from the newest epoch checkpoint in a folder, and say so.

    Args:
        folder: where `EpochCheckpoint` saves.
        load_dict: the objects that it saves; the trainer is added.
        enabled: False starts afresh; the first checkpoint then replaces those of earlier runs.
        evaluator: receives the best metric so far, where the checkpoint knows it.
    """

    def __init__(
        self,
        folder: str | Path,
        load_dict: dict[str, Any],
        enabled: bool = True,
        evaluator: Workflow | None = None,
    ) -> None:
        self.folder, self.load_dict, self.enabled, self.evaluator = Path(folder), load_dict, enabled, evaluator

    def attach(self, engine: Engine) -> None:
        """Run once, when the trainer starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Load the newest checkpoint into the objects of `load_dict`, where there is one."""
        found = sorted(self.folder.glob(CHECKPOINTS), key=_epoch) if self.enabled else []
        if not found:
            logger.info("No checkpoint in %s: training starts at epoch 1.", self.folder)
            return
        state = {**self.load_dict, "trainer": engine}
        CheckpointLoader(str(found[-1]), state, map_location="cpu", strict=True)(engine)
        best = torch.load(found[-1], map_location="cpu", weights_only=True).get(BEST)
        if self.evaluator is not None and best is not None:
            self.evaluator.state.best_metric, self.evaluator.state.best_metric_epoch = best["metric"], best["epoch"]
        _draw_anew(engine)
        logger.info(
            "Resumed from %s: %d of %s epochs are done.", found[-1], engine.state.epoch, engine.state.max_epochs
        )
        if engine.state.max_epochs is not None and engine.state.epoch >= engine.state.max_epochs:
            logger.warning(
                "Nothing is left to train. To train anew, on other images say, name another output_dir, or give "
                "--resume false; to go on, more max_epochs."
            )


def _draw_anew(engine: Engine) -> None:
    """Seed by the epoch: a resumed training must not see the images and damages of its first epochs once more."""
    seed = (torch.initial_seed() + EPOCH_STRIDE * engine.state.epoch) % 2**32
    torch.manual_seed(seed)
    loader = getattr(engine, "data_loader", None)
    if isinstance(loader, DataLoader):
        set_rnd(loader.dataset, seed)


def _epoch(path: Path) -> int:
    match = re.search(r"epoch=(\d+)", path.name)
    return int(match[1]) if match else -1


def _without_wrapper(part: Any) -> Any:
    """The network inside the wrapper for several processes: its weights' names have no "module." in front."""
    return part.module if isinstance(part, nn.parallel.DistributedDataParallel) else part


class BestWeights:
    """Write a network's weights whenever the evaluator's key metric is the best so far, whole or not at all.

    Args:
        network: a plain network. file: a state dict, as `Enhancer` reads it.
    """

    def __init__(self, network: nn.Module, file: str | Path) -> None:
        self.network, self.file = network, Path(file)

    def attach(self, engine: Workflow) -> None:
        """Act after every evaluation of `engine`."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Write the file if this evaluation was the best."""
        if engine.state.best_metric_epoch == engine.state.epoch:
            export_weights(self.network, self.file)


class MeanWithStart:
    """When training ends, write the mean of a network's weights and those that it started from, whole or not at all.

    What was learned last is had for a part of its price that way: the mean is often better than a point on the way
    (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).

    Args:
        network: a plain network, with the weights to be written.
        start: file of the weights that training started from.
        share: of the network's weights in the mean, 0 to 1.
        file: a state dict, as `Enhancer` reads it.
    """

    def __init__(self, network: nn.Module, start: str | Path, share: float, file: str | Path) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share must lie in [0, 1], got {share}")
        self.network, self.start, self.share, self.file = network, Path(start), share, Path(file)
        self.learned = False

    def attach(self, engine: Engine) -> None:
        """Act when `engine` has finished, if it has trained at all: a finished training that is started again must not
        mix with other initial weights what it has mixed before."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._has_learned)
        engine.add_event_handler(Events.COMPLETED, self)

    def _has_learned(self, engine: Engine) -> None:
        self.learned = True

    def __call__(self, engine: Engine) -> None:
        """Write the file."""
        if not self.learned:
            return
        mean = deepcopy(self.network).cpu().float()
        learned = {name: values.clone() for name, values in mean.state_dict().items()}
        load_weights(mean, self.start)
        for name, values in mean.state_dict().items():
            values.lerp_(learned[name], self.share)
        export_weights(mean, self.file)


class Validation(ValidationHandler):
    """MONAI's handler, which also validates after the last epoch, wherever the interval ends: what is validated by
    chance alone would leave no model.pt of a short training, and the last epochs of others unseen.

    Args:
        kwargs: as MONAI's ValidationHandler, which counts epochs here.
    """

    def attach(self, engine: Engine) -> None:
        """Act after every `interval` epochs and after the last one."""
        super().attach(engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._after_the_last)

    def _after_the_last(self, engine: Engine) -> None:
        if engine.state.epoch == engine.state.max_epochs and engine.state.epoch % self.interval:
            self(engine)


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


class Frozen:
    """Keep a part of the network as it is: no gradients, no dropout, no running statistics, throughout the training.

    Args:
        part: the module, `$network.tone` say. The optimizer must not be given its parameters.
        averaged: the same part of the moving average of the weights, `$ema.ema_model.tone` say. An average of equal
            numbers is not quite that number: it is set right after each iteration. None: there is no average.
    """

    def __init__(self, part: nn.Module, averaged: nn.Module | None = None) -> None:
        self.part, self.averaged = part, averaged

    def attach(self, engine: Engine) -> None:
        """Act from now on; the handler of the moving average must be attached before."""
        self.part.requires_grad_(False)
        # MONAI's trainer puts the whole network into training mode inside an iteration, with no event behind it; a hook
        # on `forward` would miss parts whose other methods are called.
        self.part.eval()
        self.part.train = partial(_stay, self.part)  # type: ignore[method-assign]
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Set the averaged part right."""
        if self.averaged is not None:
            self.averaged.load_state_dict(self.part.state_dict())


class Anchored:
    """Draw weights back to where training started, so that a few new images do not unlearn all the others.

    After each iteration every parameter gives back the share `pull` of its distance from its start: weight decay
    towards the start instead of 0 (Li, Grandvalet and Davoine, ICML 2018), apart from the optimizer's own steps.

    Args:
        part: the module, `$network.tone` say.
        pull: share per iteration, 0 to 1.
    """

    def __init__(self, part: nn.Module, pull: float) -> None:
        if not 0 <= pull <= 1:
            raise ValueError(f"pull must lie in [0, 1], got {pull}")
        self.part, self.pull = part, pull
        self.start: list[Tensor] = []

    def attach(self, engine: Engine) -> None:
        """Remember the start when training begins, and act after each iteration.

        A run that goes on from a checkpoint is anchored to its initial weights all the same: they are loaded before,
        the checkpoint after this.
        """
        self.start = [weights.detach().clone() for weights in self.part.parameters()]
        # Right behind the optimizer's step, so that a moving average takes the weights that are kept.
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)

    @torch.no_grad()
    def __call__(self, engine: Engine) -> None:
        for weights, start in zip(self.part.parameters(), self.start, strict=True):
            weights.lerp_(start, self.pull)


def _stay(part: nn.Module, mode: bool = True) -> nn.Module:
    return part


class LossTerms:
    """Log the mean of each term of an `EnhancementLoss` or `ToneLoss` per epoch, as metrics of the trainer."""

    def __init__(self, loss: EnhancementLoss | ToneLoss) -> None:
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
    """Write a network's state dict, as float32 on the CPU, to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    weights = {name: tensor.detach().cpu().float() for name, tensor in _without_wrapper(network).state_dict().items()}
    with atomic_path(file) as temporary:
        torch.save(weights, temporary)
    logger.info("Weights written to %s.", file)


def load_weights(network: nn.Module, file: str | Path) -> None:
    """Give a network saved weights: a state dict, or a checkpoint that holds one under "network".

    Raises:
        InputError: no such file, or the weights of another network.
    """
    path, state = Path(file), _saved(file)
    try:
        _without_wrapper(network).load_state_dict(state)
    except RuntimeError as error:
        # Its own words are a line for each weight.
        logger.debug("%s", error)
        raise InputError(path, "holds the weights of another network", "its network_def must be this one") from None
    logger.info("Weights loaded from %s.", path)


def load_initial_weights(network: nn.Module, file: str | Path | None) -> None:
    """Where training starts: from saved weights, see `load_weights`, or from scratch (None)."""
    if file is not None:
        load_weights(network, file)


def _saved(file: str | Path) -> dict[str, Any]:
    """A state dict from a file that holds one, or a checkpoint that holds one under "network"."""
    path = Path(file)
    if not path.is_file():
        raise InputError(path, "no such file", "name a model.pt")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found: dict[str, Any] = state.get("network", state)
    except (RuntimeError, pickle.UnpicklingError, LookupError, AttributeError, EOFError, ValueError):
        # What the reader says of a file of another kind depends on its first bytes.
        raise InputError(path, "holds no weights", "name a model.pt") from None
    return found


def load_tone(network: nn.Module, file: str | Path) -> None:
    """Give a network (`DualPathNet`) the tone path of saved weights, whose denoise path may be of another size.

    Raises:
        InputError: no such file, or the weights of another tone path.
    """
    path, state, prefix = Path(file), _saved(file), "tone."
    tone = {name.removeprefix(prefix): values for name, values in state.items() if name.startswith(prefix)}
    try:
        _without_wrapper(network).get_submodule("tone").load_state_dict(tone)
    except RuntimeError as error:
        raise InputError(path, "holds another tone path", "its network_def must have this one's tone") from error
    logger.info("Tone path loaded from %s.", path)


class Every:
    """Event filter of ignite: true at every `interval`-th event."""

    def __init__(self, interval: int) -> None:
        self.interval = interval

    def __call__(self, engine: Engine, event: int) -> bool:
        return event % self.interval == 0


class Progress:
    """Say on the console how far an evaluation is, now and then.

    Args:
        interval: in batches.
        what: what a batch is called.
    """

    def __init__(self, interval: int = 20, what: str = "images") -> None:
        self.interval, self.what = interval, what

    def attach(self, engine: Engine) -> None:
        """Report at every `interval`-th batch and at the last."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Log "done of all" where it is due."""
        done, all_of_them = engine.state.iteration, engine.state.epoch_length
        if done % self.interval == 0 or done == all_of_them:
            logger.info("%d of %d %s done.", done, all_of_them, self.what)
