"""A client of the worker, as the protocol describes one: a real child process, its lines, its files."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

LONGEST = 120.0
"""Seconds after which an answer that does not come is a failure: tests run on small, busy machines."""

Fields = dict[str, Any]


class Worker:
    """A running worker.

    Args:
        arguments: of `lowlight worker`. options: of Popen.
    """

    def __init__(self, *arguments: str | Path, program: list[str] | None = None, **options: Any) -> None:
        command = [*(program or [sys.executable, "-m", "lowlight"]), "worker", *map(str, arguments)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, **options)
        self.log = b""
        self.other: list[Fields] = []
        self._lines: queue.Queue[Fields | None] = queue.Queue()
        self._serial = 0
        self._threads = [threading.Thread(target=act, daemon=True) for act in (self._read, self._read_log)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    def seconds_of_work(self) -> float:
        """What the process has computed so far, in seconds of all processors together."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system) / psutil.cpu_count()

    def hello(self) -> Fields:
        """The first line; from then on arrays can be given."""
        fields = self.next()
        assert fields["type"] == "hello", fields
        self.folder = Path(fields["folder"])
        return fields

    def put(self, array: NDArray[Any]) -> str:
        """Leave an array in the private folder."""
        self._serial += 1
        name = f"in-{self._serial}.npy"
        np.save(self.folder / name, array)
        return name

    def take(self, name: str) -> NDArray[Any]:
        """Read an array that the worker left, and remove it."""
        path = self.folder / name
        array = np.load(path)
        path.unlink()
        return array

    def send(self, kind: str, **fields: Any) -> int:
        """Send a request and return its id."""
        self._serial += 1
        self.send_bytes(json.dumps({"type": kind, "id": self._serial, **fields}).encode() + b"\n")
        return self._serial

    def send_bytes(self, content: bytes) -> None:
        """Send anything."""
        assert self.process.stdin is not None
        self.process.stdin.write(content)
        self.process.stdin.flush()

    def next(self) -> Fields:
        """The next line, whatever it is."""
        fields = self._lines.get(timeout=LONGEST)
        assert fields is not None, f"the worker has ended: {self.log.decode()}"
        return fields

    def until(self, wanted: Callable[[Fields], bool]) -> Fields:
        """The next line that is wanted; the ones before it are kept in `other`."""
        while not wanted(fields := self.next()):
            self.other.append(fields)
        return fields

    def answer(self, number: int | None) -> Fields:
        """The one final answer to a request."""
        return self.until(lambda fields: fields["id"] == number and fields["type"] != "progress")

    def ask(self, kind: str, **fields: Any) -> Fields:
        """Send a request and wait for its final answer."""
        return self.answer(self.send(kind, **fields))

    def enhance(self, array: NDArray[Any], **fields: Any) -> Fields:
        """Have an array enhanced."""
        return self.ask("enhance", array=self.put(array), **fields)

    def progress_of(self, number: int) -> list[Fields]:
        """What was told about a request, among the lines that were met."""
        return [fields for fields in self.other if fields["id"] == number and fields["type"] == "progress"]

    def wait(self) -> int:
        """Wait for the process to end by itself."""
        return self.process.wait(timeout=LONGEST)

    def end(self) -> None:
        """End it by the end of its stdin, and by force if that is not enough."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        # Piece by piece, as it comes.
        while piece := os.read(self.process.stderr.fileno(), 1 << 16):
            self.log += piece
