"""A chunk of an archive, as a worker does it: entry by entry, leaving a journal of how far it got."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from lowlight.batch.doing import GroupDoer, Job, Outcome, Work, Writing
from lowlight.errors import InputError, OutputError
from lowlight.imaging import Found, MedicalImage, write
from lowlight.imaging.atomic import sweep
from lowlight.imaging.dicom_series import arrange
from lowlight.imaging.filetype import identify
from lowlight.imaging.image import Kind
from lowlight.services.cluster import places
from lowlight.services.cluster.journal import FULL, Journal, left
from lowlight.services.cluster.ledger import Entry, State, Verdict
from lowlight.services.cluster.probing import identity
from lowlight.services.cluster.process import ONE_AT_A_TIME, Order, engine

_DEATHS = 2
_TURN, _TURN_PER_LOOK = 10.0, 10.0


@dataclass(frozen=True)
class ArchiveOrder:
    """What is asked of all chunks.

    Attributes:
        order: of the enhancement. output: folder of the results.
        named_as_inputs: DICOM results keep the names of their sources.
        explicit: the user named each file: one that is no image is refused instead of skipped.
        work: gives what is done to each image in place of the enhancement; for measurements and tests.
    """

    order: Order
    output: Path
    named_as_inputs: bool = False
    explicit: bool = True
    work: Callable[[Order], Work] | None = None


@dataclass
class Worked:
    """What became of a chunk.

    Attributes:
        verdicts: of entries that came to their end; those that are left wait for the next turn.
        full: why no result can be written any more; empty if they can.
        notes: what is to be known of the engine.
        host: of the worker.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    full: str = ""
    notes: list[str] = field(default_factory=list)
    host: str = ""


def do_chunk(
    order: ArchiveOrder, number: int, entries: Sequence[Entry], submission: str, lost: Sequence[str]
) -> Worked:
    """Work on the waiting entries of a chunk, at most some seconds long, and say what became of them.

    Args:
        order: what is asked.
        number, entries: the chunk. Those that wait no more are read where they decide on the tone of the others.
        submission, lost: see `journal.left`.

    Raises:
        ClusterError, BundleError, DependencyError: nothing can be done here.
    """
    with ONE_AT_A_TIME:
        order.order.check()
        worked = Worked(host=identity().host)
        try:
            journal = Journal(order.output, number, submission)
        except OutputError as error:
            worked.full = str(error)
            return worked
        try:
            chunk = _Chunk(order, entries, journal, worked)
            earlier = left(order.output, number, submission, lost)
            chunk.accept(earlier.verdicts)
            chunk.set_aside({entry for entry, deaths in earlier.deaths.items() if deaths >= _DEATHS})
            chunk.work()
        except OutputError as error:
            # Of the disk, or the journal's: all others are told of their file.
            worked.full = str(error)
        finally:
            journal.close()
        return worked


class _Chunk:
    """The entries of a chunk on their way; hears what becomes of them (`lowlight.batch.doing.Told`)."""

    def __init__(self, order: ArchiveOrder, entries: Sequence[Entry], journal: Journal, worked: Worked) -> None:
        self._order, self._entries, self._journal, self._worked = order, entries, journal, worked
        self._waiting = {entry.number: entry for entry in entries if entry.state is State.WAITING}
        self._by_path = {entry.path: entry for entry in entries}
        self._current, self._warnings = Path(), dict[Path, str]()
        self._until = 0.0

    def accept(self, known: dict[int, Verdict]) -> None:
        """Entries that have been done, of which the ledger does not know yet."""
        for number, verdict in known.items():
            if self._waiting.pop(number, None) is not None:
                self._worked.verdicts.append(verdict)

    def set_aside(self, numbers: set[int]) -> None:
        """Entries that are not tried again."""
        for number in numbers:
            if number in self._waiting:
                path = self._waiting[number].path
                reason = f"{path}: ended the process that worked on it, twice; split it or scale it down"
                self._end(Verdict(number, State.SET_ASIDE, reason))

    def work(self) -> None:
        """All that wait, group by group, until it has taken long enough."""
        for entry in list(self._waiting.values()):
            if not os.path.lexists(entry.path):
                reason = f"{entry.path}: does not exist; check the path"
                self._end(Verdict(entry.number, State.MISSING, reason))
        if not self._waiting:
            return
        # Before anything is begun: a death while the engine loads is no file's fault.
        work = self._made()
        reading, value_range = self._order.order.reading, self._order.order.value_range
        doer = GroupDoer(lambda: work, self, value_range, reading, _Results(self))
        swept: set[Path] = set()
        for group in self._groups():
            wanted = [job for job in group if self.is_waiting(job.found.path)]
            if not wanted:
                continue
            for folder in {job.target.parent for job in wanted} - swept:
                swept.add(folder)
                sweep(folder)
            self._journal.begin(self._by_path[job.found.path].number for job in wanted)
            doer.do(group)
            if time.monotonic() > self._until:
                return

    def _groups(self) -> list[list[Job]]:
        order, started = self._order, time.monotonic()
        folders = {entry.path.parent for entry in self._waiting.values()}
        found = [self._found(entry) for entry in self._entries if self._takes_part(entry, folders)]
        groups = [
            # What a directory of media lists is an entry of its own, or not asked for.
            [Job(item, self._target(item)) for item in group if item.path in self._by_path]
            for group in arrange(found, order.order.reading.limits, not order.named_as_inputs)
        ]
        # Headers are looked at in each turn: the more of them there are, the longer it is.
        now = time.monotonic()
        self._until = now + max(_TURN, _TURN_PER_LOOK * (now - started))
        return groups

    def _takes_part(self, entry: Entry, folders: set[Path]) -> bool:
        """Waiting ones, and results among DICOM that may have got one tone together with them."""
        if entry.number in self._waiting:
            return True
        return entry.state is State.DONE and entry.path.parent in folders and _kind(entry.path) == "dicom"

    def _found(self, entry: Entry) -> Found:
        return Found(entry.path, Path(places.below(Path(), entry.place)), self._order.explicit)

    def _target(self, item: Found) -> Path:
        entry = self._by_path[item.path]
        kind = _kind(item.path)
        relative: PurePosixPath
        if kind is None:
            # It will be refused; were it not, it would have a name of its own all the same.
            relative = PurePosixPath(entry.place)
        elif kind == "dicom" and not self._order.named_as_inputs:
            relative = places.target_by_number(item.relative.parts[0], entry.number)
        else:
            relative = places.target(entry.place, item.path, kind)
        return places.below(self._order.output, relative)

    def _made(self) -> Work:
        if self._order.work is not None:
            return self._order.work(self._order.order)
        loaded = engine(self._order.order)
        self._worked.notes = loaded.outdated
        return loaded.work({})

    def is_waiting(self, path: Path) -> bool:
        """Whether nothing is known of this file yet."""
        return self._by_path[path].number in self._waiting

    def ready(self, job: Job, unchanged: bool, file: Path) -> None:
        """The result of a job is whole, and gets its name next."""
        self._journal.ready(self._done(job.found.path, job.target, 0.0, unchanged), file)

    def _done(self, source: Path, target: Path, seconds: float, unchanged: bool) -> Verdict:
        result = target.relative_to(self._order.output).as_posix()
        number = self._by_path[source].number
        return Verdict(number, State.DONE, None, result, unchanged, round(seconds, 3), self._warnings.get(source))

    def _end(self, verdict: Verdict) -> None:
        if verdict.number in self._waiting:
            self._journal.end(verdict)
            del self._waiting[verdict.number]
            self._worked.verdicts.append(verdict)

    # What the one who does the groups tells.

    def begin(self, path: Path) -> None:
        """Nobody is there to see it."""
        self._current = path

    def step(self, done: int, total: int) -> None:
        """Nobody is there to see it."""

    def warn(self, message: str) -> None:
        """Goes with what becomes of the file."""
        self._warnings[self._current] = message

    def skipped(self, error: InputError) -> None:
        """As `Told` has it, like those below."""
        source = Path(error.source)
        self._end(Verdict(self._by_path[source].number, State.SKIPPED, str(error)))

    def refused(self, source: Path, message: str) -> None:
        self._end(Verdict(self._by_path[source].number, State.REFUSED, message))

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
        assert output is not None
        verdict = self._done(source, output, seconds, unchanged)
        if self._waiting.pop(verdict.number, None) is not None:
            self._worked.verdicts.append(verdict)

    def show_card(self, card: Any) -> None:
        """There is no page."""


class _Results(Writing):
    """Keeps account of every result before it gets its name."""

    def __init__(self, chunk: _Chunk) -> None:
        super().__init__(chunk._order.order.compress)
        self._chunk = chunk

    def write(self, job: Job, image: MedicalImage, outcome: Outcome, pixels: NDArray[Any]) -> None:
        """Write it."""

        def ready(file: Path) -> None:
            self._chunk.ready(job, outcome.unchanged, file)

        write(image, pixels, job.target, derivation=outcome.derivation, compress=self.compress, ready=ready)

    def is_wanted(self, job: Job) -> bool:
        """Whether it waits."""
        return self._chunk.is_waiting(job.found.path)

    def must_stop(self, error: OutputError) -> bool:
        """Whether the disk is full."""
        reason = error.__cause__ or error.__context__
        return isinstance(reason, OSError) and reason.errno in FULL


def _kind(path: Path) -> Kind | None:
    try:
        return identify(path)
    except InputError:
        return None
