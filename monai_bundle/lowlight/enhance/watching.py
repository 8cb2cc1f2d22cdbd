"""Following a run of the engine, and ending it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from lowlight.errors import StoppedError

Phase = Literal["judging", "tone", "enhancing"]
"""What a run does: judges whether anything is to be done; decides the tone of frames, or of one that is done in tiles;
enhances frames, or the tiles of one."""


class Watch:
    """Hears how far a run is, and can end it from another thread. For one run.

    Args:
        heard: called with (phase, parts done, parts in all), by the thread that runs; what it raises ends the run.
    """

    def __init__(self, heard: Callable[[Phase, int, int], None] | None = None) -> None:
        self._heard = heard
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None

    @classmethod
    def of_progress(cls, progress: Callable[[int, int], None] | None) -> Watch:
        """For who wants to know no more than (parts done, parts in all) of the enhancement itself."""
        if progress is None:
            return cls()
        return cls(lambda phase, done, total: progress(done, total) if phase == "enhancing" else None)

    def stop(self) -> None:
        """End the run as soon as it can be, from any thread; it raises `StoppedError`."""
        self._stopped.set()
        with self._lock:
            if self._end is not None:
                self._end()

    @property
    def stopped(self) -> bool:
        """Whether somebody wants the run to end."""
        return self._stopped.is_set()

    def check(self) -> None:
        """Raises `StoppedError` if somebody wants the run to end."""
        if self.stopped:
            raise StoppedError("stopped, as asked for")

    def tell(self, phase: Phase, done: int, total: int) -> None:
        """Called by the run after each part."""
        self.check()
        if self._heard is not None:
            self._heard(phase, done, total)

    def parts(self, phase: Phase) -> Callable[[int, int], None]:
        """`tell` for one phase."""
        return lambda done, total: self.tell(phase, done, total)

    @contextmanager
    def ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """A block that takes long, and that `end`, called from another thread, makes fail soon."""
        with self._lock:
            outer, self._end = self._end, end
        try:
            self.check()
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._end = outer
