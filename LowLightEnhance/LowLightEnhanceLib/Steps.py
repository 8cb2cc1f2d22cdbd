"""Long work in short steps from the event loop, so that the window never waits."""

import time

import qt

BUDGET = 0.015
"""Seconds of work before the window gets its turn."""


class Steps:
    """Runs a generator a few steps at a time.

    Threads are no way out here: Slicer's event loop holds the interpreter's lock between Python calls.

    Args:
        work: generator; each step should take a few milliseconds.
        done: called when it has ended. failed: called with the exception that ended it.
    """

    def __init__(self, work, done, failed):
        self._work, self._done, self._failed = work, done, failed
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._step)
        self._timer.start()

    def cancel(self):
        """Stop where it is; neither `done` nor `failed` is called. The generator's `finally` runs."""
        self._timer.stop()
        self._work.close()

    def _step(self, *_unused):
        until = time.perf_counter() + BUDGET
        try:
            while time.perf_counter() < until:
                next(self._work)
        except StopIteration:
            self._timer.stop()
            self._done()
        except Exception as error:
            self._timer.stop()
            self._failed(error)
