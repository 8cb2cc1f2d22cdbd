"""Whether an image needs enhancing at all: what the engine asks before it runs the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

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


def examine(frame: NDArray[Any], value_range: tuple[float, float]) -> ArtifactReport:
    """What is wrong with one frame, see `lowlight.artifacts.quantify`."""
    # Loading SciPy takes a fifth of a second: only those who judge wait for it.
    from lowlight.artifacts import quantify

    return quantify(frame, value_range)


def judge(image: NDArray[Any], value_range: tuple[float, float], frames: bool) -> Judgement:
    """Judge an image, or a series once: its frames get one tone, so they share one verdict.

    Three frames stand for a series: the middle one, and one a sixth of the way from either end, where a stack of slices
    already shows the body.

    Args:
        image: as `Enhancer` takes it, already checked.
        value_range: (black, white) in units of the pixels.
        frames: the first axis is time or slices.
    """
    series = image if frames else image[None]
    count = len(series)
    found = []
    for frame in dict.fromkeys((count // 2, count // 6, count - 1 - count // 6)):
        artifacts = examine(series[frame], value_range)
        found.append(Judgement(artifacts.undamaged, frame, artifacts))
        if not artifacts.undamaged:
            return found[-1]
    return found[0]


def judge_beforehand(
    image: NDArray[Any],
    value_range: tuple[float, float],
    frames: bool,
    brightness: float | None,
    denoise: float | None,
    force: bool,
) -> Judgement | None:
    """Judge what was given without a wish; None where the caller forces a change or names a strength."""
    if force or brightness is not None or denoise is not None:
        return None
    return judge(image, value_range, frames)
