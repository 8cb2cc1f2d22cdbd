"""How the network sees a frame: whole, or in tiles whose tone is decided from the whole frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from lowlight.model.network import PREDICTION_CHANNELS, DualPathNet, has_colour
from lowlight.model.resampling import spline_resize

Progress = Callable[[int, int], None]
"""Called with (parts done, parts in all)."""


class DualPathInferer:
    """Runs `DualPathNet` on frames of any size in bounded memory. Serves as `inferer` of MONAI's evaluators.

    The tone is decided once from the whole frame (or handed in); the denoise path then sees tiles with a halo wider
    than it can look, so that tiles and whole frame agree.

    Args:
        tile: side in pixels of the tiles' cores; a frame whose sides are at most `tile + 2 * halo` runs whole.
        halo: pixels around a core that the network sees besides. Both are multiples of the network's stride.
    """

    def __init__(self, tile: int = 1024, halo: int = 128) -> None:
        if tile < 1 or halo < 0:
            raise ValueError(f"tile must be positive and halo not negative, got {tile} and {halo}")
        self.tile, self.halo = tile, halo

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Enhance frames (B, 3, H, W) that belong together; returns (B, 9, H, W), see `Prediction`."""
        if not isinstance(network, DualPathNet):
            return network(inputs, *args, **kwargs)
        controls = self.tone(inputs, network)
        return torch.cat([self.apply(frame[None], network, controls) for frame in inputs])

    def tone(self, inputs: Tensor, network: DualPathNet) -> Tensor:
        """One tone for frames (B, 3, H, W) that belong together, so that a clip does not flicker: spline controls
        (1, 2, n, n), the mean of what each frame would get for itself."""
        device = next(network.parameters()).device
        return torch.cat([network.tone(frame[None].to(device)) for frame in inputs]).mean(0, keepdim=True)

    def apply(self, inputs: Tensor, network: DualPathNet, controls: Tensor, progress: Progress | None = None) -> Tensor:
        """Enhance frames (B, 3, H, W) with a given tone: controls (1, 2, n, n); `progress` hears of every tile."""
        height, width = inputs.shape[-2:]
        maps = spline_resize(controls, (height, width)).expand(len(inputs), -1, -1, -1)
        colour = has_colour(inputs)
        if max(height, width) <= self.tile + 2 * self.halo:
            return network.apply_tone(inputs, maps, colour)
        if self.tile % network.denoise.stride or self.halo % network.denoise.stride:
            raise ValueError(f"tile and halo must be multiples of the network's stride {network.denoise.stride}")
        out = torch.empty((len(inputs), PREDICTION_CHANNELS, height, width), dtype=inputs.dtype, device=inputs.device)
        tiles = list(self._tiles(height, width))
        for done, (core, seen) in enumerate(tiles, 1):
            part = network.apply_tone(inputs[..., seen[0], seen[1]], maps[..., seen[0], seen[1]], colour)
            rows, columns = (slice(c.start - s.start, c.stop - s.start) for c, s in zip(core, seen, strict=True))
            out[..., core[0], core[1]] = part[..., rows, columns]
            if progress is not None:
                progress(done, len(tiles))
        return out

    def _tiles(self, height: int, width: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        """Pairs of (core, core with halo) in reading order; the cores cover the frame once."""
        for top in range(0, height, self.tile):
            for left in range(0, width, self.tile):
                core = slice(top, min(top + self.tile, height)), slice(left, min(left + self.tile, width))
                seen = (
                    slice(max(0, top - self.halo), min(core[0].stop + self.halo, height)),
                    slice(max(0, left - self.halo), min(core[1].stop + self.halo, width)),
                )
                yield core, seen
