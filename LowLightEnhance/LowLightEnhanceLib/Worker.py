"""The worker seen from Slicer: a child process that holds the network, spoken to in JSON lines (docs/worker.md)."""

import contextlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import qt
from slicer.i18n import tr as _

from . import Environment, ProcessTree
from .Problems import Problem, cancelled, endedWhileStarting, notWritten, workerEnded

PROTOCOL = 1
VERSION = "0.1.0"
"""Of this module; worker and module are of the same version up to the last number."""
PATIENCE = 500
"""Milliseconds that a cancelled job has to end by itself, before the worker is killed with all below it."""
_PREFIX = "lowlight-slicer-"
_YOUNG = 600
"""Seconds in which the folder of a worker that is just starting may be empty."""
FAREWELL = 1000
"""Milliseconds that a worker has to end by itself, once it was sent away."""
START_LIMIT = 180_000
"""Milliseconds within which a worker has to say hello."""


@dataclass
class _Request:
    answered: Callable[[dict], None]
    failed: Callable[[Problem], None]
    progressed: Optional[Callable[[dict], None]] = None
    overdue: Optional[Any] = None


class Worker:
    """Starts the worker when it is first needed, keeps it warm, and starts it anew after it has ended.

    Attributes:
        generation: counts started processes: what an earlier one kept is gone.
        hello: the last greeting, {} before the first.
        folder: where arrays are exchanged with the present process.
        log: called with each line that is worth showing.
    """

    def __init__(self, log=lambda text: None, command=None):
        self.generation, self.hello, self.folder, self.log = 0, {}, None, log
        self._command = command
        self._process, self._temporary, self._started = None, None, None
        self._waiting, self._requests, self._next = [], {}, 1
        self._buffer, self._errors, self._leaving = b"", "", []

    @property
    def running(self):
        """Whether there is a process."""
        return self._process is not None

    @property
    def processId(self):
        """Number of the process; 0: none."""
        return self._process.processId() if self.running else 0

    def whenReady(self, ready, failed):
        """Call `ready` once the worker has said hello, starting it if need be; `failed` with why it did not."""
        if self.running and self.folder and not self.folder.exists():
            # Systems clean up their temporary files; without its folder this process is of no use.
            self.kill()
        if self.running and self.folder and not self._cancelling:
            ready()
            return
        self._waiting.append((ready, failed))
        if not self.running:
            self._start()

    @property
    def _cancelling(self):
        """Whether a job is still to end that was cancelled: it may take the process with it."""
        return any(request.overdue is not None for request in self._requests.values())

    def request(self, kind, fields, answered, failed, progressed=None):
        """Send one request to the worker and return its number; exactly one of the callbacks ends it.

        The worker may have ended since it was ready: then `failed` is called, once this has returned.
        """
        number = self._next
        self._next += 1
        if self._process is None:
            qt.QTimer.singleShot(0, lambda: failed(workerEnded()))
            return number
        try:
            line = _line({"type": kind, "id": number, **fields})
        except (TypeError, ValueError) as error:
            problem = Problem(
                "bad-request",
                _("This cannot be asked of the enhancer: {reason}.").format(reason=error),
                _("Use texts, finite numbers, and True or False."),
            )
            qt.QTimer.singleShot(0, lambda: failed(problem))
            return number
        self._requests[number] = _Request(answered, failed, progressed)
        self._process.write(line)
        return number

    def cancel(self, number):
        """End a job: by asking, and if it has not ended soon, by killing the worker and its children."""
        request = self._requests.get(number)
        if request is None or request.overdue is not None:
            return
        request.overdue = qt.QTimer()
        request.overdue.setSingleShot(True)
        request.overdue.connect("timeout()", self._killOverdue)
        request.overdue.start(PATIENCE)
        self._send({"type": "cancel", "id": f"cancel-{number}", "job": number})

    def kill(self, *_unused):
        """End the worker and all below it at once. Whatever was asked of it fails as cancelled."""
        if self.running:
            ProcessTree.kill(self.processId)
            self._ended(cancelled())

    def _killOverdue(self, *_unused):
        """A job did not end when it was asked to. Who waits for the next one gets a new worker."""
        waiting, self._waiting = self._waiting, []
        self.kill()
        for ready, failed in waiting:
            self.whenReady(ready, failed)

    def stop(self):
        """Send the worker away, and return at once: what is asked from now on goes to a new one."""
        if not self.running:
            return
        self._send({"type": "quit", "id": "quit"})
        leaving = _Leaving(self._process, self._temporary, self._leaving.remove)
        self._leaving.append(leaving)
        leaving.begin()
        self._process = self._temporary = None
        self._forget(cancelled())

    def close(self):
        """Send the worker away and see it off, in a second at most: Slicer closes."""
        self.stop()
        until = time.monotonic() + FAREWELL / 1000
        for leaving in list(self._leaving):
            leaving.wait(max(0, until - time.monotonic()))

    # Starting and ending

    def _start(self):
        try:
            program, *arguments = self._command or self._defaultCommand()
            _sweep()
            self._temporary = tempfile.mkdtemp(prefix=_PREFIX)
        except (Problem, OSError) as error:
            problem = error if isinstance(error, Problem) else notWritten(error)
            # Not from here: whoever asks must have got back before being told.
            qt.QTimer.singleShot(0, lambda: self._refuse(problem))
            return
        self.generation += 1
        self._buffer, self._errors, self.folder = b"", "", None
        process = self._process = qt.QProcess()
        process.setProcessEnvironment(Environment.workerEnvironment())
        process.connect("readyReadStandardOutput()", lambda *_unused: self._read(process))
        process.connect("readyReadStandardError()", lambda *_unused: self._readErrors(process))
        process.connect("finished(int,QProcess::ExitStatus)", lambda *_unused: self._finished(process))
        process.connect(
            "errorOccurred(QProcess::ProcessError)", lambda error, *_unused: self._failedToStart(process, error)
        )
        self.log(_("Starting the enhancer…"))
        self._started = qt.QTimer()
        self._started.setSingleShot(True)
        self._started.connect("timeout()", self.kill)
        self._started.start(START_LIMIT)
        process.start(program, [*arguments, "--temporary", self._temporary])

    @staticmethod
    def _defaultCommand():
        command = Environment.workerCommand()
        if command is None:
            raise Problem(
                "not-installed",
                _("The folder monai_bundle, which holds the network, is not beside this module."),
                _("Install the extension again, or use the whole repository."),
            )
        return command

    def _failedToStart(self, process, error):
        # Of all other errors, `finished` tells.
        if process is self._process and error == qt.QProcess.FailedToStart:
            self._ended(
                Problem(
                    "not-installed",
                    _("Python for the enhancer could not be started: {reason}.").format(reason=process.errorString()),
                    _("Choose another Python under Settings, or clear that field to use Slicer's own."),
                )
            )

    def _finished(self, process):
        if process is not self._process:
            return
        self._readErrors(process)
        self._read(process)
        if process is self._process:
            self._ended(self._whyEnded(process.exitStatus() == qt.QProcess.CrashExit))

    def _whyEnded(self, crashed):
        lacking = re.search(r"No module named '?([\w.]+)", self._errors)
        if lacking and not self.folder:
            return Problem(
                "not-installed",
                _("The enhancer needs the Python package {name}, which is not installed.").format(
                    name=lacking.group(1)
                ),
                _("Press “Install what is needed…”, or “Install…” under Settings."),
            )
        if self.folder:
            return workerEnded()
        if crashed:
            return endedWhileStarting()
        lines = self._errors.strip().splitlines()
        return Problem(
            "not-installed",
            _("The enhancer could not be started: {reason}").format(
                reason=lines[-1] if lines else _("it ended at once.")
            ),
            _("See the log under Settings; installing the packages again may help."),
        )

    def _ended(self, problem):
        """Forget the process and tell everyone who waits for it."""
        process, self._process = self._process, None
        if process is not None:
            # A killed process is waited for, or it would stay as a zombie until Slicer ends.
            process.waitForFinished(1000)
            process.deleteLater()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary = None
        self._forget(problem)

    def _forget(self, problem):
        self._started.stop()
        self.folder = None
        if problem.kind != "cancelled":
            self.log(str(problem))
        self._refuse(problem)

    def _refuse(self, problem):
        waiting, self._waiting = self._waiting, []
        requests, self._requests = self._requests, {}
        for request in requests.values():
            if request.overdue is not None:
                request.overdue.stop()
            request.failed(cancelled() if request.overdue is not None else problem)
        for _ready, failed in waiting:
            failed(problem)

    # Messages

    def _send(self, message):
        self._process.write(_line(message))

    def _readErrors(self, process):
        text = bytes(process.readAllStandardError().data()).decode("utf-8", "replace")
        if text and process is self._process:
            self._errors = (self._errors + text)[-20_000:]
            for line in text.splitlines():
                self.log(line)

    def _read(self, process):
        if process is not self._process:
            return
        # A line may come in pieces, and several at once.
        self._buffer += bytes(process.readAllStandardOutput().data())
        while b"\n" in self._buffer and process is self._process:
            line, self._buffer = self._buffer.split(b"\n", 1)
            message = _message(line)
            if message is None:
                self.log(_("Not understood: {line}").format(line=line[:200].decode("utf-8", "replace")))
                continue
            self._receive(message)

    def _receive(self, message):
        kind, number = message.get("type"), message.get("id")
        if kind == "hello" and number is None:
            self._greeted(message)
        elif kind == "error" and number is None and self.folder is None:
            ProcessTree.kill(self.processId)
            self._ended(_problemOf(message))
        elif kind == "progress":
            request = self._requests.get(number)
            if request is not None and request.progressed is not None and request.overdue is None:
                request.progressed(message)
        elif number in self._requests:
            request = self._requests.pop(number)
            if request.overdue is not None:
                request.overdue.stop()
            if kind == "error":
                request.failed(_problemOf(message))
            else:
                request.answered(message)
            if self.folder and not self._cancelling:
                self._tellReady()

    def _greeted(self, message):
        version = str(message.get("version", ""))
        if message.get("protocol") != PROTOCOL or version.split(".")[:2] != VERSION.split(".")[:2]:
            ProcessTree.kill(self.processId)
            self._ended(
                Problem(
                    "incompatible",
                    _("The enhancer is of version {found} (protocol {protocol}), this module of {wanted}.").format(
                        found=version, protocol=message.get("protocol"), wanted=VERSION
                    ),
                    _("Install the same version of both."),
                )
            )
            return
        self._started.stop()
        self.hello, self.folder = message, Path(message["folder"])
        self.log(
            _("Ready: {model} on {device} ({engine}).").format(
                model=message.get("model"), device=message.get("device"), engine=message.get("engine")
            )
        )
        self._tellReady()

    def _tellReady(self):
        waiting, self._waiting = self._waiting, []
        for ready, _failed in waiting:
            ready()


class _Leaving:
    """A process that was told to end: killed if it does not in time; its folder goes with it."""

    def __init__(self, process, folder, gone):
        self._process, self._folder, self._gone = process, folder, gone
        self._patience = qt.QTimer()
        self._patience.setSingleShot(True)
        self._patience.connect("timeout()", self._kill)

    def begin(self):
        """Close its standard input, without which a worker ends even if it does not listen."""
        self._patience.start(FAREWELL)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._ended)
        self._process.closeWriteChannel()
        self._unlessRunning()

    def wait(self, seconds):
        """Until it has ended, at most so long; then it is killed."""
        if not self._process.waitForFinished(round(1000 * seconds)):
            self._kill()
            self._process.waitForFinished(1000)
        self._ended()

    def _kill(self, *_unused):
        ProcessTree.kill(self._process.processId())
        self._unlessRunning()

    def _unlessRunning(self):
        # Of a process that could not even be started, Qt says nothing at its end.
        if self._process.state() == qt.QProcess.NotRunning:
            self._ended()

    def _ended(self, *_unused):
        if self._gone is None:
            return
        gone, self._gone = self._gone, None
        self._patience.stop()
        self._process.deleteLater()
        shutil.rmtree(self._folder, ignore_errors=True)
        gone(self)


def _sweep():
    """Remove the folders that a killed Slicer left: its worker has emptied them. One that is young may be in use."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _YOUNG:
                folder.rmdir()


def _line(message):
    """A message as a line of the protocol, which knows no NaN; numbers and arrays of NumPy go as what they say.

    Raises:
        TypeError, ValueError: the protocol has no form for what is in it.
    """

    def plain(value):
        if isinstance(value, (np.generic, np.ndarray)):
            return value.tolist()
        raise TypeError(_("{kind} is neither text nor number").format(kind=type(value).__name__))

    return json.dumps(message, default=plain, allow_nan=False).encode() + b"\n"


def _message(line):
    """What a line says; None: it is no message, but perhaps what some library prints."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _problemOf(message):
    return Problem(message.get("kind", "internal"), message.get("message", ""), message.get("remedy", ""))
