"""One group of files: read, worked on, written, each refused alone, in whatever process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from lowlight.batch.signals import interruption
from lowlight.batch.silencing import decoders_silenced
from lowlight.batch.text import unexpected
from lowlight.batch.unused_range import unused_range
from lowlight.errors import InputError, LowLightError, NotAnImageError, OutputError
from lowlight.imaging import Found, MedicalImage, write
from lowlight.imaging.dicom_series import can_be_joined, joined
from lowlight.imaging.limits import DicomReading
from lowlight.imaging.processing import Processing
from lowlight.imaging.reading import DEFAULT_READING


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes:
        pixels: the result, in shape and units of the source's.
        derivation: what was done, for the metadata of the result.
        parameters: the same for programs.
        line: the same for people, if they are told of each file.
        card: what a page shows of it, once the result is on disk; None without a page.
        unchanged: the source was left as it is; counted apart.
    """

    pixels: NDArray[Any]
    derivation: str | Processing
    parameters: dict[str, Any] = field(default_factory=dict)
    line: str = ""
    card: Any = None
    unchanged: bool = False


Work = Callable[[MedicalImage, Found, Callable[[int, int], None]], Outcome]
"""From an image, where it was found, and a progress callback (done, total), to its result."""


@dataclass(frozen=True)
class Job:
    """A file to work on and where its result belongs."""

    found: Found
    target: Path


class Told(Protocol):
    """Who is told of what becomes of the files of a group; a command's report, or what carries it there."""

    def begin(self, path: Path) -> None:
        """This file is being worked on."""

    def step(self, done: int, total: int) -> None:
        """How much of this file (frames, tiles) is done."""

    def warn(self, message: str) -> None:
        """Something to know about the file that is being worked on."""

    def skipped(self, error: InputError) -> None:
        """A file that is no image was left out."""

    def refused(self, source: Path, message: str) -> None:
        """A file could not be worked on, or its result not written."""

    def done(
        self,
        source: Path,
        output: Path | None,
        seconds: float,
        parameters: dict[str, Any] | None = None,
        *,
        line: str = "",
        unchanged: bool = False,
    ) -> None:
        """A result is on disk."""

    def show_card(self, card: Any) -> None:
        """What a page shows of a result that is on disk."""


class Writing:
    """How results are written; what is asked of each job beside that.

    Args:
        compress: see `lowlight.imaging.write`.
    """

    def __init__(self, compress: str | None = None) -> None:
        self.compress = compress

    def write(self, job: Job, image: MedicalImage, outcome: Outcome, pixels: NDArray[Any]) -> None:
        """Write the result of a job under its name."""
        write(image, pixels, job.target, derivation=outcome.derivation, compress=self.compress)

    def is_wanted(self, job: Job) -> bool:
        """Whether the result of this member of a group is wanted, or only its part in the tone of the others."""
        return True

    def must_stop(self, error: OutputError) -> bool:
        """Whether no other result can be written either, so that the error is raised instead of told."""
        return False


class GroupDoer:
    """Does groups of files one after the other.

    Args:
        work: gives what is done to each image; called when the first has been read. What it raises goes through.
        told: hears of every file.
        value_range: (black, white) for files that do not say.
        dicom: how DICOM is read.
        writing: how results are written.
        debug: print tracebacks of unexpected errors, and what decoders say.
    """

    def __init__(
        self,
        work: Callable[[], Work],
        told: Told,
        value_range: tuple[float, float] | None = None,
        dicom: DicomReading = DEFAULT_READING,
        writing: Writing | None = None,
        debug: bool = False,
    ) -> None:
        self._work, self._told, self._value_range, self._dicom = work, told, value_range, dicom
        self._writing, self._debug = writing or Writing(), debug

    def do(self, group: Sequence[Job]) -> None:
        """Read the files of a group, give them one tone if they are what their headers promised, and write them.

        Raises:
            OutputError: that `Writing.must_stop` speaks of.
        """
        started = time.monotonic()
        read = [(job, image) for job in group if (image := self._read(job)) is not None]
        reading = time.monotonic() - started
        if not any(self._writing.is_wanted(job) for job, _ in read):
            return
        work = self._work()
        if len(read) > 1 and can_be_joined([image for _, image in read]):
            self._do_together(read, work, reading)
            return
        for job, image in read:
            if self._writing.is_wanted(job):
                self._do(job, image, work, reading / len(read))

    def _read(self, job: Job) -> MedicalImage | None:
        """The image, unless it is refused or skipped, which is told."""
        interruption.check()
        self._told.begin(job.found.path)
        try:
            with decoders_silenced(self._debug):
                image = job.found.read(self._value_range, self._dicom)
                warning = unused_range(image) if self._value_range is None else None
            if warning is not None:
                self._told.warn(warning)
            return image
        except NotAnImageError as error:
            self._told.skipped(error)
        except LowLightError as error:
            self._told.refused(job.found.path, str(error))
        except Exception as error:
            self._refuse_unexpected(job, error)
        return None

    def _do(self, job: Job, image: MedicalImage, work: Work, reading: float) -> None:
        started = time.monotonic()
        self._told.begin(job.found.path)
        with self.refusing(job):
            outcome = work(image, job.found, self._told.step)
            with interruption.held():
                self._writing.write(job, image, outcome, outcome.pixels)
                if outcome.card is not None:
                    self._told.show_card(outcome.card)
                seconds = reading + time.monotonic() - started
                self._tell(job, seconds, outcome.parameters, outcome, outcome.line)

    def _do_together(self, read: Sequence[tuple[Job, MedicalImage]], work: Work, reading: float) -> None:
        """The images as frames of one, so that they get one tone; each then becomes its own result."""
        started = time.monotonic()
        first = read[0][0]
        self._told.begin(first.found.path)
        outcome = None
        with self.refusing(*(job for job, _ in read)):
            outcome = work(joined([image for _, image in read]), first.found, self._told.step)
        if outcome is None:
            return
        card = outcome.card
        seconds = (reading + time.monotonic() - started) / len(read)
        parameters = {**outcome.parameters, "files_with_one_tone": len(read)}
        for (job, image), pixels in zip(read, outcome.pixels, strict=True):
            if not self._writing.is_wanted(job):
                continue
            interruption.check()
            with self.refusing(job), interruption.held():
                self._writing.write(job, image, outcome, pixels)
                if card is not None:
                    self._told.show_card(card)
                    card = None
                self._tell(job, seconds, parameters, outcome, outcome.line if job is first else "")

    def _tell(self, job: Job, seconds: float, parameters: dict[str, Any], outcome: Outcome, line: str) -> None:
        self._told.done(job.found.path, job.target, seconds, parameters, line=line, unchanged=outcome.unchanged)

    @contextmanager
    def refusing(self, *jobs: Job) -> Iterator[None]:
        """Tell what goes wrong in this block as a refusal of each of these files."""
        try:
            yield
        except OutputError as error:
            if self._writing.must_stop(error):
                raise
            self._refuse(jobs, f"has no result: {error}", " ")
        except InputError as error:
            # The engine sees pixels without a name; the user has to know which file it was.
            self._refuse(jobs, f"{error.fault}" + (f"; {error.remedy}" if error.remedy else ""))
        except LowLightError as error:
            self._refuse(jobs, str(error))
        except BrokenPipeError:
            raise
        except Exception as error:
            for job in jobs:
                self._refuse_unexpected(job, error)

    def _refuse(self, jobs: Sequence[Job], message: str, joint: str = ": ") -> None:
        for job in jobs:
            self._told.refused(job.found.path, f"{job.found.path}{joint}{message}")

    def _refuse_unexpected(self, job: Job, error: Exception) -> None:
        # Some libraries turn a Ctrl-C into an error of their own.
        interruption.check()
        if self._debug:
            traceback.print_exc()
        self._told.refused(job.found.path, f"{job.found.path}: {unexpected(error)}")
