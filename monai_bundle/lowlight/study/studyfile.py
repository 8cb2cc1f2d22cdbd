"""A study in its one file: opened, checked, read and written so that a kill at any moment loses nothing confirmed."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lowlight.errors import StudyError
from lowlight.imaging.libraries import one_line
from lowlight.study.schema import APPLICATION, CONTRADICTIONS, FORMAT, TABLES

SUFFIX = ".study"

UNKNOWN = "unknown"
"""Modality of images of which none is known."""

_PATIENCE_MS = 10_000
_ASK_FOR_COPY = "get an undamaged copy of the study, or make it again with the same seed"


@dataclass(frozen=True)
class Version:
    """One version of the images; strengths are None but of enhanced ones."""

    id: int
    name: str
    kind: str
    brightness: float | None
    denoise: float | None
    shown: bool


@dataclass(frozen=True)
class StudyImage:
    """One case: where its file was, its SHA-256 and its kind of image."""

    id: int
    path: str
    sha256: str
    modality: str


@dataclass(frozen=True)
class Item:
    """One thing that a reader is asked: to choose between two versions of an image, or to grade one."""

    id: int
    reader: str
    position: int
    task: str
    image: int
    first: int
    second: int | None
    repeats: int | None

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that are shown, from left to right."""
        return (self.first,) if self.second is None else (self.first, self.second)


class StudyFile:
    """A study file. Use it as a context manager, in one thread.

    Every change is one transaction that is on disk (write-ahead log, synchronous FULL) when the method returns, and is
    in the file itself soon after, so that the file can be copied alone.

    Raises:
        StudyError: there is no such file, it is none, it is damaged, contradicts itself, or comes from a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise StudyError(self.path, "no such study", "check the path, or make one: lowlight study new")
        self._connection = self._opened()
        try:
            self._check()
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(cls, path: Path, facts: dict[str, str]) -> StudyFile:
        """A new, empty study at a path where nothing is yet (a temporary name, say)."""
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.executescript(
                f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; BEGIN; {TABLES} COMMIT;"
            )
            connection.executemany("INSERT INTO study VALUES (?, ?)", sorted(facts.items()))
        finally:
            connection.close()
        return cls(path)

    def _opened(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=_PATIENCE_MS / 1000)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA schema_version")  # reads the header: a file that is no database says so here
            return connection
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from None

    def _check(self) -> None:
        application = self.value("PRAGMA application_id")
        found = self.value("PRAGMA user_version")
        if application != APPLICATION:
            raise StudyError(self.path, "is no reader study", "name a file that `lowlight study new` made")
        if found > FORMAT:
            fault = f"comes from a newer version (format {found}; this one knows {FORMAT})"
            raise StudyError(self.path, fault, "update LowLightEnhance; nothing was changed")
        if self.value("PRAGMA quick_check(1)") != "ok":
            raise StudyError(self.path, "is damaged", _ASK_FOR_COPY)
        self._check_consistency()
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            # A folder that may not be written to: reports can be made of it all the same.
            self._connection.execute("PRAGMA query_only = ON")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")

    def _check_consistency(self) -> None:
        for broken in self.rows("PRAGMA foreign_key_check"):
            article = "an" if str(broken["parent"]).startswith(("a", "i")) else "a"
            named = f"its table {broken['table']} names {article} {broken['parent']} that is not there"
            raise StudyError(self.path, f"contradicts itself: {named}", _ASK_FOR_COPY)
        for what, query in CONTRADICTIONS.items():
            if self.value(f"SELECT EXISTS ({query})"):
                raise StudyError(self.path, f"contradicts itself: {what}", _ASK_FOR_COPY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing is lost without."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """The rows of a query.

        Raises:
            StudyError: the file is damaged or cannot be read any more.
        """
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error

    def value(self, query: str, *values: Any) -> Any:
        """The first column of the first row of a query; None if there is no row."""
        rows = self.rows(query, *values)
        return rows[0][0] if rows else None

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is on disk when the block ends, nothing of it when it fails.

        Raises:
            StudyError: the file cannot be written.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error

    def fact(self, key: str, default: str = "") -> str:
        """What the study says of itself: title, seed, created, model, weights_sha256, simulated."""
        found = self.value("SELECT value FROM study WHERE key = ?", key)
        return default if found is None else str(found)

    @property
    def simulated(self) -> bool:
        """Whether its answers come from simulated readers."""
        return self.fact("simulated") == "1"

    @property
    def versions(self) -> dict[int, Version]:
        """All versions by their id."""
        rows = self.rows("SELECT * FROM version ORDER BY id")
        return {
            row["id"]: Version(
                row["id"], row["name"], row["kind"], row["brightness"], row["denoise"], bool(row["shown"])
            )
            for row in rows
        }

    @property
    def images(self) -> dict[int, StudyImage]:
        """All images by their id."""
        rows = self.rows("SELECT * FROM image ORDER BY id")
        return {row["id"]: StudyImage(row["id"], row["path"], row["sha256"], row["modality"]) for row in rows}

    @property
    def readers(self) -> list[str]:
        """The ids of all readers."""
        return [row["id"] for row in self.rows("SELECT id FROM reader ORDER BY rowid")]

    def progress(self) -> list[tuple[str, int, int]]:
        """How far every reader is: (id, items answered, items in all)."""
        rows = self.rows(
            "SELECT reader.id AS id, count(answer.id) AS done, count(item.id) AS total FROM reader "
            "LEFT JOIN item ON item.reader = reader.id "
            "LEFT JOIN answer ON answer.item = item.id AND undone IS NULL "
            "GROUP BY reader.id ORDER BY reader.rowid"
        )
        return [(row["id"], row["done"], row["total"]) for row in rows]

    def items(self, reader: str | None = None) -> list[Item]:
        """The items of a reader, or of all, in their order."""
        query = "SELECT id, reader, position, task, image, first, second, repeats FROM item"
        if reader is None:
            return [Item(*row) for row in self.rows(f"{query} ORDER BY id")]
        return [Item(*row) for row in self.rows(f"{query} WHERE reader = ? ORDER BY position", reader)]

    def picture(self, image: int, version: int) -> bytes:
        """The PNG of an image in a version.

        Raises:
            StudyError: it is missing or not the one that the study was made with.
        """
        rows = self.rows("SELECT sha256, png FROM picture WHERE image = ? AND version = ?", image, version)
        if not rows:
            raise StudyError(self.path, f"the picture of image {image}, version {version} is missing", _ASK_FOR_COPY)
        png = bytes(rows[0]["png"])
        if hashlib.sha256(png).hexdigest() != rows[0]["sha256"]:
            fault = f"the picture of image {image}, version {version} is not the one that the study was made with"
            raise StudyError(self.path, fault, _ASK_FOR_COPY)
        return png

    def check_pictures(self) -> None:
        """Make sure that every picture that will be shown is there and as it was.

        Raises:
            StudyError: one is not, or there is nothing to show.
        """
        needed = self.rows(
            "SELECT DISTINCT image, first AS version FROM item UNION SELECT image, second FROM item "
            "WHERE second IS NOT NULL"
        )
        if not needed:
            raise StudyError(self.path, "holds no items to read", "make it again with images and versions")
        for image, version in needed:
            self.picture(image, version)

    def _refused(self, error: sqlite3.Error) -> StudyError:
        text = one_line(error)
        if "locked" in text or "busy" in text:
            return StudyError(self.path, "is being written by another program", "try again in a moment")
        if "full" in text:
            return StudyError(self.path, "cannot be written, the disk is full", "free some space and answer again")
        if "readonly" in text:
            return StudyError(self.path, "may not be written to", "change its permissions or copy it elsewhere")
        if "not a database" in text:
            return StudyError(self.path, "is no reader study", "name a file that `lowlight study new` made")
        return StudyError(self.path, f"cannot be used ({text})", _ASK_FOR_COPY)
