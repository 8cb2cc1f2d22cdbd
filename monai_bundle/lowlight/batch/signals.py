"""Ctrl-C and termination: they stop a batch at once, but never in the middle of writing a file."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn


class Interruption:
    """Turns the signals of Ctrl-C and termination into `KeyboardInterrupt`, outside of what is held.

    Attributes:
        received: the signal that came first, None as long as none came. It stays set even if a library swallows the
            exception, as some do while they load: whoever runs a batch looks at it between files.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._depth = 0

    @property
    def exit_code(self) -> int:
        """128 + the signal, as shells have it: 130 for Ctrl-C."""
        return 128 + (self.received or signal.SIGINT)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals in this block, where that is possible: only the main thread may."""
        self.received, self._depth = None, 0
        before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # A shell that starts a job in the background has it ignore Ctrl-C, which is meant for others.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, self._receive)
        told = sys.unraisablehook
        # A library that cannot hand it on has it printed with a traceback, which says nothing to anybody.
        sys.unraisablehook = lambda one: None if isinstance(one.exc_value, KeyboardInterrupt) else told(one)
        try:
            yield
        finally:
            sys.unraisablehook = told
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let this block end before a signal takes effect: for the short time in which a result is written."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        self.check()

    def check(self) -> None:
        """Raises KeyboardInterrupt if a signal came that has not ended the work yet."""
        if self.received is not None and not self._depth:
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
        self.check()


interruption = Interruption()
"""The one of this process: signals are the process's too."""


def leave_at_once() -> None:
    """Have Ctrl-C end this process at once, without a word, until `Interruption.caught` takes over.

    For the time in which libraries load and nothing has been written. A `KeyboardInterrupt` there can strike where
    Python or a library swallows it or makes another error of it, or where it leaves a lock of the import system held,
    which a second thread that imports then waits for without end.
    """
    here = threading.current_thread() is threading.main_thread()
    # A shell that starts a job in the background has it ignore Ctrl-C; whoever set another handler wants that.
    if here and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_again() -> None:
    """Undo `leave_at_once`, for a command that meets `KeyboardInterrupt` itself."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)
