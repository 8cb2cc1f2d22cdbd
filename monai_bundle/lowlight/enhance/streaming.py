"""Frames that come one after the other: each enhanced as it comes, with a tone that does not flicker."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.judging import Judgement, Subject
from lowlight.enhance.pixels import check_image, resolve_range, to_channels
from lowlight.enhance.result import Result
from lowlight.enhance.scenes import SceneDetector
from lowlight.enhance.steadying import BrightnessSteadier, ToneSmoother
from lowlight.enhance.watching import Watch

if TYPE_CHECKING:
    from lowlight.enhance.enhancer import Enhancer

KEPT = 6
"""The most frames of a scene that are kept to be judged, evenly spread; at least half as many stay of a long one."""


class Frame(NamedTuple):
    """A frame of a stream.

    Attributes:
        pixels: (H, W) or (H, W, 3), any integer or float dtype. One stream may hold both.
        seconds: when it is shown, since any beginning; not before the frame before it.
        value_range: (black, white) in units of the pixels; None: as for `Enhancer`.
    """

    pixels: NDArray[Any]
    seconds: float
    value_range: tuple[float, float] | None = None


@dataclass
class Survey:
    """What was found in a stream before it is enhanced.

    Attributes:
        frames: how many there are. shots: where one scene gives way to another: number of the frame, of the scene.
        shown: a frame of the first scene, to show what it is about.
        scenes: by number, of each scene what was found in it: that of its first damaged frame, else of one of the
            others. None: it was not judged.
    """

    frames: int = 0
    shots: list[tuple[int, int]] = field(default_factory=list)
    scenes: dict[int, Judgement | None] = field(default_factory=dict)
    shown: Frame | None = None

    @property
    def undamaged(self) -> bool:
        """Whether every scene was judged, and none needs anything."""
        return all(self.leaves(scene) for scene in self.scenes)

    def scene_of(self, frame: int) -> int:
        """The number of the scene that the frame of this number belongs to."""
        return self.shots[bisect_right(self.shots, frame, key=lambda shot: shot[0]) - 1][1]

    def leaves(self, scene: int) -> bool:
        """Whether the scene of this number was judged undamaged."""
        judged = self.scenes.get(scene)
        return judged is not None and judged.undamaged


def survey(frames: Iterable[Frame | NDArray[Any]], rate: float = 25.0, judging: bool = True) -> Survey:
    """Look at a whole stream once: how many frames, which scenes, and whether each is undamaged.

    A scene counts as undamaged if three to six frames, evenly spread over it, all do (`lowlight.artifacts`): so the
    frames of one scene are never treated differently. No more than those frames are held at a time.

    Args:
        frames: as for `Enhancer.stream`; the same ones give the same scenes there.
        rate: frames a second, of plain arrays.
        judging: False: only count frames and scenes.
    """
    found, detector, scene = Survey(), SceneDetector(), -1
    spread = _Spread()
    for frame in _timed(frames, rate):
        value_range = _checked(frame)
        number = detector.feed(frame.pixels, value_range, frame.seconds)
        if number != scene:
            _judge(found, scene, spread, judging)
            scene, spread = number, _Spread()
            found.scenes.setdefault(number, None)
            found.shots.append((found.frames, number))
        spread.feed(found.frames, frame._replace(value_range=value_range))
        found.frames += 1
    _judge(found, scene, spread, judging)
    return found


def stream(
    enhancer: Enhancer,
    frames: Iterable[Frame | NDArray[Any]],
    rate: float,
    strength: dict[str, float],
    modality: str | None,
    found: Survey | None,
    batch: int,
    watch: Watch,
) -> Iterator[Result]:
    """See `Enhancer.stream`; `found`: by `survey`, of the same frames."""
    detector, line = SceneDetector(), _Line(enhancer, strength, modality, watch)
    waiting: list[tuple[Frame, int]] = []

    def flush() -> Iterator[Result]:
        yield from line.enhanced(waiting)
        waiting.clear()

    for number, frame in enumerate(_timed(frames, rate)):
        watch.check()
        value_range = _checked(frame)
        frame = frame._replace(value_range=value_range)
        scene = detector.feed(frame.pixels, value_range, frame.seconds) if found is None else found.scene_of(number)
        if found is not None and found.leaves(scene):
            yield from flush()
            yield enhancer.left_alone(frame.pixels, value_range, found.scenes[scene]).told_of(scene=scene)
            continue
        if waiting and not _alike(waiting[-1][0], frame):
            yield from flush()
        waiting.append((frame, scene))
        if len(waiting) >= batch:
            yield from flush()
    yield from flush()


class _Line:
    """What frames go through, several at once if they are alike."""

    def __init__(self, enhancer: Enhancer, strength: dict[str, float], modality: str | None, watch: Watch) -> None:
        self.enhancer, self.strength, self.modality = enhancer, strength, modality
        self.smoother, self.steadier = ToneSmoother(), BrightnessSteadier()
        # What is told of the parts of one frame is nobody's progress, but it may end the run.
        self.watch = Watch(lambda *_: watch.check())

    def enhanced(self, waiting: list[tuple[Frame, int]]) -> Iterator[Result]:
        """The results for frames of one form, each with the number of its scene."""
        if not waiting:
            return
        started = time.perf_counter()
        engine = self.enhancer.engine
        displays = np.stack([to_channels(frame.pixels, _range_of(frame)) for frame, _ in waiting])
        engine.check_size((1, *displays.shape[1:]))
        tones = [
            self.smoother.feed(own[None], scene, frame.seconds)
            for own, (frame, scene) in zip(engine.decide_tones(displays), waiting, strict=True)
        ]
        predictions = engine.predict(displays, self.watch, np.concatenate(tones))
        seconds = (time.perf_counter() - started) / len(waiting)
        for (frame, scene), display, prediction in zip(waiting, displays, predictions, strict=True):
            steady = self.steadier.feed(display, prediction, self.strength["denoise"], scene, frame.seconds)
            facts = {"modality": self.modality, "scene": scene, "seconds": round(seconds, 3)}
            yield self.enhancer.result_of(frame.pixels, _range_of(frame), self.strength, steady, facts)


def _range_of(frame: Frame) -> tuple[float, float]:
    assert frame.value_range is not None
    return frame.value_range


class _Spread:
    """A few frames, evenly spread over however many come."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, Frame]] = []
        self._seen, self._step = 0, 1

    def feed(self, number: int, frame: Frame) -> None:
        if self._seen % self._step == 0:
            if len(self.kept) == KEPT:
                self.kept, self._step = self.kept[::2], 2 * self._step
            if self._seen % self._step == 0:
                self.kept.append((number, frame))
        self._seen += 1


def _judge(found: Survey, scene: int, spread: _Spread, judging: bool) -> None:
    """Judge a scene by the frames that were kept of it, unless it is known to be damaged."""
    if spread.kept and found.shown is None:
        found.shown = spread.kept[len(spread.kept) // 2][1]
    if not judging:
        return
    before = found.scenes.get(scene)
    for number, frame in spread.kept:
        if before is not None and not before.undamaged:
            return
        artifacts = Subject(frame.pixels, _range_of(frame), frames=False).examine(0)
        before = found.scenes[scene] = Judgement(artifacts.undamaged, number, artifacts)


def _timed(frames: Iterable[Frame | NDArray[Any]], rate: float) -> Iterator[Frame]:
    for number, frame in enumerate(frames):
        yield frame if isinstance(frame, Frame) else Frame(frame, number / rate)


def _checked(frame: Frame) -> tuple[float, float]:
    check_image(frame.pixels, frames=False)
    return resolve_range(frame.pixels, frame.value_range)


def _alike(one: Frame, other: Frame) -> bool:
    """Whether two frames can be done at once."""
    first, second = one.pixels, other.pixels
    return first.shape == second.shape and first.dtype == second.dtype and one.value_range == other.value_range
