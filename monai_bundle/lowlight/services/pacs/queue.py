"""What became of each instance: one table, which outlives crashes, in which every step is one transaction.

    seen -> claimed -> enhanced -> stored -> verified
      |        |          |          |
      +--------+----------+----------+--> skipped, quarantined

`seen`: known, and perhaps fetched. `claimed`: its series is being enhanced. `enhanced`: the result lies on our disk.
`stored`: the destination has taken it. `verified`: it was read back and is equal. `skipped`: needs no result.
`quarantined`: somebody has to look at it; `retry` sends it on its way again.

Each worker holds a lock of the operating system for as long as it lives. What a worker had in hands when it died is
free again the moment that lock is, without a clock that would have to be right.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lowlight.errors import InputError
from lowlight.services.table import Table

_VERSION = 1
_NO_FOLDER = "does it belong to this user, is its disk full or read-only?"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    instance TEXT PRIMARY KEY,
    study TEXT NOT NULL DEFAULT '',
    series TEXT NOT NULL DEFAULT '',
    source TEXT NOT NULL,
    locator TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN
        ('seen', 'claimed', 'enhanced', 'stored', 'verified', 'skipped', 'quarantined')),
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    delays INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0,
    owner TEXT,
    expected INTEGER,
    seen REAL NOT NULL,
    changed REAL NOT NULL,
    file TEXT,
    rule TEXT,
    destination TEXT,
    result TEXT,
    result_file TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS instances_by_state ON instances (state, series);
CREATE INDEX IF NOT EXISTS instances_by_series ON instances (series);
CREATE INDEX IF NOT EXISTS instances_by_result ON instances (result) WHERE result IS NOT NULL;
CREATE INDEX IF NOT EXISTS instances_by_owner ON instances (owner) WHERE owner IS NOT NULL;
CREATE TABLE IF NOT EXISTS tones (
    key TEXT PRIMARY KEY, series TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL, file TEXT, made REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (source TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS studies (
    source TEXT NOT NULL, study TEXT NOT NULL, instances INTEGER NOT NULL, PRIMARY KEY (source, study)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS workers (owner TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commitments (
    request TEXT PRIMARY KEY, result TEXT NOT NULL, asked REAL NOT NULL, answer TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commitments_by_result ON commitments (result);
"""


class State(StrEnum):
    """What became of an instance; see the module."""

    SEEN = "seen"
    CLAIMED = "claimed"
    ENHANCED = "enhanced"
    STORED = "stored"
    VERIFIED = "verified"
    SKIPPED = "skipped"
    QUARANTINED = "quarantined"


_NEXT = {
    State.SEEN: {State.SEEN, State.CLAIMED, State.SKIPPED, State.QUARANTINED},
    State.CLAIMED: {State.SEEN, State.ENHANCED, State.SKIPPED, State.QUARANTINED},
    State.ENHANCED: {State.ENHANCED, State.STORED, State.SEEN, State.QUARANTINED},
    State.STORED: {State.STORED, State.ENHANCED, State.VERIFIED, State.QUARANTINED},
}


@dataclass(frozen=True)
class Row:
    """One instance.

    Attributes:
        instance, study, series: UIDs; the last two are empty until its header has been read.
        source: name of where it came from. locator: how that source finds it again.
        state, reason: what became of it, and why, without anything from the image.
        attempts: refusals since it last got on. delays: times that somebody was away since then.
        next_try: not before (seconds since 1970). owner: who works on it.
        expected: number of instances that its series says it has.
        seen, changed: when it was first met, and last moved.
        file, result_file: our copies, below the folder. rule, destination: names. result: UID of the derived instance.
    """

    instance: str
    study: str
    series: str
    source: str
    locator: str
    state: State
    reason: str
    attempts: int
    delays: int
    next_try: float
    owner: str | None
    expected: int | None
    seen: float
    changed: float
    file: str | None
    rule: str | None
    destination: str | None
    result: str | None
    result_file: str | None


_COLUMNS = ", ".join(field.name for field in fields(Row))


@dataclass(frozen=True)
class Seen:
    """An instance that a source tells of.

    Attributes:
        skip: why it gets no result, if that is known already.
    """

    instance: str
    study: str = ""
    series: str = ""
    locator: str = ""
    expected: int | None = None
    file: str | None = None
    skip: str = ""


@dataclass(frozen=True)
class ToneRow:
    """What was decided for files that share one tone.

    Attributes:
        rule: under which rule. reason: why nothing is made of them; empty where something is.
        file: the tone, below the folder.
    """

    rule: str
    reason: str
    file: str | None


class Queue:
    """The table, as one worker sees it. Its methods may be called from any thread.

    Args:
        folder: where it is kept, with the copies; made if need be, for its owner alone.
        worker: take part in the work; else only look and `retry`.

    Attributes:
        owner: name of this worker.
        on_move: told of every instance that has got on, with its new state and the reason.

    Raises:
        InputError: the file there is none of ours, or nothing can be kept there.
    """

    def __init__(self, folder: Path, worker: bool = True) -> None:
        self.folder, self.file = folder, folder / "queue.sqlite3"
        self._table = Table(self.file)
        self.owner = secrets.token_hex(8)
        self._stranded: list[Row] = []
        self._putting_back = threading.Lock()
        self.on_move: Callable[[Row, State, str], None] = lambda row, state, reason: None
        try:
            if not worker and not self.file.is_file():
                raise InputError(
                    self.file, "is not there: no worker has run with these rules yet", "start lowlight pacs run"
                )
            for part in ("", "sources", "results", "tones", "workers"):
                (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_table()
            self._lock = self._registered() if worker else None
        except (OSError, sqlite3.OperationalError) as error:
            self._table.close()
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(folder, f"cannot be used as the worker's folder ({reason})", _NO_FOLDER) from None

    def _make_table(self) -> None:
        try:
            self._table.make(_SCHEMA, _VERSION)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            raise InputError(self.file, "is no queue of the PACS worker", "name another folder in the rules") from None

    def _registered(self) -> FileLock:
        """Hold the lock that says that this worker lives, and take over from those that do not."""
        lock = FileLock(self._lock_file(self.owner), thread_local=False)
        lock.acquire(timeout=0)
        with self._table.transaction() as sql:
            sql.execute("INSERT INTO workers VALUES (?)", (self.owner,))
        self.free_the_dead()
        return lock

    def close(self) -> None:
        """Give back what is held, as if this worker had died, and close the file."""
        if self._lock is not None:
            with suppress(sqlite3.Error), self._table.transaction() as sql:
                self._free(sql, self.owner)
            self._lock.release()
            with suppress(OSError):
                self._lock_file(self.owner).unlink()
        self._table.close()

    def free_the_dead(self) -> int:
        """Take back what workers that no longer live had in hands; returns how many workers that were."""
        dead = 0
        for (owner,) in self._read("SELECT owner FROM workers WHERE owner != ?", self.owner):
            lock = FileLock(self._lock_file(owner), thread_local=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            with self._table.transaction() as sql:
                self._free(sql, owner)
            lock.release()
            with suppress(OSError):
                self._lock_file(owner).unlink()
            dead += 1
        return dead

    # What sources tell.

    def cursor(self, source: str) -> int:
        """Up to where the changes of a source are known; 0 at first."""
        found = self._read("SELECT position FROM cursors WHERE source = ?", source)
        return int(found[0][0]) if found else 0

    def known_studies(self, source: str) -> dict[str, int]:
        """How many instances each study had when it was last looked through, by UID."""
        return dict(self._read("SELECT study, instances FROM studies WHERE source = ?", source))

    def see(
        self, source: str, seen: Iterable[Seen], cursor: int | None = None, study: tuple[str, int] | None = None
    ) -> int:
        """Add instances that are not known yet, and remember up to where the source was read, both or none.

        Args:
            source: name. seen: what it tells of. cursor: new position among its changes.
            study: UID and number of instances of a study that was looked through.

        Returns:
            How many were new. One that is a result of ours is added as skipped.
        """
        now, new = time.time(), 0
        with self._table.transaction() as sql:
            for one in seen:
                ours = sql.execute("SELECT 1 FROM instances WHERE result = ?", (one.instance,)).fetchone()
                skip = "is a result of this worker" if ours else one.skip
                state = State.SKIPPED if skip else State.SEEN
                new += sql.execute(
                    "INSERT OR IGNORE INTO instances "
                    "(instance, study, series, source, locator, state, reason, expected, seen, changed, file) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        one.instance,
                        one.study,
                        one.series,
                        source,
                        one.locator,
                        state,
                        skip,
                        one.expected,
                        now,
                        now,
                        one.file,
                    ),
                ).rowcount
            if cursor is not None:
                sql.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (source, cursor))
            if study is not None:
                sql.execute("INSERT OR REPLACE INTO studies VALUES (?, ?, ?)", (source, *study))
        return new

    # Work, taken by one worker at a time.

    def take_to_fetch(self, sources: Sequence[str], limit: int) -> list[Row]:
        """Instances that have to be fetched, or whose header has not been read."""
        return self._take(
            f"state = 'seen' AND rule IS NULL AND source IN ({_marks(sources)}) ORDER BY seen LIMIT {limit:d}", *sources
        )

    def take_series(self, quiet: float) -> list[Row]:
        """The instances of one complete series, which are `claimed` from now on; empty if there is none.

        A series is complete when all that is known of it has been fetched, and no new instance came for `quiet` seconds
        or as many are there as it says it has.
        """
        self.put_back(())
        now = time.time()
        with self._table.transaction() as sql:
            candidates = sql.execute(
                "SELECT series FROM instances WHERE state = 'seen' AND rule IS NOT NULL AND owner IS NULL "
                "AND next_try <= ? GROUP BY series ORDER BY min(seen)",
                (now,),
            ).fetchall()
            for (series,) in candidates:
                waiting, newest, count, expected = sql.execute(
                    "SELECT sum(state = 'claimed' OR (state = 'seen' AND (rule IS NULL OR owner IS NOT NULL))), "
                    "max(seen), count(*), max(expected) FROM instances WHERE series = ?",
                    (series,),
                ).fetchone()
                if waiting or not (newest + quiet <= now or (expected and count >= expected)):
                    continue
                return self._rows(
                    sql.execute(
                        "UPDATE instances SET state = 'claimed', owner = ?, changed = ? WHERE series = ? AND state = "
                        f"'seen' AND next_try <= ? RETURNING {_COLUMNS}",
                        (self.owner, now, series, now),
                    )
                )
        return []

    def take_to_deliver(self, limit: int) -> list[Row]:
        """Results that have to be stored or verified."""
        return self._take(f"state IN ('enhanced', 'stored') ORDER BY changed LIMIT {limit:d}")

    def move(self, row: Row, state: State, **changes: Any) -> bool:
        """The one way in which an instance that this worker has in hands gets on; it leaves the hands.

        Args:
            row: as it was taken.
            state: where to. Staying where it is says that something about it has become known.
            changes: columns that change with it.

        Returns:
            False if it is no longer in this worker's hands: then nothing has changed.
        """
        return self.move_all([(row, state, changes)]) == 1

    def move_all(
        self, moves: Sequence[tuple[Row, State, dict[str, Any]]], tone: tuple[str, str, ToneRow] | None = None
    ) -> int:
        """`move` for several, all in one transaction, together with what was decided about their tone (key, series)."""
        now = time.time()
        moved: list[tuple[Row, State, str]] = []
        with self._table.transaction() as sql:
            for row, state, changes in moves:
                if state not in _NEXT.get(row.state, set()):
                    raise ValueError(f"an instance that is {row.state} cannot become {state}")
                values = {"reason": "", "attempts": 0, "delays": 0, "next_try": 0.0, **changes}
                took = sql.execute(
                    f"UPDATE instances SET state = ?, owner = NULL, changed = ?, {_assignments(values)} "
                    "WHERE instance = ? AND owner = ? AND state = ?",
                    (state, now, *values.values(), row.instance, self.owner, row.state),
                ).rowcount
                moved += [(row, state, str(values["reason"]))] * took
            if tone is not None:
                key, series, decided = tone
                sql.execute(
                    "INSERT OR IGNORE INTO tones VALUES (?, ?, ?, ?, ?, ?)",
                    (key, series, decided.rule, decided.reason, decided.file, now),
                )
        for row, state, reason in moved:
            self.on_move(row, state, reason)
        return len(moved)

    def postpone(self, row: Row, reason: str, seconds: float, refused: bool) -> bool:
        """Put an instance back for a while; `refused` counts as an attempt, anything else as a delay."""
        back = State.SEEN if row.state == State.CLAIMED else row.state
        return self.move(
            row,
            back,
            reason=reason,
            attempts=row.attempts + refused,
            delays=row.delays + (not refused),
            next_try=time.time() + seconds,
        )

    def put_back(self, rows: Iterable[Row]) -> None:
        """Put instances back as they were taken. If that cannot be noted now, it is before any are taken again."""
        with self._putting_back:
            self._stranded += rows
            if not self._stranded:
                return
            with self._table.transaction() as sql:
                for row in self._stranded:
                    back = State.SEEN if row.state == State.CLAIMED else row.state
                    sql.execute(
                        "UPDATE instances SET owner = NULL, state = ? WHERE instance = ? AND owner = ? AND state = ?",
                        (back, row.instance, self.owner, row.state),
                    )
            self._stranded.clear()

    def tone(self, key: str) -> ToneRow | None:
        """What was decided for the files that share this tone."""
        found = self._read("SELECT rule, reason, file FROM tones WHERE key = ?", key)
        return ToneRow(*found[0]) if found else None

    # Storage commitment.

    def ask_commitment(self, request: str, result: str) -> None:
        """Remember a request, before it is made."""
        with self._table.transaction() as sql:
            sql.execute("INSERT INTO commitments VALUES (?, ?, ?, NULL)", (request, result, time.time()))

    def answer_commitment(self, request: str, answers: dict[str, str]) -> bool:
        """Note what an archive says of results ("" for a commitment, else why not); False if nobody asked."""
        with self._table.transaction() as sql:
            found = sql.execute("SELECT result FROM commitments WHERE request = ?", (request,)).fetchone()
            if found is None or found[0] not in answers:
                return False
            sql.execute("UPDATE commitments SET answer = ? WHERE request = ?", (answers[found[0]], request))
        return True

    def commitment(self, result: str) -> tuple[float, str | None] | None:
        """When the last request for a result was made, and its answer so far; None if there was none."""
        found = self._read("SELECT asked, answer FROM commitments WHERE result = ? ORDER BY asked DESC LIMIT 1", result)
        return found[0] if found else None

    def forget_commitments(self, result: str) -> None:
        """Once all is said, or has to be asked anew."""
        with self._table.transaction() as sql:
            sql.execute("DELETE FROM commitments WHERE result = ?", (result,))

    # What people ask for.

    def counts(self) -> dict[str, int]:
        """How many instances are in each state."""
        found = dict(self._read("SELECT state, count(*) FROM instances GROUP BY state"))
        return {state.value: int(found.get(state.value, 0)) for state in State}

    def oldest_waiting(self) -> float | None:
        """When the longest waiting instance was first met; None if nothing waits."""
        states = ("seen", "claimed", "enhanced", "stored")
        return self._read(f"SELECT min(seen) FROM instances WHERE state IN ({_marks(states)})", *states)[0][0]

    def due(self) -> bool:
        """Whether anything could be done now, or will be once its series is complete."""
        return bool(
            self._read(
                "SELECT 1 FROM instances WHERE state IN ('seen', 'claimed', 'enhanced', 'stored') "
                "AND (next_try <= ? OR owner IS NOT NULL) LIMIT 1",
                time.time(),
            )
        )

    def reasons(self, *states: State) -> list[tuple[str, str, int]]:
        """State, reason and number of instances, most first."""
        return self._read(
            f"SELECT state, reason, count(*) AS n FROM instances WHERE state IN ({_marks(states)}) "
            "AND reason != '' GROUP BY state, reason ORDER BY n DESC LIMIT 100",
            *states,
        )

    def rows(self, *states: State, limit: int = 100_000) -> list[Row]:
        """Instances in these states, latest changes first."""
        sql = self._table.connection()
        return self._rows(
            sql.execute(
                f"SELECT {_COLUMNS} FROM instances WHERE state IN ({_marks(states)}) ORDER BY changed DESC LIMIT ?",
                (*states, limit),
            )
        )

    def retry(self, instances: Sequence[str] | None) -> int:
        """Send quarantined instances on their way again, and let those that wait wait no longer.

        Args:
            instances: UIDs; None: all that are in quarantine or wait for their next try.
        """
        chosen = "" if instances is None else f" AND instance IN ({_marks(instances)})"
        arguments = tuple(instances or ())
        with self._table.transaction() as sql:
            again = sql.execute(
                "UPDATE instances SET state = CASE WHEN result_file IS NULL THEN 'seen' ELSE 'enhanced' END, "
                "attempts = 0, delays = 0, next_try = 0, owner = NULL, changed = ?, "
                "rule = CASE WHEN result_file IS NULL THEN NULL ELSE rule END "
                f"WHERE state = 'quarantined'{chosen}",
                (time.time(), *arguments),
            ).rowcount
            sooner = sql.execute(
                "UPDATE instances SET next_try = 0 WHERE state IN ('seen', 'enhanced', 'stored') AND next_try > 0"
                + chosen,
                arguments,
            ).rowcount
        return again + sooner

    # Copies that nobody needs any more.

    def done_with_files(self) -> list[Row]:
        """Instances that are at their end and still have copies here."""
        sql = self._table.connection()
        return self._rows(
            sql.execute(
                f"SELECT {_COLUMNS} FROM instances WHERE state IN ('verified', 'skipped', 'quarantined') "
                "AND (file IS NOT NULL OR result_file IS NOT NULL)"
            )
        )

    def files_removed(self, row: Row, result_too: bool) -> None:
        """Note that the copies of an instance that is at its end are gone."""
        also = ", result_file = NULL" if result_too else ""
        with self._table.transaction() as sql:
            sql.execute(
                f"UPDATE instances SET file = NULL{also} WHERE instance = ? AND state = ?", (row.instance, row.state)
            )

    def files(self) -> set[str]:
        """All copies that are still referred to."""
        found = self._read(
            "SELECT file FROM instances WHERE file IS NOT NULL UNION ALL "
            "SELECT result_file FROM instances WHERE result_file IS NOT NULL UNION ALL "
            "SELECT file FROM tones WHERE file IS NOT NULL"
        )
        return {name for (name,) in found}

    def forget_tones(self, before: float) -> None:
        """Forget what was decided about tones before this time."""
        with self._table.transaction() as sql:
            sql.execute("DELETE FROM tones WHERE made < ?", (before,))

    def check(self) -> str:
        """What SQLite says of the file's consistency: "ok"."""
        return str(self._read("PRAGMA integrity_check")[0][0])

    def _take(self, condition: str, *arguments: Any) -> list[Row]:
        self.put_back(())
        with self._table.transaction() as sql:
            return self._rows(
                sql.execute(
                    "UPDATE instances SET owner = ? WHERE instance IN (SELECT instance FROM instances WHERE owner IS "
                    f"NULL AND next_try <= ? AND {condition}) RETURNING {_COLUMNS}",
                    (self.owner, time.time(), *arguments),
                )
            )

    @staticmethod
    def _free(sql: sqlite3.Connection, owner: str) -> None:
        sql.execute(
            "UPDATE instances SET owner = NULL, state = CASE state WHEN 'claimed' THEN 'seen' ELSE state END "
            "WHERE owner = ?",
            (owner,),
        )
        sql.execute("DELETE FROM workers WHERE owner = ?", (owner,))

    @staticmethod
    def _rows(found: Iterable[tuple[Any, ...]]) -> list[Row]:
        rows = [Row(*values) for values in found]
        return [Row(**{**vars(row), "state": State(row.state)}) for row in rows]

    def _lock_file(self, owner: str) -> Path:
        return self.folder / "workers" / f"{owner}.lock"

    def _read(self, statement: str, *arguments: Any) -> list[Any]:
        return self._table.read(statement, *arguments)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _assignments(values: dict[str, Any]) -> str:
    known = {field.name for field in fields(Row)}
    assert known >= values.keys(), values.keys() - known
    return ", ".join(f"{name} = ?" for name in values)
