"""Noticing that the parent process has gone, even if another process holds our stdin open."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

_INTERVAL = 0.5  # seconds


def when_parent_dies(act: Callable[[], None]) -> None:
    """Have a thread of its own call `act` once the process that started this one has ended, in whatever way."""
    parent = os.getppid()
    threading.Thread(target=_wait, args=(parent, act), name="parent", daemon=True).start()


def _wait(parent: int, act: Callable[[], None]) -> None:
    if sys.platform == "win32":
        _wait_on_windows(parent)
    else:
        # An orphan is given to another process.
        while os.getppid() == parent:
            time.sleep(_INTERVAL)
    act()


def _wait_on_windows(parent: int) -> None:
    import ctypes

    synchronize, forever = 0x00100000, 0xFFFFFFFF
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(synchronize, False, parent)
    if not handle:
        # It ended before we asked, or may not be watched: then the end of stdin has to do.
        threading.Event().wait()
    kernel.WaitForSingleObject(ctypes.c_void_p(handle), forever)
