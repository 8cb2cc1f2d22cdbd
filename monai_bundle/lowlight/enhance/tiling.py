"""How a large frame is done in parts, whatever does the parts: the same for every engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

Progress = Callable[[int, int], None]
"""Called with (parts done, parts in all)."""

Area = tuple[slice, slice]
"""Rows and columns of a part of a frame."""


@dataclass(frozen=True)
class Tiling:
    """Tiles with a halo wider than the denoise path can look, so that tiles and whole frame agree.

    Attributes:
        tile: largest side in pixels of the tiles' cores; a frame whose sides are at most `tile + 2 * halo` is done
            whole.
        halo: pixels around a core that the network sees besides. Both are multiples of the network's stride.
    """

    tile: int = 1536
    halo: int = 96

    def __post_init__(self) -> None:
        if self.tile < 1 or self.halo < 0:
            raise ValueError(f"tile must be positive and halo not negative, got {self.tile} and {self.halo}")

    @property
    def frugal(self) -> Tiling:
        """The same in tiles as small as is sensible: with halo and overlap they cost about twice the time."""
        return replace(self, tile=min(self.tile, 2 * self.halo))

    def fitting(self, pixels: int) -> Tiling:
        """The same in tiles of which the network sees at most so many pixels at a time; at the least `frugal` ones."""
        side = math.isqrt(max(pixels, 0)) - 2 * self.halo
        return replace(self, tile=max(self.frugal.tile, min(self.tile, side - side % self.halo)))

    @property
    def _undivided(self) -> int:
        return self.tile + 2 * self.halo

    def keeps_whole(self, height: int, width: int) -> bool:
        """Whether a frame of this size is done in one part."""
        return max(height, width) <= self._undivided

    def parts(self, height: int, width: int, stride: int = 1) -> list[tuple[Area, Area]]:
        """Pairs of (core, core with halo) in reading order; the cores cover the frame once and begin on multiples of
        `stride`."""
        rows, columns = self._cores(height, stride), self._cores(width, stride)
        return [((row[0], column[0]), (row[1], column[1])) for row in rows for column in columns]

    def _cores(self, length: int, stride: int) -> list[tuple[slice, slice]]:
        """As few as possible, and as equal as possible: the largest decides on the memory."""
        if length <= self._undivided:
            return [(slice(0, length), slice(0, length))]
        equal = math.ceil(length / math.ceil(length / self.tile))
        side = min(self.tile, equal + -equal % stride)
        return [_with_halo(start, side, self.halo, length) for start in range(0, length, side)]

    def fill(self, out: Any, stride: int, enhance: Callable[[Area], Any], progress: Progress | None) -> None:
        """Fill `out` (..., H, W), an array or tensor, part by part.

        Args:
            out: filled in place.
            stride: of the network: what it makes of a part depends on where the part begins, modulo this.
            enhance: gives the values (..., h, w) of an area that it is shown.
            progress: hears of every part.

        Raises:
            ValueError: parts that do not begin on multiples of the stride.
        """
        height, width = out.shape[-2:]
        parts = self.parts(height, width, stride)
        if len(parts) > 1 and (self.tile % stride or self.halo % stride):
            raise ValueError(f"tile and halo must be multiples of the network's stride {stride}")
        for done, (core, seen) in enumerate(parts, 1):
            rows, columns = (slice(c.start - s.start, c.stop - s.start) for c, s in zip(core, seen, strict=True))
            out[..., core[0], core[1]] = enhance(seen)[..., rows, columns]
            if progress is not None:
                progress(done, len(parts))


def _with_halo(start: int, tile: int, halo: int, length: int) -> tuple[slice, slice]:
    stop = min(start + tile, length)
    return slice(start, stop), slice(max(0, start - halo), min(stop + halo, length))
