"""How the tone path is trained alone, on prepared `Observations`: what configs/tone.yaml gives the trainer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from lowlight.model.network import SURE_OF_DAMAGE, DualPathNet, TonePath
from lowlight.model.resampling import spline_resize
from lowlight.model.tone import tone_curve
from lowlight.training.observations import Observations

logger = logging.getLogger(__name__)


def prepare_batch(
    batch: Mapping[str, Tensor], device: str | torch.device | None = None, non_blocking: bool = False, **kwargs: Any
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], dict[str, Any]]:
    """A batch of `Observations` as MONAI's trainers take it, half of it mirrored at random; float32 on the device.

    Returns:
        Area means (B, 3, h, w) of the observation, those of the truth, (cells, statistics) for `ToneInferer`, {}.
    """
    cells, observed, truth, statistics = (
        batch[name].to(device, torch.float32, non_blocking=non_blocking)
        for name in ("cells", "image", "label", "statistics")
    )
    # The statistics are of whole blocks and of quantiles: a mirror leaves them (nearly) as they are.
    mirrored = torch.rand(len(cells), 1, 1, 1).to(cells.device) < 0.5
    cells, observed, truth = (torch.where(mirrored, each.flip(-1), each) for each in (cells, observed, truth))
    return observed, truth, (cells, statistics), {}


class ToneInferer:
    """Applies the curve that the tone path decides on to area means. Serves as `inferer` of MONAI's trainers."""

    def __call__(self, means: Tensor, network: DualPathNet, cells: Tensor, statistics: Tensor) -> Tensor:
        """T(means), (B, 3, h, w), for the area means of observations and what the tone path has seen of them.

        The curve of a mean stands for the mean of the curve: within a cell, brightness hardly varies against what the
        exposure changes.
        """
        maps = spline_resize(network.tone.decide(cells, statistics), (means.shape[-2], means.shape[-1]))
        return tone_curve(means, maps[:, :1], maps[:, 1:])


def learn_statistics(tone: TonePath, observations: Observations, damage: Mapping[str, Any] | None = None) -> None:
    """Give a tone path what it takes from the observations' statistics once and for all: their mean and spread, and by
    what it tells damaged frames from good ones (`learn_damage`).

    A tone path that knows these already, from weights with which training starts, keeps them: its weights were trained
    with the former, and a few images of one kind would unlearn the latter.

    Args:
        tone: in training.
        observations: to learn from.
        damage: what is passed on to `learn_damage`; None: its defaults.
    """
    if float(tone.statistics.batches) > 0:
        logger.info("The statistics' mean and spread stay those of the initial weights.")
        return
    tone.statistics.learn(observations.kept["statistics"].to(tone.statistics.mean.device))
    learn_damage(tone, observations, **(damage or {}))


def learn_damage(
    tone: TonePath,
    observations: Observations,
    iterations: int = 6000,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    noise: float = 0.3,
) -> None:
    """Teach a tone path to tell damaged frames from good ones, by cross-entropy, from their standardised statistics.

    Without good frames among the observations it goes on taking every frame for damaged.

    Args:
        tone: of which `damage` alone is trained.
        observations: good are those that equal their truth. Half of each batch is.
        iterations, batch_size, learning_rate: of AdamW with weight decay 0.05; a cosine leads the learning rate to 0.
        noise: standard deviation of what is added to the standardised statistics, so that what decides is no hair's
            breadth of one of them: on validation it is this that good and slightly dark frames are told apart by.
    """
    kept = observations.kept
    damaged = (kept["image"] != kept["label"]).flatten(1).any(1)
    if damaged.all() or not damaged.any():
        logger.info("No good frames among the observations: every frame is taken for damaged.")
        return
    device = tone.statistics.mean.device
    weights = torch.where(damaged, 1 / damaged.sum(), 1 / (~damaged).sum()).double()
    was, _ = tone.training, tone.eval()
    # Afresh: from the start that takes every frame for damaged, it learns badly.
    for layer in tone.damage:
        if isinstance(layer, torch.nn.Linear):
            layer.reset_parameters()
    parameters = list(tone.damage.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.05)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    tone.damage.train()
    for _ in range(iterations):
        chosen = torch.multinomial(weights, batch_size, replacement=True)
        measured = tone.statistics(kept["statistics"][chosen].to(device, torch.float32))
        measured = measured + noise * torch.randn_like(measured)
        loss = binary_cross_entropy_with_logits(tone.damage(measured)[:, 0], damaged[chosen].to(device, torch.float32))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    # What is left of gradients would go on moving it in the optimizer of the training that follows.
    optimizer.zero_grad()
    tone.train(was)
    with torch.no_grad():
        found = torch.cat(
            [tone.damage(tone.statistics(part.float())) for part in kept["statistics"].to(device).split(1024)]
        )
    sure = found[:, 0].cpu() > SURE_OF_DAMAGE
    logger.info(
        "Of the damaged frames %.1f %% are taken for damaged, of the good ones %.1f %%.",
        100 * float(sure[damaged].float().mean()),
        100 * float(sure[~damaged].float().mean()),
    )
