"""Whether an image needs enhancing at all: what the engine asks before it runs the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.watching import Watch

if TYPE_CHECKING:
    from lowlight.artifacts import ArtifactReport


@dataclass(frozen=True)
class Judgement:
    """What was found in an image or in a series.

    Attributes:
        undamaged: it needs nothing. Of a series: no judged frame needs anything.
        frame: number of the frame that `artifacts` describes: the first judged one that is damaged, else the middle.
        artifacts: what was found in that frame.
    """

    undamaged: bool
    frame: int
    artifacts: ArtifactReport


@dataclass(frozen=True)
class Subject:
    """What is judged.

    Attributes:
        image: as `Enhancer` takes it, already checked.
        value_range: (black, white) in units of the pixels.
        frames: the first axis is time or slices.
        valid: bool, shape of the image without its channels, False where a pixel is not to be judged (padding).
        tables: quantisation tables of the JPEG file that the image comes from.
    """

    image: NDArray[Any]
    value_range: tuple[float, float]
    frames: bool
    valid: NDArray[np.bool_] | None = None
    tables: Mapping[int, Sequence[int]] | None = None

    @property
    def blank(self) -> bool:
        """Whether no pixel is valid (a fully transparent image): then there is nothing to enhance."""
        return self.valid is not None and not self.valid.any()

    def examine(self, frame: int) -> ArtifactReport:
        """What is wrong with one frame (0 of an image without), see `lowlight.artifacts.quantify`."""
        # Loading SciPy takes a fifth of a second: only those who judge wait for it.
        from lowlight.artifacts import quantify

        if not self.frames:
            return quantify(self.image, self.value_range, self.valid, self.tables)
        valid = None if self.valid is None else self.valid[frame]
        return quantify(self.image[frame], self.value_range, valid, self.tables)

    def surely_too_dark(self, frame: int) -> bool:
        """See `lowlight.artifacts.surely_too_dark`, of one frame (0 of an image without)."""
        from lowlight.artifacts import surely_too_dark

        image, valid = self.image, self.valid
        if self.frames:
            image, valid = image[frame], None if valid is None else valid[frame]
        return surely_too_dark(image, self.value_range, valid)

    def changed_to(self, image: NDArray[Any]) -> Subject:
        """The same after enhancement: no longer what the JPEG file's tables describe."""
        return replace(self, image=image, tables=None)


def judge(subject: Subject, watch: Watch | None = None) -> Judgement:
    """Judge an image, or a series once: its frames get one tone, so they share one verdict.

    Three frames stand for a series: the middle one, and one a sixth of the way from either end, where a stack of slices
    already shows the body.
    """
    found = []
    frames = _judged_frames(subject)
    for done, frame in enumerate(frames):
        if watch is not None:
            watch.tell("judging", done, len(frames))
        artifacts = subject.examine(frame)
        found.append(Judgement(artifacts.undamaged, frame, artifacts))
        if not artifacts.undamaged:
            return found[-1]
    return found[0]


def judge_beforehand(
    subject: Subject, brightness: float | None, denoise: float | None, force: bool, watch: Watch | None = None
) -> Judgement | None:
    """Judge what was given without a wish.

    None where the caller forces a change or names a strength, and where the exposure alone shows that the image is not
    undamaged: all else about it can wait until it is asked for.
    """
    if force or brightness is not None or denoise is not None:
        return None
    frames = _judged_frames(subject)
    for done, frame in enumerate(frames):
        if watch is not None:
            watch.tell("judging", done, len(frames))
        if subject.surely_too_dark(frame):
            return None
    return judge(subject, watch)


def _judged_frames(subject: Subject) -> list[int]:
    count = len(subject.image) if subject.frames else 1
    return list(dict.fromkeys((count // 2, count // 6, count - 1 - count // 6)))
