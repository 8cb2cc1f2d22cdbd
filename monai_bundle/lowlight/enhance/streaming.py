"""Frames that come one after the other: each enhanced as it comes, with a tone that does not flicker.

Every frame's own tone is an estimate, and noise and what moves in the picture make it waver. So within a scene the
tones are averaged over time, with weights that fall off exponentially into the past: tone_t = sum_i w_i own_i / sum_i
w_i, w_i = exp(-(t - t_i) / SETTLING). That needs no frame of the future, one array of memory and no frame rate; it
never overshoots; it begins as the plain mean of the first frames (the bias correction of Kingma and Ba, ICLR 2015),
where a recursive filter would follow the noise of the very first one; and since log-gain and log-gamma are bounded at
each pixel and in slope, and so is every weighted mean of them, what comes out is again a tone within all bounds. A new
scene begins anew.
"""

from __future__ import annotations

import math
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
from lowlight.enhance.watching import Watch

if TYPE_CHECKING:
    from lowlight.enhance.enhancer import Enhancer

SETTLING = 0.4
"""Seconds after which a past tone counts 1/e: a change of the light is followed by 92 % within a second, and at 25
frames a second the change from frame to frame is a fifteenth of what it was."""

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
    found: Survey | None,
    batch: int,
    watch: Watch,
    **wishes: Any,
) -> Iterator[Result]:
    """See `Enhancer.stream`; `found`: by `survey`, of the same frames; `wishes`: brightness, denoise, modality."""
    detector, smoother = SceneDetector(), ToneSmoother()
    waiting: list[tuple[Frame, int]] = []

    def flush() -> Iterator[Result]:
        if not waiting:
            return
        stack, value_range = np.stack([frame.pixels for frame, _ in waiting]), waiting[0][0].value_range
        assert value_range is not None
        own = enhancer.engine.decide_tones(np.stack([to_channels(frame, value_range) for frame in stack]))
        tones = [
            smoother.feed(tone[None], scene, frame.seconds) for tone, (frame, scene) in zip(own, waiting, strict=True)
        ]
        together = enhancer(
            stack,
            value_range=value_range,
            frames=True,
            force=True,
            tone=np.concatenate(tones),
            watch=Watch(lambda *_: watch.check()),
            **wishes,
        )
        for number, (_, scene) in enumerate(waiting):
            yield together.frame(number).told_of(scene=scene)
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


class ToneSmoother:
    """Averages the tones of a scene over time, as the top of this module says.

    Args:
        settling: seconds after which a past tone counts 1/e.
    """

    def __init__(self, settling: float = SETTLING) -> None:
        self.settling = settling
        # Of two scenes: a flash between goes by, and the scene before it goes on.
        self._scenes: dict[int, _Mean] = {}

    def feed(self, tone: NDArray[np.float32], scene: int, seconds: float) -> NDArray[np.float32]:
        """The tone for a frame of this scene, from what `Engine.decide_tones` gives it: of the same shape."""
        mean = self._scenes.pop(scene, None)
        if mean is None or mean.tone.shape != tone.shape:
            mean = _Mean(tone, 1.0, seconds)
        else:
            weight = 1 + mean.weight * math.exp(-max(seconds - mean.seconds, 0) / self.settling)
            mean = _Mean(mean.tone + (tone - mean.tone) * np.float32(1 / weight), weight, seconds)
        self._scenes = dict([*self._scenes.items(), (scene, mean)][-2:])
        return mean.tone


class _Mean(NamedTuple):
    tone: NDArray[np.float32]
    weight: float
    seconds: float


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
        assert frame.value_range is not None
        artifacts = Subject(frame.pixels, frame.value_range, frames=False).examine(0)
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
