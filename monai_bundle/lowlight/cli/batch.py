"""Many files in, as many results out: each on its own, so that one bad file does not stop the others."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import typer

from lowlight.batch.doing import GroupDoer, Job, Told, Work, Writing
from lowlight.batch.recording import Event, Recorder, tell
from lowlight.batch.signals import interruption
from lowlight.batch.text import printable
from lowlight.cli.report import Report
from lowlight.errors import InputError, OutputError
from lowlight.imaging import Found, collect, plan_names
from lowlight.imaging.atomic import sweep
from lowlight.imaging.dicom_series import arrange
from lowlight.imaging.filetype import SUFFIXES, identify, is_clip, split_suffix
from lowlight.imaging.limits import DicomReading
from lowlight.imaging.naming import CLIP_RESULTS
from lowlight.imaging.reading import DEFAULT_READING

_OUT = "'-o'"

Spread = Callable[[Iterable[Sequence[Job]]], Generator[Sequence[Event]]]
"""Has groups done elsewhere and gives what is told of each, in their order."""


@dataclass(frozen=True)
class Plan:
    """All jobs of a command.

    Attributes:
        groups: the jobs; those of a group get one tone together.
        output: the folder or file that the user named.
        inputs: identities of all input files, which no result may replace.
        empty: folders of inputs with nothing in them.
    """

    groups: list[tuple[Job, ...]]
    output: Path
    inputs: frozenset[tuple[int, int]]
    empty: tuple[Path, ...] = ()

    @property
    def jobs(self) -> list[Job]:
        """All jobs in their order."""
        return [job for group in self.groups for job in group]

    def only(self, paths: Iterable[Path]) -> Plan:
        """The same plan for fewer inputs."""
        kept = set(paths)
        groups = (tuple(job for job in group if job.found.path in kept) for group in self.groups)
        return replace(self, groups=[group for group in groups if group])


def plan(paths: Sequence[Path], output: Path, dicom: DicomReading | None = None, named_as_inputs: bool = True) -> Plan:
    """Find the files and decide what their results are called.

    Args:
        paths: files and folders.
        output: what the user named for the results.
        dicom: group DICOM files into series, reading their headers so; None: each file is on its own.
        named_as_inputs: whether DICOM results have the names of their inputs; else they have hashes for names.

    Raises:
        typer.BadParameter: the output is a folder of inputs, a file name for the results of several files, or a file
            name of an unknown type for the result of one.
        OutputError: the output folder cannot be written to, as far as can be seen without writing.
    """
    folders = [path for path in paths if is_folder(path)]
    for folder in folders:
        if _absolute(folder) == _absolute(output):
            raise typer.BadParameter("it is a folder of inputs, which stay as they are; name another", param_hint=_OUT)
    named_file = bool(split_suffix(output.name)[1]) and not is_folder(output)
    if named_file and (folders or len(paths) > 1):
        # A word behind an option that takes none is an input, too.
        absent = next((f" ({printable(path)} does not exist)" for path in paths if not os.path.lexists(path)), "")
        raise typer.BadParameter(
            f"{output} is the name of a file, but there may be several results{absent}; name a folder", param_hint=_OUT
        )
    if len(paths) == 1 and not folders:
        _check_known_suffix(output)
    check_writable(output.parent if named_file else output)
    met = without_repeats(_without_results(collect(paths), folders, output))
    groups = [(item,) for item in met] if dicom is None else arrange(met, dicom.limits, not named_as_inputs)
    found = [item for group in groups for item in group]
    if named_file and len(found) > 1:
        raise typer.BadParameter(f"{output} is the name of a file, but there are several results", param_hint=_OUT)
    targets = iter([output] if named_file else [output / name for name in plan_names(found)])
    jobs = [tuple(Job(item, next(targets)) for item in group) for group in groups]
    inputs = frozenset(filter(None, (identity(item.path) for item in found)))
    return Plan(jobs, output, inputs, empty_folders(paths, met))


class Batch:
    """Does the jobs of a plan, and tells a report of each.

    Args:
        the_plan: the jobs.
        report: told of every file, and of the end.
        debug: print tracebacks of unexpected errors.
        dicom: how DICOM is read.
        compress: how DICOM is written; see `lowlight.imaging.write`.
        clips: enhances a film and tells the report of it; None: films are no images.
    """

    def __init__(
        self,
        the_plan: Plan,
        report: Report,
        debug: bool,
        dicom: DicomReading = DEFAULT_READING,
        compress: str | None = None,
        clips: Callable[[Job], None] | None = None,
    ) -> None:
        self.clips = clips
        self.plan, self.report, self.debug, self.dicom, self.compress = the_plan, report, debug, dicom, compress
        self._loaded: Work | None = None

    def run(
        self,
        prepare: Callable[[], Work],
        waiting_for: str,
        value_range: tuple[float, float] | None,
        finish: Callable[[], None] | None = None,
    ) -> int:
        """Do all jobs one after the other and return the exit code.

        Args:
            prepare: loads what the work needs; called once, when the first image has been read, so that a batch
                without any image does not wait for it. What it raises ends the batch.
            waiting_for: what the user is told meanwhile.
            value_range: (black, white) for files that do not say.
            finish: called after the last job, unless the batch is interrupted; what it raises ends the batch.
        """
        writing = Writing(self.compress)
        work = partial(self._prepared, prepare, waiting_for)
        doer = GroupDoer(work, self.report, value_range, self.dicom, writing, self.debug)

        def do_all() -> None:
            for group in self.plan.groups:
                interruption.check()
                jobs = [job for job in group if self._may_be_written(job, self.report)]
                if jobs and self.clips is not None and is_clip(jobs[0].found.path):
                    work()
                    with doer.refusing(jobs[0]):
                        self.clips(jobs[0])
                else:
                    doer.do(jobs)

        return self._ended(do_all, finish)

    def run_elsewhere(self, spread: Spread, finish: Callable[[], None] | None = None) -> int:
        """Have all jobs done by other processes and return the exit code; what is told is told in the same order.

        Args:
            spread: has groups done. What it raises ends the batch.
            finish: as for `run`.
        """
        recorded: deque[Recorder] = deque()

        def writable() -> Iterator[Sequence[Job]]:
            for group in self.plan.groups:
                recorded.append(recorder := Recorder())
                jobs = [job for job in group if self._may_be_written(job, recorder)]
                if jobs and is_clip(jobs[0].found.path):
                    fault = "is a film, which is done by one process; enhance it without --cluster"
                    recorder.refused(jobs[0].found.path, f"{jobs[0].found.path}: {fault}")
                    jobs = []
                yield jobs

        def do_all() -> None:
            try:
                # Closed in any case: processes may have been started for it.
                with closing(spread(writable())) as done:
                    for events in done:
                        with interruption.held():
                            tell([*recorded.popleft().events, *events], self.report)
            except Exception as error:
                self.report.failed(error)
                raise

        return self._ended(do_all, finish)

    def _ended(self, do_all: Callable[[], None], finish: Callable[[], None] | None) -> int:
        try:
            with self.report:
                for folder in self.plan.empty:
                    self.report.note(f"no image found in {folder}")
                for folder in {job.target.parent for job in self.plan.jobs}:
                    sweep(folder)
                do_all()
            if finish is not None:
                self._finished(finish)
        except KeyboardInterrupt:
            summary = {"unchanged": self.report.unchanged}
            self.report.close(self.plan.output, interrupted=True, summary=summary)
            return interruption.exit_code
        self.report.close(self.plan.output, summary={"unchanged": self.report.unchanged})
        return self.report.exit_code

    def _prepared(self, prepare: Callable[[], Work], waiting_for: str) -> Work:
        if self._loaded is None:
            self.report.show(waiting_for)
            try:
                self._loaded = prepare()
            except Exception as error:
                self.report.failed(error)
                raise
        return self._loaded

    def _finished(self, finish: Callable[[], None]) -> None:
        try:
            with interruption.held():
                finish()
        except Exception as error:
            self.report.failed(error)
            raise

    def _may_be_written(self, job: Job, told: Told) -> bool:
        """Refuses a result that could not be written under its name, before anything is loaded for it."""
        try:
            if identity(job.target) in self.plan.inputs:
                raise OutputError(job.target, "is one of the inputs, which are never changed", "choose another folder")
            _check_kind(job)
        except OutputError as error:
            told.refused(job.found.path, f"{job.found.path} has no result: {error}")
            return False
        return True


def _without_results(found: Iterable[Found], folders: Sequence[Path], output: Path) -> list[Found]:
    """Leave out what lies in an output folder inside a folder of inputs: a second run must not take its own results."""
    inside = [folder for folder in folders if _absolute(output).is_relative_to(_absolute(folder))]
    if not inside:
        return list(found)
    return [item for item in found if item.explicit or not _absolute(item.path).is_relative_to(_absolute(output))]


def without_repeats(found: Sequence[Found]) -> list[Found]:
    """A file that was named twice, or by itself and with its folder, is done once."""
    return list({_absolute(item.path): item for item in reversed(found)}.values())[::-1]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links: two links are two inputs)


def empty_folders(paths: Sequence[Path], found: Sequence[Found]) -> tuple[Path, ...]:
    """The folders among the paths in which nothing was found."""
    folders = filter(is_folder, paths)
    return tuple(folder for folder in folders if not any(item.path.is_relative_to(folder) for item in found))


def is_folder(path: Path) -> bool:
    """Whether this is a folder; False where one may not even look, which reading or writing it will say."""
    return os.path.isdir(path)  # noqa: PTH112  (Path.is_dir raises where a parent may not be searched)


def identity(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common; None if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_known_suffix(output: Path) -> None:
    """Refuse ``o.xyz`` for the result of one file: it would silently become a folder. The dots of a UID may stay."""
    suffix = output.suffix
    if os.path.lexists(output) or split_suffix(output.name)[1] or not any(map(str.isalpha, suffix)):
        return
    known = ", ".join(suffix for kind, suffixes in SUFFIXES.items() if kind != "jpeg" for suffix in suffixes)
    known += f", {', '.join(CLIP_RESULTS)}"
    raise typer.BadParameter(
        f"{output} ends in {suffix}; results end in one of {known}, and the name of a new folder in none",
        param_hint=_OUT,
    )


def _check_kind(job: Job) -> None:
    """Raises OutputError if the user gave the result the suffix of another kind; seen from the file's first bytes."""
    if is_clip(job.found.path):
        if job.target.suffix.lower() not in CLIP_RESULTS:
            fault = "is no name for the result of this file, which is a film"
            raise OutputError(job.target, fault, f"end it in one of {', '.join(CLIP_RESULTS)}")
        return
    try:
        kind = identify(job.found.path)
    except InputError:
        # Reading it says what is wrong.
        return
    fitting = SUFFIXES["png" if kind == "jpeg" else kind]
    suffix = split_suffix(job.target.name)[1].lower()
    if suffix in fitting or (kind == "dicom" and not suffix):
        return
    fault = f"is no name for the result of this file, which is {kind.upper()}"
    raise OutputError(job.target, fault, f"end it in {fitting[0]}")


def check_writable(folder: Path) -> None:
    """Find out early, and without writing, what would otherwise be said again for each of a thousand files."""
    existing = _absolute(folder)
    # Path.exists raises where a parent may not be searched.
    while not os.path.exists(existing) and existing != existing.parent:  # noqa: PTH110
        existing = existing.parent
    if not is_folder(existing):
        raise OutputError(folder, f"cannot be a folder: {printable(existing)} is a file", "choose another folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(folder, "may not be written to", "choose another folder or change its permissions")
