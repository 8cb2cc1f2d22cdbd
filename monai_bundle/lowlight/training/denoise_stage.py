"""How the denoise path is trained alone, on patches of prepared `Observations`: what configs/denoise.yaml gives the
trainer.

A patch shows too little to tell how dark its frame is. If the tone were decided from patches, the denoise path would
learn to make up for errors that it never meets in use. So each patch comes with what the tone path has seen of its
whole frame, and gets its part of the frame's maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lowlight.model.network import DualPathNet, has_colour
from lowlight.model.resampling import spline_matrix
from lowlight.training.handlers import load_weights


def prepare_batch(
    batch: Mapping[str, Tensor], device: str | torch.device | None = None, non_blocking: bool = False, **kwargs: Any
) -> tuple[Tensor, Tensor, tuple[Tensor, ...], dict[str, Any]]:
    """A batch of `Patches` as MONAI's trainers take it, mirrored at random either way; float32 on the device.

    Returns:
        Observed patches (B, 3, size, size), the truth, (cells, statistics, corners, frame sizes, which are mirrored
        (B, 2)) for `PatchInferer`, {}.
    """
    observed, truth = (batch[name].to(device, torch.float32, non_blocking=non_blocking) / 255 for name in _PATCHES)
    cells, statistics = (batch[name].to(device, torch.float32, non_blocking=non_blocking) for name in _SEEN)
    mirrored = (torch.rand(len(observed), 2) < 0.5).to(observed.device)
    observed, truth = mirror(observed, mirrored), mirror(truth, mirrored)
    return observed, truth, (cells, statistics, batch["corner"], batch["frame_size"], mirrored), {}


_PATCHES, _SEEN = ("image", "label"), ("cells", "statistics")


def mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """Images (B, C, H, W), each upside down where `mirrored` (B, 2) says so first, and left to right where second."""
    for axis in (0, 1):
        images = torch.where(mirrored[:, axis, None, None, None], images.flip(axis - 2), images)
    return images


class PatchInferer:
    """Runs the network on patches under the tone of their frames. Serves as `inferer` of MONAI's trainers.

    Args:
        bfloat16: compute convolutions in bfloat16 where the device has units for it (`lowlight.model.precision`):
            there, with channels last, a step takes some three fifths of the time.
        start: the network as it was, under the same tone path; what it makes of the patches is given along.
    """

    def __init__(self, bfloat16: bool = False, start: DualPathNet | None = None) -> None:
        self.bfloat16, self.start = bfloat16, start

    def __call__(
        self,
        patches: Tensor,
        network: DualPathNet,
        cells: Tensor,
        statistics: Tensor,
        corners: Tensor,
        frame_sizes: Tensor,
        mirrored: Tensor,
    ) -> Tensor:
        """The network's output (B, 9, size, size) for mirrored patches (B, 3, size, size) of frames; with `start` (B,
        12, size, size), where the last three are the enhanced patches of that."""
        controls = network.tone.decide(cells, statistics)
        parts = [
            _rows(height, controls.shape[-2], top, patches.shape[-2], controls)
            @ of_frame
            @ _rows(width, controls.shape[-1], left, patches.shape[-1], controls).T
            for of_frame, (top, left), (height, width) in zip(
                controls, corners.tolist(), frame_sizes.tolist(), strict=True
            )
        ]
        maps = mirror(torch.stack(parts), mirrored)
        with torch.autocast(patches.device.type, torch.bfloat16, enabled=self.bfloat16):
            patches = patches.contiguous(memory_format=torch.channels_last)
            output = network.apply_tone(patches, maps, has_colour(patches))
            if self.start is None:
                return output
            with torch.no_grad():
                before = self.start.apply_tone(patches, maps, has_colour(patches))
            return torch.cat([output, before[:, : patches.shape[1]]], dim=1)


def as_it_was(network: DualPathNet, file: str | Path) -> DualPathNet:
    """A copy of a network with saved weights, which no training changes: `start` of `PatchInferer`.

    Raises:
        InputError: no such file, or the weights of another network.
    """
    copy = deepcopy(network)
    load_weights(copy, file)
    return copy.requires_grad_(False).eval()


def _rows(size: int, controls: int, first: int, count: int, like: Tensor) -> Tensor:
    """Weights (count, controls) of a spline over `size` pixels, from pixel `first` on, the last one repeated."""
    wanted = torch.arange(first, first + count, device=like.device).clamp(max=size - 1)
    return spline_matrix(size, controls, like)[wanted]
