"""Films among the inputs of `lowlight enhance`: looked through once, then enhanced frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from lowlight.batch.doing import Job
from lowlight.batch.signals import interruption
from lowlight.batch.text import counted, printable
from lowlight.cli.report import Report
from lowlight.errors import OutputError
from lowlight.imaging.atomic import atomic_path
from lowlight.imaging.label import burn_at, label_place
from lowlight.imaging.limits import DEFAULT, Limits
from lowlight.imaging.video import RESULTS, Clip, ClipFrame, Read, Written

if TYPE_CHECKING:
    from lowlight.enhance import Enhancer, Result
    from lowlight.enhance.streaming import Frame, Survey
    from lowlight.services.preview import Preview

BATCH_ON_GPU = 8
"""Frames that a GPU gets at once; a processor gains nothing from several."""

EVERY = 25
"""Frames of the first look between two words about it."""


@dataclass(frozen=True)
class ClipWishes:
    """What the user asked for, as the options of `lowlight enhance` say.

    `pictures`: as for `lowlight.batch.enhancing.Wishes`.
    """

    brightness: float | None = None
    denoise: float | None = None
    modality: str | None = None
    force: bool = False
    value_range: tuple[float, float] | None = None
    label: bool = False
    lossless: bool = False
    named: bool = False
    limits: Limits = DEFAULT
    pictures: int | None = None

    @property
    def judging(self) -> bool:
        """Whether scenes that need nothing are left alone: who names a strength wants it applied."""
        return not self.force and self.brightness is None and self.denoise is None


@dataclass
class Clips:
    """Enhances the films of a batch.

    Attributes:
        enhancer: gives the engine; loaded by then. report: told of every film.
        preview: shows frames before and after while they are made. names: what films are called on a page.
    """

    wishes: ClipWishes
    enhancer: Callable[[], Enhancer]
    report: Report
    preview: Preview | None = None
    names: dict[Path, str] | None = None

    def __call__(self, job: Job) -> None:
        """Enhance one film and tell of it.

        Raises:
            InputError, OutputError, DependencyError: it is refused, or cannot be written.
        """
        started = time.monotonic()
        self.report.begin(job.found.path)
        if job.found.fault is not None:
            raise job.found.fault
        container = RESULTS[job.target.suffix.lower()]
        with Clip.open(job.found.path, self.wishes.limits) as clip:
            run = _Run(self, clip, job)
            run.look_through()
            run.check(container)
            with ExitStack() as stack:
                temporary = stack.enter_context(atomic_path(job.target, job.found.path))
                written = run.write(temporary, container)
                run.warn(container, written)
                card = run.draw()
                with interruption.held():
                    # Only here does the result get its name.
                    stack.pop_all().close()
                    if card is not None:
                        self.report.show_card(card)
                    seconds, line = time.monotonic() - started, run.line(job.found.path)
                    self.report.done(
                        job.found.path, job.target, seconds, run.told(written), line=line, unchanged=run.unchanged
                    )


class _Run:
    """One film on its way."""

    def __init__(self, clips: Clips, clip: Clip, job: Job) -> None:
        self.wishes, self.report, self.clips = clips.wishes, clips.report, clips
        self.clip, self.job, self.enhancer = clip, job, clips.enhancer()
        self.strength = self.enhancer.strength(self.wishes.modality, self.wishes.brightness, self.wishes.denoise)
        self.found: Survey
        self.read: Read
        self.kept = 0
        self._middle: Result | None = None

    @property
    def asked_for_nothing(self) -> bool:
        """Whether both strengths are 0."""
        return not any(self.strength.values())

    @property
    def unchanged(self) -> bool:
        """Whether every frame comes out as it is."""
        return self.found.undamaged

    def look_through(self) -> None:
        """Read all frames once: how many, which scenes, which of them need nothing, what is wrong with the file."""
        from lowlight.enhance.streaming import survey

        expected = (self.clip.duration or 0) * (self.clip.rate or 0)
        name = printable(self.job.found.path.name)

        def told(frames: Iterable[Frame]) -> Iterator[Frame]:
            for number, frame in enumerate(frames):
                if number % EVERY == 0:
                    of = f" of {expected:.0f}" if expected else ""
                    self.report.show(f"looking through {name}, frame {number}{of}")
                yield frame

        self.found = survey(told(self._timed(self.clip.frames())), judging=self.wishes.judging)
        assert self.clip.read is not None
        self.read = self.clip.read
        self.report.begin(self.job.found.path)

    def check(self, container: str) -> None:
        """Raises OutputError if this container cannot hold the film."""
        if container == "avi" and not self.read.regular:
            fault = "cannot keep the times of its frames, whose steps are uneven: AVI knows even ones only"
            raise OutputError(self.job.target, fault, "end the name in .mp4 or .mkv")

    def write(self, temporary: Path, container: str) -> Written:
        """Write the result: a film that nothing is to be done to is copied as it is coded, if it can be."""
        tags = {"comment": self._derivation()}
        nothing_to_do = self.unchanged or self.asked_for_nothing
        whole = not (self.read.damaged or self.clip.turned or self.wishes.lossless)
        if nothing_to_do and whole and self.clip.copies_into(container):
            self.kept = self.read.frames
            return self.clip.copy(temporary, container, tags=tags, named=self.wishes.named)
        work = self._as_it_is if nothing_to_do else self._enhanced
        return self.clip.write(
            temporary, container, work, lossless=self.wishes.lossless, tags=tags, named=self.wishes.named
        )

    def _derivation(self) -> str:
        model = self.enhancer.model
        return model.unchanged(undamaged=True) if self.unchanged else model.derivation(**self.strength)

    def _as_it_is(self, frames: Iterator[ClipFrame]) -> Iterator[None]:
        for number, _ in enumerate(frames, 1):
            self.report.step(number, self.read.frames)
            self.kept += 1
            yield None

    def _enhanced(self, frames: Iterator[ClipFrame]) -> Iterator[NDArray[Any] | None]:
        place: tuple[slice, slice] | None = None
        middle = self.found.frames // 2
        results = self.enhancer.stream(
            self._timed(frames),
            brightness=self.wishes.brightness,
            denoise=self.wishes.denoise,
            modality=self.wishes.modality,
            survey=self.found,
            batch=1 if self.enhancer.engine.device == "cpu" else BATCH_ON_GPU,
        )
        for number, result in enumerate(results):
            if self.wishes.pictures is not None and (number == middle or self._middle is None):
                self._middle = result
            if self.clips.preview is not None:
                name = printable(self.job.found.path.name)
                self.clips.preview.show(
                    result.source, result.image, result.value_range, name, number + 1, self.read.frames
                )
            self.report.step(number + 1, self.read.frames)
            if result.unchanged:
                self.kept += 1
                yield None
                continue
            made = result.image
            if self.wishes.label:
                place = place or label_place(made, result.value_range, frames=False)
                made = made if place is None else burn_at(made, result.value_range, place)
            yield made

    def _timed(self, frames: Iterable[ClipFrame]) -> Iterator[Frame]:
        from lowlight.enhance.streaming import Frame

        for frame in frames:
            yield Frame(frame.pixels, frame.seconds, self.wishes.value_range or frame.value_range)

    def warn(self, container: str, written: Written) -> None:
        """Tell what of the film is not as it should be."""
        said, read = [], self.read
        if read.damaged:
            when = f", first {read.first_damage:.1f} s from its beginning" if read.first_damage is not None else ""
            said.append(
                f"it is damaged{when}: {counted(read.damaged, 'frame')} or parts of it were lost, or patched up by the "
                "decoder; compare with the original there"
            )
        if read.missing:
            said.append(f"its last {read.missing:.1f} s are missing; the result ends where it ends")
        if written.left_out:
            said.append(f"its sound ({', '.join(written.left_out)}) does not go into this kind of file; try .mkv")
        if self.clip.others:
            said.append(f"{counted(self.clip.others, 'other stream')} (subtitles, data) left out")
        if said:
            self.report.warn(f"{self.job.found.path}: {'; '.join(said)}")

    def draw(self) -> object | None:
        """What a page shows of the film: its middle frame."""
        expected, shown = self.wishes.pictures, self.found.shown
        if expected is None or shown is None or shown.value_range is None:
            return None
        from lowlight.reports.enhanced import draw_card

        result = self._middle or self.enhancer.left_alone(shown.pixels, shown.value_range, self._judged())
        name = (self.clips.names or {}).get(self.job.found.path, "")
        colour = "colour" if self.read.coloured else "grey"
        size = f"{self.clip.width} x {self.clip.height} pixels"
        kind = self.job.target.suffix[1:].upper()
        about = f"{size}, {colour}, {kind}, the middle of {counted(self.read.frames, 'frame')}"
        return draw_card(name, about, result, expected)

    def _judged(self) -> Any:
        return next(iter(self.found.scenes.values()), None)

    def told(self, written: Written) -> dict[str, Any]:
        """What was done, for programs."""
        judged = self._judged()
        model, engine = self.enhancer.model, self.enhancer.engine
        return {
            "frames": self.read.frames,
            "frames_left_as_they_are": self.kept,
            "scenes": len(self.found.scenes),
            "undamaged": self.found.undamaged,
            "unchanged": self.kept == self.read.frames,
            **(self.strength if not self.found.undamaged else {"brightness": 0.0, "denoise": 0.0}),
            "modality": self.wishes.modality,
            "before": None if judged is None else judged.artifacts.as_dict(),
            "codec": written.codec,
            "lossless": self.wishes.lossless,
            "sound": [name for name in self.clip.sound if name not in written.left_out],
            "sound_left_out": list(written.left_out),
            "damaged_frames": self.read.damaged,
            "first_damage_seconds": self.read.first_damage,
            "missing_seconds": self.read.missing,
            "model": model.name,
            "weights_sha256": model.weights_sha256,
            "size": model.size,
            "engine": engine.name,
            "device": engine.device,
        }

    def line(self, path: Path) -> str:
        """What people are told: whether something was left alone."""
        if self.found.undamaged:
            return f"{path}: judged undamaged, left unchanged"
        left = sum(self.found.leaves(scene) for scene in self.found.scenes)
        return f"{path}: {left} of {len(self.found.scenes)} scenes judged undamaged, left unchanged" if left else ""
