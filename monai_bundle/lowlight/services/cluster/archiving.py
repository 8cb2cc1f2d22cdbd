"""An archive, worked off chunk by chunk: from the ledger to the workers and back."""

from __future__ import annotations

import csv
import itertools
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from lowlight.errors import ClusterError, InputError, OutputError
from lowlight.imaging import atomic_path
from lowlight.services.cluster import journal
from lowlight.services.cluster.chunk import ArchiveOrder, Worked, do_chunk
from lowlight.services.cluster.connecting import Check, Cluster, check
from lowlight.services.cluster.flights import Flights, Lost
from lowlight.services.cluster.ledger import Entry, Ledger, State, Verdict
from lowlight.services.cluster.manifest import Manifest
from lowlight.services.cluster.probing import identity

CHUNK, LARGEST_CHUNK = 64, 1000
"""Entries that travel together; so many, where they lie in one folder and may be DICOM, which may share a tone."""

REFUSED = "not-enhanced.csv"
"""What was not done, and why, beside the results."""

_BARREN = 20
_TEXT: Any = {"encoding": "utf-8", "errors": "surrogateescape"}


class Listener(Protocol):
    """Who is told of how it goes."""

    def counting(self, looked: int) -> None:
        """So many paths of the manifest were looked at."""

    def verdicts(self, entries: dict[int, Entry], verdicts: Sequence[Verdict]) -> None:
        """What became of some entries."""

    def note(self, text: str) -> None:
        """A line for people."""


@dataclass
class _Chunk:
    """A chunk that is under way.

    Attributes:
        number: of the chunk. entries: all of it. submission: the attempt that is under way. lost: those whose workers
            died.
        size: of its journals at the last death; barren: deaths since something was begun.
    """

    number: int
    entries: list[Entry]
    submission: str = ""
    lost: list[str] = field(default_factory=list)
    size: int = 0
    barren: int = 0


def fill(ledger: Ledger, manifest: Manifest, listener: Listener, wishes: str) -> None:
    """Bring a manifest into the ledger, unless it is there; what is there already stays as it is.

    Args:
        ledger, manifest: which. listener: told how far it is.
        wishes: what decides on the results: an archive has to be gone on with as it was begun.

    Raises:
        InputError: the archive was begun with other wishes, or the manifest cannot be read.
        OutputError: the disk is full.
    """
    begun = ledger.fact("wishes")
    if begun is not None and begun != wishes:
        raise InputError(
            ledger.output,
            "holds an archive that was begun with other options, settings, weights or version",
            f"give those again ({begun}), or choose another folder",
        )
    if begun is None:
        ledger.remember("wishes", wishes)
    version = manifest.version()
    known = f"{os.path.abspath(manifest.file)} {version}"  # noqa: PTH100
    if version is not None and ledger.fact("manifest") == known:
        return
    root = ledger.fact("root")
    if root is None:
        root = os.fsencode(manifest.root()).hex()
        ledger.remember("root", root)
    folder = Path(os.fsdecode(bytes.fromhex(root)))
    outside = (path for path in manifest.paths() if not manifest.is_folder or not path.is_relative_to(ledger.output))
    for looked in ledger.add(outside, folder, CHUNK, LARGEST_CHUNK):
        listener.counting(looked)
    ledger.remember("manifest", known)


def settle(ledger: Ledger, listener: Listener) -> None:
    """Note what workers have done of chunks that did not come back, because they or this process were ended.

    Only while no worker works on them.

    Raises:
        OutputError: the disk is full.
    """
    for number in journal.unfinished(ledger.output):
        known = journal.left(ledger.output, number, "", ()).verdicts
        entries = {entry.number: entry for entry in ledger.entries(number)}
        listener.verdicts(entries, ledger.record(number, [known[entry] for entry in sorted(known)]))
        if not ledger.is_open(number):
            journal.forget(ledger.output, number)


def work_off(
    ledger: Ledger,
    cluster: Cluster,
    order: ArchiveOrder,
    listener: Listener,
    check_often: Check,
    held: Callable[[], AbstractContextManager[None]],
    function: Callable[..., Worked] = do_chunk,
) -> None:
    """Have all waiting entries done.

    Args:
        ledger: of the archive. cluster: which does it. order: what is asked.
        listener: told of every entry.
        check_often: raises what ends the waiting. held: a context in which nothing interrupts.
        function: what workers do with a chunk.

    Raises:
        OutputError: the disk is full. ClusterError: see `connecting` and `flights`.
        All that is done by then is in the ledger, or found again.
    """
    run, serial = secrets.token_hex(4), 0
    heard: set[str] = set()
    check(cluster, order.output, _samples(ledger))
    if not cluster.is_local:
        order = replace(order, order=replace(order.order, identity=identity()))
    flights: Flights[_Chunk] = Flights(cluster, function, check_often, listener.note)
    chunks = ledger.open_chunks()

    def start(chunk: _Chunk) -> None:
        nonlocal serial
        serial += 1
        chunk.submission = f"{run}-{serial}"
        flights.start(chunk, order, chunk.number, chunk.entries, chunk.submission, tuple(chunk.lost))

    while True:
        while flights.has_room and (number := next(chunks, None)) is not None:
            start(_Chunk(number, ledger.entries(number)))
        if not len(flights):
            return
        chunk, worked = flights.next_landed()
        if isinstance(worked, Lost):
            _count_death(chunk, ledger.output)
            chunk.lost.append(chunk.submission)
            start(chunk)
            continue
        assert isinstance(worked, Worked)
        with held():
            is_open = _take(ledger, cluster, chunk, worked, listener)
        for line in worked.notes:
            if line not in heard:
                heard.add(line)
                listener.note(line)
        if worked.full:
            raise OutputError(
                ledger.output, f"no more results can be written ({worked.full})", "then give the same command again"
            )
        if is_open:
            start(_Chunk(chunk.number, ledger.entries(chunk.number), lost=chunk.lost))


def write_refused(ledger: Ledger) -> Path | None:
    """Write path, state and reason of all that was not done, as a table beside the results; None if all was done.

    Raises:
        OutputError: it cannot be written.
    """
    file = ledger.output / REFUSED
    rows = ledger.not_done()
    first = next(rows, None)
    if first is None:
        file.unlink(missing_ok=True)
        return None
    with atomic_path(file) as temporary, temporary.open("w", newline="", **_TEXT) as stream:
        table = csv.writer(stream)
        table.writerow(("path", "state", "reason"))
        for path, state, reason in itertools.chain([first], rows):
            table.writerow((path, state.words, reason.removeprefix(f"{path}: ")))
    return file


def _take(ledger: Ledger, cluster: Cluster, chunk: _Chunk, worked: Worked, listener: Listener) -> bool:
    """Note what became of a chunk, and return whether some of it still waits; if not, its journals can go."""
    entries = {entry.number: entry for entry in chunk.entries}
    verdicts = [_seen_from_here(verdict, entries[verdict.number], cluster, worked) for verdict in worked.verdicts]
    listener.verdicts(entries, ledger.record(chunk.number, verdicts))
    is_open = ledger.is_open(chunk.number)
    if not is_open:
        journal.forget(ledger.output, chunk.number)
    return is_open


def _seen_from_here(verdict: Verdict, entry: Entry, cluster: Cluster, worked: Worked) -> Verdict:
    """A file that is missing for a worker alone is told so."""
    if verdict.state is not State.MISSING or cluster.is_local or not os.path.lexists(entry.path):
        return verdict
    reason = f"{entry.path}: is here, but not on {worked.host}; workers have to see the same files, then use --retry"
    return replace(verdict, reason=reason)


def _count_death(chunk: _Chunk, output: Path) -> None:
    """Give up where workers die again and again before they begin anything."""
    grown = journal.size(output, chunk.number)
    chunk.barren = 0 if grown > chunk.size else chunk.barren + 1
    chunk.size = grown
    if chunk.barren > _BARREN:
        raise ClusterError(
            "the worker processes end again and again before they begin; is there enough memory for each of them? "
            "What is done is kept"
        )


def _samples(ledger: Ledger) -> list[Path]:
    """An input that is there, for workers to look at."""
    for number in itertools.islice(ledger.open_chunks(), 1):
        paths = (entry.path for entry in ledger.entries(number) if entry.state is State.WAITING)
        return list(itertools.islice(filter(os.path.exists, paths), 1))
    return []
