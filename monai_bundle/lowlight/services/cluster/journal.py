"""What a worker leaves of a chunk that it does not end: lines in a file, which the next one reads.

A result is whole on disk before its line is written, with its hash, and gets its name after that: whoever finds the
line and a file of that hash under that name knows that the entry is done, and need not do it again. An entry that was
begun and has no such line was in hands when the worker died.
"""

from __future__ import annotations

import errno
import hashlib
import json
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lowlight.errors import OutputError
from lowlight.services.cluster import places
from lowlight.services.cluster.ledger import FOLDER, State, Verdict

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""Errors after which no other result can be written either."""


def folder_of(output: Path, chunk: int) -> Path:
    """Where the journals of a chunk lie."""
    return output / FOLDER / "chunks" / f"{chunk // 1000:06}" / f"{chunk:09}"


class Journal:
    """The file of one attempt at a chunk.

    Args:
        output: folder of the results. chunk: its number.
        submission: by whom the attempt was asked for; attempts of one submission follow upon each other's death.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, output: Path, chunk: int, submission: str) -> None:
        self._output = output
        folder = folder_of(output, chunk)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._stream = (folder / f"{submission}.{secrets.token_hex(8)}.jsonl").open("xb", buffering=0)
        except OSError as error:
            raise self._not_kept(error) from error

    def close(self) -> None:
        """End the attempt."""
        self._stream.close()

    def begin(self, entries: Iterable[int]) -> None:
        """These entries are worked on together from now on."""
        self._write({"begin": list(entries)})

    def ready(self, verdict: Verdict, file: Path) -> None:
        """The result of an entry is whole, and gets its name next."""
        self._write({"ready": asdict(verdict), "sha256": digest(file)})

    def end(self, verdict: Verdict) -> None:
        """An entry has come to its end without a result."""
        self._write({"end": asdict(verdict)})

    def _write(self, content: dict[str, Any]) -> None:
        line = json.dumps(content, ensure_ascii=True).encode() + b"\n"
        try:
            if self._stream.write(line) != len(line):
                raise OSError(errno.ENOSPC, "it is full")
        except OSError as error:
            raise self._not_kept(error) from error

    def _not_kept(self, error: OSError) -> OutputError:
        return OutputError(self._output, f"nothing can be written ({error.strerror or error})", "free some space")


@dataclass
class Left:
    """What earlier attempts at a chunk have left.

    Attributes:
        verdicts: of entries that have come to their end, by number. Results are there and are what they were.
        deaths: how often an entry was in hands when its worker died.
    """

    verdicts: dict[int, Verdict] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)


def left(output: Path, chunk: int, submission: str, lost: Iterable[str]) -> Left:
    """Read what earlier attempts at a chunk have left.

    Args:
        output, chunk: as for `Journal`.
        submission: of this attempt. Earlier attempts for it have died: otherwise there would be no further one.
        lost: other submissions whose attempts were seen to die. What others left in hands, they gave up.
    """
    found, died = Left(), {submission, *lost}
    files: list[Path] = []
    with suppress(OSError):
        files = sorted(folder_of(output, chunk).glob("*.jsonl"))
    for file in files:
        begun: set[int] = set()
        for content in _lines(file):
            if "begin" in content:
                begun |= set(content["begin"])
                continue
            said = content.get("end") or content["ready"]
            verdict = Verdict(**{**said, "state": State(said["state"]), "known": True})
            if "end" in content or _is_there(output, verdict, content["sha256"]):
                begun.discard(verdict.number)
                found.verdicts[verdict.number] = verdict
        if file.name.partition(".")[0] in died:
            found.deaths.update(begun)
    return found


def unfinished(output: Path) -> Iterator[int]:
    """Chunks of which journals are left."""
    for folder in sorted(folder_of(output, 0).parent.parent.glob("*/*")):
        if folder.name.isdigit():
            yield int(folder.name)


def forget(output: Path, chunk: int) -> None:
    """Remove the journals of a chunk, once all of it is in the ledger."""
    folder = folder_of(output, chunk)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def size(output: Path, chunk: int) -> int:
    """Bytes of all journals of a chunk: grows when something is begun."""
    total = 0
    with suppress(OSError):
        for file in folder_of(output, chunk).iterdir():
            total += file.stat().st_size
    return total


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_there(output: Path, verdict: Verdict, sha256: str) -> bool:
    try:
        return verdict.result is not None and digest(places.below(output, verdict.result)) == sha256
    except OSError:
        return False


def _lines(file: Path) -> Iterable[dict[str, Any]]:
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        # The last one may be torn.
        with suppress(ValueError):
            yield json.loads(line)
