"""DICOM files are parsed and decoded in a process of their own, which may run out of memory or time without harm.

The process is started when the first file is met, and serves one file after the other. One that hangs, crashes or asks
for too much costs itself and that file.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from lowlight.errors import DependencyError, InputError, LimitError, NotAnImageError
from lowlight.imaging.dicom_contents import Decoded, Described, Outline
from lowlight.imaging.limits import WAITING, Limits, way_out

_MODULE = "lowlight.imaging.decoding_process"
# The signal that ends a process which has used up its processor time; None where systems do not limit that.
_TIME_IS_UP: int | None = getattr(signal, "SIGXCPU", None)
# Loading the libraries takes a second, or half a minute on a busy old machine; that is not the fault of any file.
_SECONDS_TO_START = 120


def decode(path: Path, limits: Limits, any_modality: bool) -> Decoded:
    """`lowlight.imaging.dicom_decoding.decode`, in the other process.

    Raises:
        NotAnImageError, InputError: as there.
        LimitError: the other process ran out of memory or time, or crashed.
    """
    decoded: Decoded = _process.ask("decode", path, limits, any_modality)
    return decoded


def describe(path: Path, limits: Limits) -> Described:
    """`lowlight.imaging.dicom_decoding.describe`, in the other process; raises as `decode`."""
    described: Described = _process.ask("describe", path, limits)
    return described


def outline(path: Path, limits: Limits) -> Outline:
    """`lowlight.imaging.dicom_decoding.outline`, in the other process; raises as `decode`."""
    outlined: Outline = _process.ask("outline", path, limits)
    return outlined


def interrupt() -> None:
    """Have a file that is being decoded by another thread fail at once. The next one gets a new process."""
    _process.interrupt()


class _DecodingProcess:
    """The other process, as seen from here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def ask(self, task: Literal["decode", "describe", "outline"], path: Path, limits: Limits, *arguments: Any) -> Any:
        """Have a task done and return its answer, or raise what it raised."""
        with self._lock:
            child = self._running()
            late = threading.Event()
            patience = limits.seconds_for(path) * (WAITING if _TIME_IS_UP else 1)
            timer = threading.Timer(patience, self._end_late, (child, late))
            timer.start()
            try:
                assert child.stdin is not None
                assert child.stdout is not None
                pickle.dump((task, path, limits, arguments), child.stdin)
                child.stdin.flush()
                answer = _answer(child.stdout)
            except (EOFError, OSError, pickle.UnpicklingError):
                with suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=1)
                code = child.returncode
                self.stop()
                raise _ended(
                    path, limits, code, late.is_set() or (_TIME_IS_UP is not None and code == -_TIME_IS_UP)
                ) from None
            except BaseException:
                # An interrupt in the middle of an answer: the rest of it would be taken for the next.
                self.stop()
                raise
            finally:
                timer.cancel()
        kind, content = answer
        if kind == "done":
            return content
        if kind == "memory":
            self.stop()
            raise LimitError(path, f"needs more than {limits.memory / 1e6:g} MB to be decoded", way_out("memory"))
        if kind == "NotAnImageError":
            raise NotAnImageError(path, content[0], content[1], beside_images=True)
        raise InputError(path, content[0], content[1])

    def stop(self) -> None:
        """End the process, if there is one and it is ours."""
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()

    def interrupt(self) -> None:
        """End the process without waiting for what it does."""
        child = self._child
        if child is not None and self._owner == os.getpid():
            child.kill()
            # Only then is it seen to have ended, and the next file not given to it.
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=1)

    @staticmethod
    def _end_late(child: subprocess.Popen[bytes], late: threading.Event) -> None:
        late.set()
        child.kill()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():
            # After a fork the pipes belong to the parent.
            self._owner, self._child = os.getpid(), None
        if self._child is None or self._child.poll() is not None:
            self._child = _started()
        return self._child


def _started() -> subprocess.Popen[bytes]:
    """The process, once it is ready: how long that takes is not counted as any file's time."""
    child = _spawned()
    timer = threading.Timer(_SECONDS_TO_START, child.kill)
    timer.start()
    try:
        # It takes as long to load as this process, which will want the same library for its answers.
        import pydicom  # noqa: F401

        assert child.stdout is not None
        pickle.load(child.stdout)
    except BaseException as error:
        child.kill()
        child.wait()
        if isinstance(error, (EOFError, OSError, pickle.UnpicklingError)):
            fault = f"ends before it is ready (exit code {child.returncode})"
            raise DependencyError(f"{sys.executable}: the process that decodes DICOM {fault}") from None
        raise
    finally:
        timer.cancel()
    return child


def _spawned() -> subprocess.Popen[bytes]:
    package = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
    # One thread: what one file may use of the machine should not depend on the number of cores.
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        return subprocess.Popen(
            # -P: a file called pydicom.py in the folder of the images must not be imported.
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError as error:
        reason = error.strerror or error
        raise DependencyError(
            f"{sys.executable}: the process that decodes DICOM cannot be started ({reason})"
        ) from error


def _answer(pipe: IO[bytes]) -> tuple[str, Any]:
    """One answer. Pixels come behind it as they lie in memory, not pickled, so that they are never held twice."""
    kind, content = pickle.load(pipe)
    if kind != "pixels":
        return kind, content
    dtype, shape, decoded = content
    stored = np.empty(shape, dtype)
    view = memoryview(stored.reshape(-1).view(np.uint8).data)
    while view:
        count = pipe.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        view = view[count:]
    return "done", Decoded(stored=stored, **decoded)


def _ended(path: Path, limits: Limits, code: int | None, late: bool) -> LimitError:
    if late:
        return LimitError(path, f"takes longer than {limits.seconds_for(path):g} s to decode", way_out("seconds"))
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return LimitError(path, f"makes a decoder crash ({how})", "export it again from where it came")


_process = _DecodingProcess()
atexit.register(_process.stop)
