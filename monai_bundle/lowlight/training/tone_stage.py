"""How the tone path is trained alone, on prepared `Observations`: what configs/tone.yaml gives the trainer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lowlight.model.network import DualPathNet, TonePath
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


def learn_statistics(tone: TonePath, observations: Observations) -> None:
    """Give a tone path the mean and spread of the observations' statistics, once and for all.

    A tone path that knows a mean and spread already, from weights with which training starts, keeps them: its weights
    were trained with these.
    """
    if float(tone.statistics.batches) > 0:
        logger.info("The statistics' mean and spread stay those of the initial weights.")
        return
    tone.statistics.learn(observations.kept["statistics"].to(tone.statistics.mean.device))
