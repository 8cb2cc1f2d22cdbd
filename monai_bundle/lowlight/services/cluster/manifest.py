"""Which files an archive consists of: a folder, or a list of paths, read as a stream."""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lowlight.errors import InputError
from lowlight.imaging.collecting import collect

_COLUMNS = ("path", "file", "filename", "image")


@dataclass(frozen=True)
class Manifest:
    """What the user named.

    Attributes:
        file: a folder, a text file with one path a line, or a .csv file with a column of them: "path" (or "file",
            "filename", "image") if its first line names it, else the first; columns are divided by commas, or by
            semicolons if the first line, so divided, names one of these. Paths in a list are relative to its folder.
    """

    file: Path

    @classmethod
    def of(cls, file: Path) -> Manifest:
        """From a path.

        Raises:
            InputError: it is not there, may not be read, or is no list.
        """
        try:
            if not file.is_dir():
                with file.open("rb") as stream:
                    start = stream.read(4096)
                if b"\0" in start:
                    raise InputError(
                        file, "is no list of paths", "name a folder, or a text or CSV file with one path a line"
                    )
        except OSError as error:
            raise InputError(file, f"cannot be read ({error.strerror or error})", "check path and rights") from None
        return cls(file)

    @property
    def is_folder(self) -> bool:
        """Whether files are met, not named one by one: then those that are no images are skipped, not refused."""
        return self.file.is_dir()

    def version(self) -> str | None:
        """Changes when the list does; None for a folder, which has to be looked through to know."""
        if self.is_folder:
            return None
        status = self.file.stat()
        return f"{status.st_size} {status.st_mtime_ns}"

    def paths(self) -> Iterator[Path]:
        """All paths, absolute, in their order; a folder's without hidden ones.

        Raises:
            InputError: a line is none; the folder cannot be listed.
        """
        if self.is_folder:
            for found in collect([self.file]):
                if found.fault is not None and found.explicit:
                    raise found.fault
                yield _absolute(found.path)
            return
        folder = _absolute(self.file).parent
        for number, line in self._lines():
            if "\0" in line:
                raise InputError(self.file, f"line {number} is no path", "name one path a line")
            yield _absolute(folder / line)

    def root(self) -> Path:
        """The folder that all paths share."""
        if self.is_folder:
            return _absolute(self.file)
        root: str | None = None
        for path in self.paths():
            folder = str(path.parent)
            if root is None:
                root = folder
            elif folder != root and not folder.startswith(os.path.join(root, "")):  # noqa: PTH118
                try:
                    root = os.path.commonpath((root, folder))
                except ValueError:
                    # Two drives.
                    root = path.anchor
        return _absolute(self.file).parent if root is None else Path(root)

    def _lines(self) -> Iterator[tuple[int, str]]:
        # Bytes that are no text belong to names of files, and stay what they are.
        with self.file.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            if stream.read(1) != codecs.BOM_UTF8.decode():
                stream.seek(0)
            if self.file.suffix.lower() != ".csv":
                for number, line in enumerate(stream, 1):
                    if path := line.rstrip("\r\n"):
                        yield number, path
                return
            start = stream.tell()
            delimiter = _delimiter(stream)
            stream.seek(start)
            yield from self._cells(csv.reader(stream, delimiter=delimiter))

    def _cells(self, rows: Iterable[list[str]]) -> Iterator[tuple[int, str]]:
        column = 0
        try:
            for number, row in enumerate(rows, 1):
                if number == 1 and (named := _named(row)):
                    column = named[0]
                    continue
                if len(row) > column and row[column]:
                    yield number, row[column]
        except csv.Error as error:
            raise InputError(self.file, f"is no CSV ({error})", "write one path a line") from None


def _delimiter(lines: Iterable[str]) -> str:
    """Semicolons are what spreadsheets write where the comma is the decimal sign; paths may hold them, too."""
    try:
        head = next(csv.reader(lines, delimiter=";"), [])
    except csv.Error:
        return ","
    return ";" if _named(head) else ","


def _named(row: list[str]) -> list[int]:
    """Which columns a head names as those of paths."""
    heads = [cell.strip().lower() for cell in row]
    return [heads.index(name) for name in _COLUMNS if name in heads]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  (links stay links: two links are two inputs)
