"""Requests that wait for their turn, and the thread that does them one after the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from lowlight.services.job import Job


class Lane(threading.Thread):
    """Does jobs one at a time, in their order.

    Args:
        name: of the thread.
        work: does a job, and raises nothing.
        leave: called last of all in the thread, once it is closed.
    """

    def __init__(self, name: str, work: Callable[[Job], None], leave: Callable[[], None] = lambda: None) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self._leave = work, leave
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._running: Job | None = None
        self._closed = False

    def put(self, job: Job) -> None:
        """Let a job wait for its turn."""
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()

    def withdraw(self, wanted: Callable[[Job], bool]) -> list[Job]:
        """Take jobs out that still wait."""
        with self._changed:
            out = [job for job in self._waiting if wanted(job)]
            self._waiting = deque(job for job in self._waiting if job not in out)
        return out

    def running(self) -> Job | None:
        """The job that is being done."""
        with self._changed:
            return self._running

    def close(self) -> None:
        """End the thread when the running job is done."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()

    def run(self) -> None:
        """The thread."""
        while True:
            with self._changed:
                self._running = None
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    break
                job = self._running = self._waiting.popleft()
            self._work(job)
        self._leave()
