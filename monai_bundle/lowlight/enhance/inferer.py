"""How the network sees a frame in torch: whole, or in tiles whose tone is decided from the whole frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lowlight.enhance.tiling import Area, Progress, Tiling
from lowlight.model.network import DualPathNet, has_colour, prediction_channels
from lowlight.model.resampling import spline_resize


class DualPathInferer:
    """Runs `DualPathNet` on frames of any size in bounded memory. Serves as `inferer` of MONAI's evaluators.

    The tone is decided once from the whole frame (or handed in); the denoise path then sees tiles with a halo.

    Args:
        tile, halo: see `Tiling`.
    """

    def __init__(self, tile: int = 1536, halo: int = 96) -> None:
        self.tiling = Tiling(tile, halo)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Enhance frames (B, C, H, W) that belong together, as `DualPathNet.forward` would; see `Prediction`."""
        if not isinstance(network, DualPathNet):
            return network(inputs, *args, **kwargs)
        controls = self.tone(inputs, network)
        return torch.cat([self.apply(frame[None], network, controls) for frame in inputs])

    def tone(self, inputs: Tensor, network: DualPathNet, progress: Progress | None = None) -> Tensor:
        """One tone for frames (B, C, H, W) that belong together, so that a clip does not flicker: spline controls
        (1, 2, n, n), the mean of what each frame would get for itself. `progress` hears of every frame before it."""
        device = next(network.parameters()).device
        controls = []
        for done, frame in enumerate(inputs):
            if progress is not None:
                progress(done, len(inputs))
            controls.append(network.tone(frame[None].to(device)))
        return torch.cat(controls).mean(0, keepdim=True)

    def apply(self, inputs: Tensor, network: DualPathNet, controls: Tensor, progress: Progress | None = None) -> Tensor:
        """Enhance frames (B, C, H, W) with a given tone: controls (1, 2, n, n); `progress` hears of every tile."""
        height, width = inputs.shape[-2:]
        maps = spline_resize(controls, (height, width)).expand(len(inputs), -1, -1, -1)
        colour = has_colour(inputs)
        if self.tiling.keeps_whole(height, width):
            return network.apply_tone(inputs, maps, colour)

        def enhance(seen: Area) -> Tensor:
            return network.apply_tone(inputs[..., seen[0], seen[1]], maps[..., seen[0], seen[1]], colour)

        shape = (len(inputs), prediction_channels(inputs.shape[1]), height, width)
        out = torch.empty(shape, dtype=inputs.dtype, device=inputs.device)
        self.tiling.fill(out, network.denoise.stride, enhance, progress)
        return out
