"""The worker: a warm engine behind JSON lines, see docs/worker.md of the bundle."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import lowlight
from lowlight.bundle import DEFAULT_SIZE
from lowlight.enhance.devices import all_devices, installed, known_devices
from lowlight.services.channel import LONGEST_LINE, Channel
from lowlight.services.engines import Engines
from lowlight.services.enhancing import LARGEST_BRIGHTNESS, LARGEST_DENOISE, enhance
from lowlight.services.failures import Failure, bad_request, failure_of
from lowlight.services.folder import PrivateFolder
from lowlight.services.job import Job
from lowlight.services.kept import MAPS, Shelf
from lowlight.services.lane import Lane
from lowlight.services.parent import when_parent_dies
from lowlight.services.requests import Request
from lowlight.services.sitting import STUDY_MESSAGES, Sitting

PROTOCOL = 1
MODALITIES = ("xray", "dermatology", "endoscopy", "ultrasound", "fundus")

JOBS = ("enhance", "report", "export", "devices")
"""Requests that are done one at a time."""

QUICK = ("blend", "maps", "forget")
"""Requests that do not wait for jobs."""

STUDY = (
    *("study_open", "study_begin", "study_answer", "study_undo"),
    *("study_pause", "study_resume", "study_alive", "study_end"),
)
"""Requests of a reader study: one at a time, beside all others."""

_GRACE = 0.7  # seconds that a job has to stop in before the process ends all the same

logger = logging.getLogger(__name__)


def run_worker(
    bundle: Path | None = None,
    engine: str = "auto",
    device: str = "auto",
    temporary: Path | None = None,
    size: str = DEFAULT_SIZE,
) -> NoReturn:
    """Serve the parent process on stdin and stdout until it has had enough, and exit: 0, or 1 if the bundle cannot be
    loaded. Takes the whole process over.

    Args:
        bundle: folder of the bundle; None: the one that ships with this package.
        engine, device, size: as `lowlight.Enhancer` takes them.
        temporary: where the private folder is made; None: where the system keeps temporary files.
    """
    channel = Channel.of_process()
    _log_to_stderr()
    code = 0
    try:
        folder = PrivateFolder(temporary)
        try:
            # Before the seconds of loading: a parent that dies meanwhile must not go unnoticed.
            when_parent_dies(lambda: _end(folder))
            Worker(channel, folder, Engines(bundle, engine, device, size)).serve()
        finally:
            folder.remove()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    except Exception as error:
        code = 1
        _send_or_leave(channel, {"id": None, **failure_of(error).fields()})
    _stop_decoding()
    _exit(code)


class Worker:
    """Takes requests and has them done: jobs one after the other, quick ones beside them.

    Args:
        channel: to the client. folder: for arrays. engines: the loaded bundle.
    """

    def __init__(self, channel: Channel, folder: PrivateFolder, engines: Engines) -> None:
        self.channel, self.folder, self.engines = channel, folder, engines
        self.shelf = Shelf()
        self._ways: dict[str, Callable[[Job], dict[str, Any]]] = {
            "enhance": lambda job: enhance(job, engines, folder, self.shelf),
            "report": self._report,
            "export": self._export,
            "devices": self._devices,
            "blend": self._blend,
            "maps": self._maps,
            "forget": self._forget,
        }
        sitting = Sitting(folder)
        self._ways.update(sitting.ways)
        self._lane, self._quick_lane = Lane("jobs", self._do), Lane("quick", self._do)
        self._study_lane = Lane("study", self._do, sitting.close)
        self._lanes = (self._lane, self._quick_lane, self._study_lane)

    def serve(self) -> None:
        """Answer requests until "quit", or until nobody can send any more."""
        signal.signal(signal.SIGTERM, _raise_interrupt)
        for lane in self._lanes:
            lane.start()
        self._send({"type": "hello", "id": None, **self._hello()})
        threading.Thread(target=_load_ahead, name="loading", daemon=True).start()
        bye = None
        try:
            for line in self.channel.lines():
                bye = self._take(line)
                if bye is not None:
                    break
        finally:
            self._stop_all()
        if bye is not None:
            self._send({"type": "bye", "id": bye.id})

    def _take(self, line: bytes | None) -> Request | None:
        """Meet one line; the request is returned if it is "quit"."""
        try:
            if line is None:
                raise bad_request(f"A line is longer than {LONGEST_LINE} bytes.")
            request = Request.parse(line)
        except Failure as failure:
            self._send({"id": None, **failure.fields()})
            return None
        if request.type == "quit":
            return request
        try:
            if request.type == "hello":
                self._send({"type": "hello", "id": request.id, **self._greet(request)})
            elif request.type == "cancel":
                self._send({**self._cancel(request), "id": request.id})
            elif request.type in JOBS:
                self._lane.put(Job(request, self._send))
            elif request.type in QUICK:
                self._put_quick(request)
            elif request.type in STUDY:
                self._study_lane.put(Job(request, self._send))
            else:
                raise bad_request(f'There is no request "{request.type[:40]}" in protocol {PROTOCOL}.')
        except Failure as failure:
            self._send({"id": request.id, **failure.fields()})
        return None

    def _put_quick(self, request: Request) -> None:
        if request.type == "blend":
            name = request.fields.get("result")
            older = self._quick_lane.withdraw(
                lambda job: job.request.type == "blend" and job.request.fields.get("result") == name
            )
            for job in older:
                failure = Failure("superseded", "A later request for the same result took its place.")
                self._send({"id": job.request.id, **failure.fields()})
        self._quick_lane.put(Job(request, self._send))

    def _do(self, job: Job) -> None:
        """Do one job and send its one answer, whatever happens."""
        try:
            job.begin()
            answer = self._ways[job.request.type](job)
        except Exception as error:
            answer = failure_of(error).fields()
        self._send({**answer, "id": job.request.id})

    def _send(self, fields: dict[str, Any]) -> None:
        try:
            self.channel.send(fields)
        except OSError:
            # Nobody is there to hear of it; the end of stdin follows.
            logger.debug("nobody receives")

    def _hello(self) -> dict[str, Any]:
        devices, complete = known_devices()
        engines = self.engines
        return {
            "protocol": PROTOCOL,
            "version": lowlight.__version__,
            "model": engines.model.name,
            "weights_sha256": engines.model.weights_sha256,
            "size": engines.model.size,
            "engine": engines.engine,
            "device": engines.device,
            "engines": [
                {"name": name, "installed": installed(package)}
                for name, package in (("onnx", "onnxruntime"), ("torch", "torch"))
            ],
            "devices": _listed(devices),
            "devices_complete": complete,
            "strengths": engines.strengths,
            "modalities": list(MODALITIES),
            "folder": str(self.folder.path),
            "process": os.getpid(),
            "kept_bytes": self.shelf.budget,
            "study_messages": STUDY_MESSAGES,
        }

    def _greet(self, request: Request) -> dict[str, Any]:
        if request.count("protocol") != PROTOCOL:
            raise Failure(
                "incompatible",
                f"This is LowLightEnhance {lowlight.__version__}, which speaks protocol {PROTOCOL}; "
                f"protocol {request.count('protocol')} was asked for.",
                "Install the same version of LowLightEnhance and of the module that uses it.",
            )
        return self._hello()

    def _cancel(self, request: Request) -> dict[str, Any]:
        wanted = request.fields.get("job")
        withdrawn = self._lane.withdraw(lambda job: wanted is None or job.request.id == wanted)
        for job in withdrawn:
            self._send({"id": job.request.id, **Failure("cancelled", "Cancelled.").fields()})
        running = self._lane.running()
        jobs = [job.request.id for job in withdrawn]
        if running is not None and (wanted is None or running.request.id == wanted):
            running.watch.stop()
            jobs.insert(0, running.request.id)
        return {"type": "cancelling", "jobs": jobs}

    def _stop_all(self) -> None:
        running = self._lane.running()
        if running is not None:
            running.watch.stop()
        for lane in self._lanes:
            lane.close()
        for lane in self._lanes:
            lane.join(_GRACE)

    def _blend(self, job: Job) -> dict[str, Any]:
        request = job.request
        name = request.needed("result")
        kept = self.shelf.get(name)
        brightness, denoise = kept.strengths(
            request.strength("brightness", LARGEST_BRIGHTNESS), request.strength("denoise", LARGEST_DENOISE)
        )
        image = self.folder.give(kept.blend(brightness, denoise, request.count("slice")), "image")
        return {
            "type": "blended",
            "result": name,
            "image": image,
            "brightness": brightness,
            "denoise": denoise,
            "seconds": job.seconds,
        }

    def _maps(self, job: Job) -> dict[str, Any]:
        request = job.request
        name, wanted, number = request.needed("result"), request.some_of("maps", MAPS), request.count("slice")
        brightness, denoise = (
            request.strength("brightness", LARGEST_BRIGHTNESS),
            request.strength("denoise", LARGEST_DENOISE),
        )
        strengths = (1.0 if brightness is None else brightness, 1.0 if denoise is None else denoise)
        kept = self.shelf.get(name)
        files: dict[str, str] = {}
        try:
            for kind in MAPS:
                if kind in wanted:
                    files[kind] = self.folder.give(kept.map(kind, *strengths, number), kind)
        except BaseException:
            self.folder.discard(list(files.values()))
            raise
        return {"type": "maps", "result": name, "maps": files}

    def _report(self, job: Job) -> dict[str, Any]:
        request = job.request
        name = request.needed("result")
        kept = self.shelf.get(name)
        strengths = kept.strengths(
            request.strength("brightness", LARGEST_BRIGHTNESS), request.strength("denoise", LARGEST_DENOISE)
        )
        job.tell("reporting", 0, 1)
        return {"type": "report", "result": name, **kept.report(*strengths, request.count("slice"))}

    def _export(self, job: Job) -> dict[str, Any]:
        # Loading DICOM takes longer than all the rest of starting.
        from lowlight.services.exporting import export

        return export(job, self.engines, self.shelf)

    def _forget(self, job: Job) -> dict[str, Any]:
        name = job.request.needed("result")
        self.shelf.forget(name)
        return {"type": "forgotten", "result": name}

    def _devices(self, job: Job) -> dict[str, Any]:
        job.tell("loading", 0, 0)
        return {"type": "devices", "devices": _listed(all_devices())}


def _load_ahead() -> None:
    """What judging and exporting need, while the user still looks at the image."""
    importlib.import_module("lowlight.artifacts")
    importlib.import_module("lowlight.services.exporting")


def _stop_decoding() -> None:
    """End the process that decodes DICOM, if DICOM was met at all."""
    # The module may be in the middle of being loaded ahead.
    interrupt = getattr(sys.modules.get("lowlight.imaging.isolation"), "interrupt", None)
    if interrupt is not None:
        interrupt()


def _listed(devices: dict[str, str]) -> list[dict[str, str]]:
    return [{"device": device, "name": name} for device, name in devices.items()]


def _log_to_stderr() -> None:
    """Our own messages alone: those of libraries may quote files."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("lowlight.services")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
    logging.getLogger().addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")
    threading.excepthook = _log_thread


def _log_thread(arguments: threading.ExceptHookArgs) -> None:
    """Where a thread died, and not with what: the message may quote a file."""
    failure_of(arguments.exc_value or Exception())


def _raise_interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _send_or_leave(channel: Channel, fields: dict[str, Any]) -> None:
    try:
        channel.send(fields)
    except OSError:
        logger.debug("nobody receives")


def _end(folder: PrivateFolder) -> NoReturn:
    """From any thread, whatever the others are at."""
    folder.remove()
    _stop_decoding()
    _exit(0)


def _exit(code: int) -> NoReturn:
    """At once: a thread that is deep in a library would hold up an orderly end."""
    sys.stderr.flush()
    os._exit(code)
