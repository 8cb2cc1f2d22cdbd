"""How a training step runs the network, where it does not run all of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lowlight.model.network import DualPathNet
from lowlight.model.resampling import spline_resize
from lowlight.model.tone import tone_curve


class ToneInferer:
    """Runs the tone path alone: the result is T(y), the residual 0. Serves as `inferer` of MONAI's trainers.

    The tone path is a twentieth of the work, and what most errors come from: trained alone on whole frames it sees many
    more of them in the same time.
    """

    def __call__(self, inputs: Tensor, network: DualPathNet, *args: Any, **kwargs: Any) -> Tensor:
        """Frames (B, 3, H, W) in, the channels of `Prediction` (B, 9, H, W) out."""
        maps = spline_resize(network.tone(inputs), (inputs.shape[-2], inputs.shape[-1]))
        toned = tone_curve(inputs, maps[:, :1], maps[:, 1:])
        return torch.cat([toned, torch.zeros_like(inputs), torch.zeros_like(maps[:, :1]), maps], dim=1)
