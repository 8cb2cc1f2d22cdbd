"""JSON lines on stdin and stdout, and nothing else there."""

from __future__ import annotations

import json
import math
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

LONGEST_LINE = 4 << 20
"""Bytes of a request at most."""

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_PIECE = 1 << 16


class Channel:
    """The two ends of the conversation, by their file descriptors.

    Args:
        incoming, outgoing: taken over.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._lock = threading.Lock()

    @classmethod
    def of_process(cls) -> Channel:
        """Take stdin and stdout over, so that neither a library nor a child process can read or write there: what is
        printed goes to stderr, and what is read is nothing."""
        sys.stdout.flush()
        channel = cls(os.dup(_STDIN), os.dup(_STDOUT))
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, _STDIN)
        os.close(nothing)
        os.dup2(_STDERR, _STDOUT)
        if sys.platform == "win32":
            import msvcrt

            for descriptor in (channel._incoming, channel._outgoing):
                msvcrt.setmode(descriptor, os.O_BINARY)
        return channel

    def lines(self) -> Iterator[bytes | None]:
        """Lines as they come in, without their end, until nobody can send any more; None for one that is too long."""
        pending, too_long = bytearray(), False
        while piece := self._read():
            *ended, rest = piece.split(b"\n")
            for part in ended:
                pending += part
                if too_long or len(pending) > LONGEST_LINE:
                    yield None
                elif pending.strip():
                    yield bytes(pending)
                pending, too_long = bytearray(), False
            pending += rest
            if len(pending) > LONGEST_LINE:
                # What is too long is not kept; its end is still waited for.
                pending, too_long = bytearray(), True

    def _read(self) -> bytes:
        try:
            return os.read(self._incoming, _PIECE)
        except OSError:
            return b""

    def send(self, fields: dict[str, Any]) -> None:
        """Send one answer, from any thread.

        Raises:
            OSError: nobody can receive any more.
        """
        # ASCII: file names that are no Unicode pass as escapes.
        line = json.dumps(_plain(fields), allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock:
            view = memoryview(line)
            while view:
                view = view[os.write(self._outgoing, view) :]


def _plain(value: Any) -> Any:
    """What JSON can say: NaN and infinities, which mean that something is not known, become null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
