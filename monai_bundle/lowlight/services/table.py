"""One SQLite file that outlives crashes, in which every step is one transaction."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from lowlight.errors import InputError

_BUSY = 30.0


class Table:
    """A file with tables, as the threads of one process see it; opened when it is first used.

    Args:
        file: where it is; made for its owner alone.
        journal: WAL lets others write meanwhile, on a disk of this machine; TRUNCATE works on shares, too.
        cache: megabytes that each connection keeps in memory at most.
    """

    def __init__(self, file: Path, journal: Literal["WAL", "TRUNCATE"] = "WAL", cache: int = 2) -> None:
        self.file, self._journal, self._cache = file, journal, cache
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()

    def make(self, schema: str, version: int) -> None:
        """Make what is missing of the tables.

        Raises:
            InputError: they have another version.
            sqlite3.DatabaseError: the file is none of SQLite; its subclass OperationalError: it cannot be written.
        """
        with self.transaction() as sql:
            (found,) = sql.execute("PRAGMA user_version").fetchone()
            if found not in (0, version):
                raise InputError(self.file, f"has version {found} of the table", "use the release that made it")
            for statement in filter(str.strip, schema.split(";")):
                sql.execute(statement)
            sql.execute(f"PRAGMA user_version = {version:d}")

    def read(self, statement: str, *arguments: Any) -> list[Any]:
        """All rows that a statement gives."""
        return self.connection().execute(statement, arguments).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing of it, on disk when it ends."""
        sql = self.connection()
        sql.execute("BEGIN IMMEDIATE")
        try:
            yield sql
            sql.execute("COMMIT")
        except BaseException:
            # A full disk has rolled it back already.
            if sql.in_transaction:
                with suppress(sqlite3.Error):
                    sql.execute("ROLLBACK")
            raise

    def connection(self) -> sqlite3.Connection:
        """That of this thread."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self.file, timeout=_BUSY, isolation_level=None, check_same_thread=False)
            if os.name != "nt":
                self.file.chmod(0o600)
            found.execute(f"PRAGMA journal_mode = {self._journal}")
            # What a transaction says was done must survive a power cut.
            found.execute("PRAGMA synchronous = FULL")
            found.execute(f"PRAGMA cache_size = {-1000 * self._cache:d}")
            self._local.connection = found
            with self._guard:
                self._open.append(found)
        return found

    def close(self) -> None:
        """Close the file in all threads."""
        with self._guard:
            for connection in self._open:
                with suppress(sqlite3.Error):
                    connection.close()
            self._open.clear()
        self._local = threading.local()
