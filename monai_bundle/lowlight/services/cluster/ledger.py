"""What became of each entry of an archive: one SQLite file beside the results, written by one process.

    waiting -> done, skipped, refused, missing, set aside

Entries are numbered as they come, and chunks are runs of numbers, so that nothing has to be searched for: what an entry
costs does not grow with their count. Paths are bytes, as the system has them.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from filelock import FileLock, Timeout

from lowlight.errors import InputError, OutputError
from lowlight.services.cluster import places
from lowlight.services.table import Table

FOLDER = ".lowlight"
"""Of the ledger, below the folder of the results; hidden, so that a walk leaves it out."""

_VERSION = 1
_CACHE = 64  # megabytes
_AT_ONCE, _MOST = 10_000, 20_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL,
    place BLOB NOT NULL,
    state INTEGER NOT NULL,
    unchanged INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    result BLOB
);
CREATE INDEX IF NOT EXISTS entries_not_done ON entries (state) WHERE state > 1;
CREATE TABLE IF NOT EXISTS names (hash BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folders (hash BLOB PRIMARY KEY, entries INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    number INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, open INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS chunks_open ON chunks (number) WHERE open > 0;
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, entries INTEGER NOT NULL) WITHOUT ROWID
"""


class State(IntEnum):
    """What became of an entry."""

    WAITING = 0
    DONE = 1
    SKIPPED = 2
    REFUSED = 3
    MISSING = 4
    SET_ASIDE = 5

    @property
    def words(self) -> str:
        """For people and programs."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Entry:
    """One file.

    Attributes:
        number: as it came, from 1. path: where it is. place: where its result belongs, without suffix.
        state: what became of it. result: of one that is done, below the output folder.
    """

    number: int
    path: Path
    place: str
    state: State
    result: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What became of an entry that was waiting.

    Attributes:
        number: of the entry. state: not `WAITING`. reason: why it is not done; None for one that is.
        result: below the output folder. unchanged: the image needed nothing. seconds: how long it took.
        warning: to be known, although it is done. known: a process that has ended had done it.
    """

    number: int
    state: State
    reason: str | None = None
    result: str | None = None
    unchanged: bool = False
    seconds: float = 0.0
    warning: str | None = None
    known: bool = False


class Ledger:
    """The file, held by this process alone until it is closed.

    Args:
        output: folder of the results; made if need be.

    Raises:
        InputError: another process works on it, or the file is none of ours.
        OutputError: it cannot be written.
    """

    def __init__(self, output: Path) -> None:
        self.output, self.folder = output, output / FOLDER
        self.file = self.folder / "ledger.sqlite3"
        self._table = Table(self.file, "TRUNCATE", _CACHE)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / "ledger.lock", thread_local=False)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                output, "is being worked on by another lowlight archive", "wait for it, or choose another folder"
            ) from None
        except OSError as error:
            raise _not_kept(output, error) from None
        try:
            with self._kept():
                self._table.make(_SCHEMA, _VERSION)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others work on it."""
        self._table.close()
        self._lock.release()

    # What is to be done.

    def fact(self, name: str) -> str | None:
        """What was remembered under a name."""
        found = self._table.read("SELECT value FROM facts WHERE name = ?", name)
        return str(found[0][0]) if found else None

    def remember(self, name: str, value: str) -> None:
        """For the next run, too."""
        with self._kept(), self._table.transaction() as sql:
            sql.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def add(self, paths: Iterable[Path], root: Path, size: int, largest: int) -> Iterator[int]:
        """Add entries that are not known yet, in chunks of consecutive ones.

        Args:
            paths: absolute. root: below which results keep their folders.
            size: entries in a chunk. largest: so many, if they are of one folder: its files may belong together.

        Yields:
            Now and then, how many paths were looked at.
        """
        looked = 0
        source = iter(paths)
        while batch := _batch(source):
            with self._kept(), self._table.transaction() as sql:
                _Adding(sql, self.output, root, size, largest).add(batch)
            looked += len(batch)
            yield looked

    def total(self) -> int:
        """How many entries there are."""
        return self._counted("all")

    def counts(self) -> dict[State, int]:
        """How many are in each state."""
        counts = {state: self._counted(state.name) for state in State}
        counts[State.WAITING] = self.total() - sum(counts.values())
        return counts

    def unchanged(self) -> int:
        """How many of those that are done needed nothing."""
        return self._counted("unchanged")

    def _counted(self, name: str) -> int:
        found = self._table.read("SELECT entries FROM totals WHERE name = ?", name)
        return int(found[0][0]) if found else 0

    # Work.

    def open_chunks(self) -> Iterator[int]:
        """Numbers of all chunks that have waiting entries, one after the other."""
        number = -1
        while True:
            found = self._table.read(
                "SELECT number FROM chunks WHERE open > 0 AND number > ? ORDER BY number LIMIT 1", number
            )
            if not found:
                return
            ((number,),) = found
            yield number

    def is_open(self, chunk: int) -> bool:
        """Whether entries of it wait."""
        return bool(self._table.read("SELECT 1 FROM chunks WHERE number = ? AND open > 0", chunk))

    def entries(self, chunk: int) -> list[Entry]:
        """All entries of a chunk, also those that wait no more."""
        return [
            Entry(
                number,
                Path(os.fsdecode(path)),
                os.fsdecode(place),
                State(state),
                None if result is None else os.fsdecode(result),
            )
            for number, path, place, state, result in self._table.read(
                "SELECT e.id, e.path, e.place, e.state, e.result FROM chunks c JOIN entries e "
                "ON e.id BETWEEN c.first AND c.last WHERE c.number = ? ORDER BY e.id",
                chunk,
            )
        ]

    def record(self, chunk: int, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Note what became of entries of a chunk; one that waits no more keeps its state.

        Returns:
            Those that had been waiting.
        """
        new = []
        with self._kept(), self._table.transaction() as sql:
            for verdict in verdicts:
                result = None if verdict.result is None else places.encoded(verdict.result)
                changed = sql.execute(
                    "UPDATE entries SET state = ?, unchanged = ?, reason = ?, result = ? WHERE id = ? AND state = 0",
                    (verdict.state, verdict.unchanged, _storable(verdict.reason), result, verdict.number),
                ).rowcount
                if changed:
                    new.append(verdict)
            sql.execute("UPDATE chunks SET open = open - ? WHERE number = ?", (len(new), chunk))
            for state in {verdict.state for verdict in new}:
                _count(sql, state.name, sum(verdict.state == state for verdict in new))
            _count(sql, "unchanged", sum(verdict.unchanged for verdict in new))
        return new

    def retry(self) -> int:
        """Have what was refused, missing or set aside wait again; returns how many that were."""
        again = (State.REFUSED, State.MISSING, State.SET_ASIDE)
        with self._kept(), self._table.transaction() as sql:
            count = 0
            for state in again:
                sql.execute(
                    "UPDATE chunks SET open = open + (SELECT count(*) FROM entries WHERE state = ? AND id BETWEEN "
                    "first AND last) WHERE number IN (SELECT c.number FROM entries e JOIN chunks c ON c.first = "
                    "(SELECT max(first) FROM chunks WHERE first <= e.id) WHERE e.state = ?)",
                    (state, state),
                )
                changed = sql.execute("UPDATE entries SET state = 0, reason = NULL WHERE state = ?", (state,)).rowcount
                _count(sql, state.name, -changed)
                count += changed
        return count

    def not_done(self) -> Iterator[tuple[Path, State, str]]:
        """Path, state and reason of all that were not done and do not wait, as a stream."""
        for number in (state for state in State if state > State.DONE):
            for path, state, reason in self._table.connection().execute(
                "SELECT path, state, reason FROM entries WHERE state = ? ORDER BY id", (number,)
            ):
                yield Path(os.fsdecode(path)), State(state), reason or ""

    def check(self) -> str:
        """What SQLite says of the file's consistency: "ok"."""
        return str(self._table.read("PRAGMA integrity_check")[0][0])

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Tell in words of a disk that does not take it."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise _not_kept(self.output, error) from None
        except sqlite3.DatabaseError:
            raise InputError(self.file, "is no ledger of an archive", "choose another folder") from None
        except OSError as error:
            raise _not_kept(self.output, error) from None


class _Adding:
    """A batch of entries on its way into the table."""

    def __init__(self, sql: sqlite3.Connection, output: Path, root: Path, size: int, largest: int) -> None:
        self._sql, self._output, self._root, self._size, self._largest = sql, output, root, size, largest
        self._counts: dict[bytes, int] = {}
        self._resolved: dict[Path, bool] = {}
        self._real_output = Path(os.path.realpath(output))

    def add(self, paths: Sequence[Path]) -> None:
        """Add those that are new."""
        (before,) = self._sql.execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()
        number = before
        # What was added before is not added to: chunks stay what they are.
        chunk, first, held = self._next_chunk(), number + 1, 0
        last_folder: Path | None = None
        refused = 0
        for path in paths:
            if not self._is_new(b"path\0" + places.encoded(path)):
                continue
            if held >= self._size and (path.parent != last_folder or held >= self._largest or _is_no_dicom(path)):
                self._close(chunk, first, number, held - refused)
                chunk, first, held, refused = chunk + 1, number + 1, 0, 0
            number, held, last_folder = number + 1, held + 1, path.parent
            inside = self._lies_in_output(path)
            refused += inside
            reason = f"{path}: lies in the folder of the results; choose another" if inside else None
            state = State.REFUSED if inside else State.WAITING
            self._sql.execute(
                "INSERT INTO entries (id, path, place, state, reason) VALUES (?, ?, ?, ?, ?)",
                (number, places.encoded(path), places.encoded(self._place(path)), state, _storable(reason)),
            )
            if inside:
                _count(self._sql, state.name, 1)
        if held:
            self._close(chunk, first, number, held - refused)
        _count(self._sql, "all", number - before)
        for folder, count in self._counts.items():
            self._sql.execute("INSERT OR REPLACE INTO folders VALUES (?, ?)", (folder, count))

    def _next_chunk(self) -> int:
        (number,) = self._sql.execute("SELECT coalesce(max(number), -1) + 1 FROM chunks").fetchone()
        return int(number)

    def _close(self, chunk: int, first: int, last: int, count: int) -> None:
        self._sql.execute("INSERT INTO chunks VALUES (?, ?, ?, ?)", (chunk, first, last, count))

    def _place(self, path: Path) -> str:
        folder = places.folder_of(path, self._root)
        key = _hash(folder.casefold().encode("utf-8", "surrogateescape"))
        if key not in self._counts:
            found = self._sql.execute("SELECT entries FROM folders WHERE hash = ?", (key,)).fetchone()
            self._counts[key] = found[0] if found else 0
        folder = places.part_of(folder, self._counts[key])
        self._counts[key] += 1
        for stem in places.stems(path):
            place = f"{folder}/{stem}" if folder != "." else stem
            if self._is_new(b"place\0" + place.casefold().encode("utf-8", "surrogateescape")):
                return place
        raise AssertionError

    def _is_new(self, name: bytes) -> bool:
        return bool(self._sql.execute("INSERT OR IGNORE INTO names VALUES (?)", (_hash(name),)).rowcount)

    def _lies_in_output(self, path: Path) -> bool:
        folder = path.parent
        if folder not in self._resolved:
            real = Path(os.path.realpath(folder))
            self._resolved[folder] = real.is_relative_to(self._real_output) or folder.is_relative_to(self._output)
        return self._resolved[folder]


def _batch(source: Iterator[Path]) -> list[Path]:
    """Paths that are added in one transaction; those of one folder are not torn apart without need."""
    batch: list[Path] = []
    for path in source:
        batch.append(path)
        if len(batch) >= _AT_ONCE and (_is_no_dicom(path) or path.parent != batch[-2].parent or len(batch) > _MOST):
            break
    return batch


def _is_no_dicom(path: Path) -> bool:
    """Whether its name says so: files that are no DICOM share nothing with those beside them."""
    return path.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nii", ".gz")


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _count(sql: sqlite3.Connection, name: str, by: int) -> None:
    sql.execute(
        "INSERT INTO totals VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET entries = entries + excluded.entries",
        (name, by),
    )


def _storable(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def _not_kept(output: Path, error: Exception) -> OutputError:
    said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return OutputError(
        output,
        f"the ledger cannot be written ({said})",
        "what is done is kept; free some space or mend the rights, then give the same command again",
    )
