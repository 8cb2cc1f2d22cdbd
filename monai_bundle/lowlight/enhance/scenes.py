"""Where one scene of a film ends and the next begins, found as the frames come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID = (9, 12)
"""Cells of the small picture of a frame that is compared, down and across: many pixels each, so that noise averages
out, and few enough that a moving camera changes them little from frame to frame."""

PIXELS_A_CELL = 60
"""Along a side: more of a large frame are not looked at."""

LEAST_CHANGE = 0.14
"""Relative change of the small picture below which no cut is seen: two frames of one scene can differ by as much."""

FIRST_COURSE = 0.12
"""Of a film's first moments, of which nothing is known."""

MORE_THAN_BEFORE = 3.5
"""How many times the change of the last moments a cut must exceed: whoever moves the camera fast makes no cuts."""

MEMORY = 0.5
"""Seconds over which the change of the last moments is averaged."""

BACK_WITHIN = 0.5
"""Seconds after which a scene that was left counts as over: a flash or a lost picture is shorter."""

DARKEST = 1 / 255
"""Added to the level that a change is relative to, so that black frames are alike."""


@dataclass(frozen=True)
class _Scene:
    number: int
    picture: NDArray[np.float32]
    size: tuple[int, ...]
    left: float

    def is_back(self, picture: NDArray[np.float32], size: tuple[int, ...], seconds: float) -> bool:
        """Whether a frame goes on with it."""
        soon = size == self.size and seconds - self.left <= BACK_WITHIN
        return soon and relative_change(self.picture, picture) <= LEAST_CHANGE


class SceneDetector:
    """Numbers the scenes of a film, by each frame and those before it.

    A cut is a change of the small picture that is large against its level and against what changed in the last moments
    (an adaptive threshold, as in Yusoff, Christmas and Kittler, BMVC 2000). A picture that is back within half a second
    goes on with the scene that it left: a flash or a lost frame ends no scene. Fades count as one scene.
    """

    def __init__(self) -> None:
        self._scene = 0
        self._scenes = 0
        self._picture: NDArray[np.float32] | None = None
        self._size: tuple[int, ...] = ()
        self._seconds = 0.0
        # Until it is known, it may be that of a very noisy film.
        self._course = FIRST_COURSE
        self._left: _Scene | None = None

    def feed(self, frame: NDArray[Any], value_range: tuple[float, float], seconds: float) -> int:
        """The number of the scene that the next frame belongs to, from 0.

        Args:
            frame: (H, W) or (H, W, 3). value_range: (black, white) in its units.
            seconds: when it is shown; not before the frame before it.
        """
        picture, size = small_picture(frame, value_range), frame.shape[:2]
        if self._picture is not None:
            self._follow(picture, size, seconds)
        self._picture, self._size, self._seconds = picture, size, seconds
        return self._scene

    def _follow(self, picture: NDArray[np.float32], size: tuple[int, ...], seconds: float) -> None:
        assert self._picture is not None
        change = relative_change(self._picture, picture) if size == self._size else math.inf
        least = max(LEAST_CHANGE, MORE_THAN_BEFORE * self._course)
        # A cut counts as well, so that changes that go on are soon no cuts any more.
        share = 1 - math.exp(-max(seconds - self._seconds, 0) / MEMORY)
        self._course += share * (min(change, 1) - self._course)
        if change <= least:
            return
        before, self._left = self._left, _Scene(self._scene, self._picture, self._size, self._seconds)
        if before is not None and before.is_back(picture, size, seconds):
            self._scene = before.number
            return
        self._scenes += 1
        self._scene = self._scenes


def small_picture(frame: NDArray[Any], value_range: tuple[float, float]) -> NDArray[np.float32]:
    """Means over the cells of `GRID`, black 0 and white 1; of colour, of the mean of its channels."""
    height, width = frame.shape[:2]
    rows, columns = (min(cells, length) for cells, length in zip(GRID, (height, width), strict=True))
    steps = [max(1, length // (cells * PIXELS_A_CELL)) for length, cells in ((height, rows), (width, columns))]
    seen = frame[:: steps[0], :: steps[1]]
    black, white = value_range
    grey = seen if seen.ndim == 2 else seen.sum(axis=-1, dtype=np.float64) / 3
    edges = [np.arange(cells) * length // cells for cells, length in zip((rows, columns), grey.shape, strict=True)]
    sums = np.add.reduceat(np.add.reduceat(grey, edges[0], 0, dtype=np.float64), edges[1], 1)
    counts = np.outer(*(np.diff([*edge, length]) for edge, length in zip(edges, grey.shape, strict=True)))
    picture = np.zeros(GRID, np.float32)
    picture[:rows, :columns] = (sums / counts - black) / (white - black)
    return picture


def relative_change(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Mean difference of two small pictures over the level of the brighter one: 0 of equal ones, 1 of black to any."""
    level = max(float(one.mean()), float(other.mean())) + DARKEST
    return float(np.abs(one - other).mean()) / level
