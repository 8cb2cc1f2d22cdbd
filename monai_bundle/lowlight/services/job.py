"""A request that is being worked on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lowlight.enhance.watching import Watch
from lowlight.services.requests import Request

_INTERVAL = 0.05  # seconds


class Job:
    """What the work on a request may do: tell how far it is, and find out that it is to stop.

    Args:
        request: what is wanted.
        send: sends a line to the client.

    Attributes:
        watch: for the engine; stops it. slices: how many of how many slices are done, where each is a run of its own.
    """

    def __init__(self, request: Request, send: Callable[[dict[str, Any]], None]) -> None:
        self.request, self._send = request, send
        self.watch = Watch(self._heard)
        self.slices: tuple[int, int] | None = None
        self.started = time.monotonic()
        self._told: tuple[str, float] = ("", 0.0)

    def begin(self) -> None:
        """Its turn has come."""
        self.started = time.monotonic()
        self.watch.check()

    @property
    def seconds(self) -> float:
        """Since its turn came."""
        return round(time.monotonic() - self.started, 3)

    def tell(self, phase: str, done: int, total: int) -> None:
        """Tell the client how far it is, not too often.

        Raises:
            StoppedError: nobody wants it any more.
        """
        self.watch.check()
        now = time.monotonic()
        if phase == self._told[0] and now - self._told[1] < _INTERVAL and done < total:
            return
        self._told = (phase, now)
        self._send({"type": "progress", "id": self.request.id, "phase": phase, "done": done, "total": total})

    def _heard(self, phase: str, done: int, total: int) -> None:
        if self.slices is None:
            self.tell(phase, done, total)
        else:
            # Where each slice is a run of its own, the client hears of slices.
            self.tell("enhancing", *self.slices)
