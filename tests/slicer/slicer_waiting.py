"""Waiting in the event loop, outside of pytest."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6 import QtCore


def until(condition: Callable[[], bool], seconds: float = 120) -> float:
    """Keep the event loop going until a condition holds; the seconds that took.

    A loop of its own, since QApplication.processEvents with a time limit loses a reference to None at each call
    (PySide6 6.12), which after some thousands ends Python.
    """
    started = time.perf_counter()
    loop, timer = QtCore.QEventLoop(), QtCore.QTimer()

    def look() -> None:
        if condition() or time.perf_counter() - started > seconds:
            loop.quit()

    timer.timeout.connect(look)
    timer.start(2)
    if not condition():
        loop.exec()
    timer.stop()
    assert condition(), f"nothing came in {seconds} s"
    return time.perf_counter() - started
