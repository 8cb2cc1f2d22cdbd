"""Resampling between a frame of any size and a small grid, as two small matrix products.

Area averages down and uniform cubic B-splines up are separable, so each is `rows @ image @ columns.T`. That is exact
for every size (one pixel included), differentiable, cheap, and the same in torch, on a GPU and in an exported graph.
"""

from __future__ import annotations

import torch
from torch import Tensor


def area_matrix(size: int, cells: int, like: Tensor) -> Tensor:
    """Weights (cells, size) that average `size` pixels into `cells` equal cells by the overlap of their extents."""
    edges = torch.arange(cells, device=like.device, dtype=like.dtype)[:, None] * (size / cells)
    pixels = torch.arange(size, device=like.device, dtype=like.dtype)[None, :]
    overlap = torch.minimum(pixels + 1, edges + size / cells) - torch.maximum(pixels, edges)
    return overlap.clamp(min=0) * (cells / size)


def spline_matrix(size: int, controls: int, like: Tensor) -> Tensor:
    """Weights (size, controls) of the uniform cubic B-spline with its first and last control repeated.

    Every row is non-negative and sums to 1, so that the spline stays between its controls, and its slope per control
    interval is at most the largest difference of neighbouring controls (de Boor, A Practical Guide to Splines, 1978).
    """
    position = (torch.arange(size, device=like.device, dtype=like.dtype)[:, None] + 0.5) * (controls / size) - 0.5
    knots = torch.arange(-2, controls + 2, device=like.device, dtype=like.dtype)[None, :]
    distance = (position - knots).abs()
    weights = ((2 - distance).clamp(min=0) ** 3 - 4 * (1 - distance).clamp(min=0) ** 3) / 6
    first = weights[:, :3].sum(1, keepdim=True)
    last = weights[:, -3:].sum(1, keepdim=True)
    if controls == 1:
        return torch.ones_like(first)
    return torch.cat([first, weights[:, 3:-3], last], dim=1)


def area_resize(image: Tensor, cells: tuple[int, int]) -> Tensor:
    """Average (B, C, H, W) into (B, C, *cells); works for frames smaller than the grid as well."""
    rows = area_matrix(image.shape[-2], cells[0], image)
    columns = area_matrix(image.shape[-1], cells[1], image)
    return _separable(rows, image, columns)


def spline_resize(controls: Tensor, size: tuple[int, int]) -> Tensor:
    """Evaluate the B-spline with controls (B, C, h, w) at the pixel centres of a frame: (B, C, *size)."""
    rows = spline_matrix(size[0], controls.shape[-2], controls)
    columns = spline_matrix(size[1], controls.shape[-1], controls)
    return _separable(rows, controls, columns)


def _separable(rows: Tensor, image: Tensor, columns: Tensor) -> Tensor:
    # Under autocast the products would run in bfloat16, whose 8 bits would put steps into a map that must be smooth.
    if torch.is_autocast_enabled(image.device.type):
        with torch.autocast(image.device.type, enabled=False):
            return rows @ image @ columns.T
    return rows @ image @ columns.T
