"""Films in MP4, QuickTime, Matroska, WebM and AVI: frame by frame in, frame by frame out, with their times and sound.

FFmpeg (through PyAV, extra "video") reads and writes them in a process of its own, with a limit on its memory: one that
a damaged or hostile file makes hang, crash or ask for too much costs that file alone. Its libraries are never loaded
here.

    with Clip.open("clip.mp4") as clip:
        for frame in clip.frames():
            ...
        with atomic_path("out.mp4", clip.path) as temporary:
            clip.write(temporary, "mp4", lambda frames: (frame.pixels // 2 for frame in frames))
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from numpy.typing import NDArray

from lowlight.errors import DependencyError, InputError, LimitError
from lowlight.imaging.filetype import clip_container
from lowlight.imaging.limits import DEFAULT, WAITING, Limits, way_out
from lowlight.imaging.video_messages import receive, send

_MODULE = "lowlight.imaging.video_process"
_BYTES_A_PIXEL = 6
_SECONDS_TO_START = 120
_WAITING_FRAMES = 8
"""More than the other process ever sends before it is answered, so that taking what it sends never waits."""

RESULTS = {".mp4": "mp4", ".mkv": "matroska", ".avi": "avi"}
"""Suffixes that a written film can have, and what FFmpeg calls what they stand for."""


class ClipFrame(NamedTuple):
    """A frame of a film, the right way up.

    Attributes:
        pixels: (H, W, 3), red, green and blue, uint8, or uint16 of a film of more than 8 bits; of a grey frame (H, W),
            its luma as it is coded.
        seconds: when it is shown, on the clock of the file.
        value_range: (black, white) in units of the pixels: 16 and 235 of luma of limited range.
    """

    pixels: NDArray[Any]
    seconds: float
    value_range: tuple[float, float]


@dataclass(frozen=True)
class Read:
    """What reading a film from one end to the other showed.

    Attributes:
        frames: how many there are. coloured: whether any of them has colour.
        regular: whether they come at equal steps, some of which may be left out: AVI holds no others.
        damaged: how many frames or parts of the file were lost, or patched up by the decoder. first_damage: seconds
            from the beginning. missing: seconds at the end that the file announces and does not hold.
    """

    frames: int
    coloured: bool
    regular: bool
    damaged: int
    first_damage: float | None
    missing: float
    course: dict[str, Any]


@dataclass(frozen=True)
class Written:
    """What was written: the codec of its pictures, as FFmpeg names it, and of sound that had to be left out."""

    codec: str
    left_out: tuple[str, ...]


class Clip:
    """An opened film. Use it as a context manager: it holds a process.

    Attributes:
        path: the file. container: what it is, as FFmpeg names it: mov, matroska or avi.
        height, width: of a frame, the right way up. duration: seconds, as the file says; None if it does not.
        rate: frames a second, as the file says; None if it does not. codec: of its pictures. sound: of its sound.
        others: number of its other streams (subtitles, data), which no result has.
        read: what `frames` has shown; None before it has come to an end.
    """

    def __init__(self, path: Path, container: str, limits: Limits) -> None:
        self.path, self.container, self.limits = path, container, limits
        self.read: Read | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._taken: queue.Queue[Any] = queue.Queue(_WAITING_FRAMES)

    @classmethod
    def open(cls, path: str | Path, limits: Limits = DEFAULT) -> Self:
        """Open a film and decode its first frame.

        Args:
            path: by content an MP4, QuickTime, Matroska, WebM or AVI file. limits: what it may cost: the memory of the
                process that reads it, the pixels of a frame, the seconds without an answer.

        Raises:
            InputError: it is missing, damaged, encrypted, no film, or has frames that are too large.
            LimitError: it makes the decoder crash, hang, or ask for too much memory.
            DependencyError: PyAV is not installed.
        """
        path = Path(path)
        container = clip_container(path)
        if container is None:
            raise InputError(path, "is no film of a supported type", "convert it to MP4, Matroska or AVI")
        if find_spec("av") is None:
            raise DependencyError(
                "films need the package av, which is not installed; pip install 'lowlight-enhance[video]'"
            )
        clip = cls(path, container, limits)
        try:
            told, _ = clip._ask("describe")
        except BaseException:
            clip.close()
            raise
        clip.height, clip.width = int(told["height"]), int(told["width"])
        clip.duration, clip.rate = told["duration"], told["rate"]
        clip.codec, clip.sound, clip.others = str(told["codec"]), tuple(told["sound"]), int(told["others"])
        clip.turned = bool(told["turned"])
        return clip

    height: int
    width: int
    duration: float | None
    rate: float | None
    codec: str
    sound: tuple[str, ...]
    others: int
    turned: bool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            if self._listener is not None:
                # It may be waiting for room. What it still takes is nobody's answer.
                while self._listener.is_alive():
                    with suppress(queue.Empty):
                        self._taken.get(timeout=0.01)
            for pipe in (child.stdin, child.stdout):
                with suppress(OSError):
                    assert pipe is not None
                    pipe.close()

    def frames(self) -> Iterator[ClipFrame]:
        """All frames, from the first one. Once they have come to an end, `read` says what they were like.

        Raises:
            InputError, LimitError: as `open`; frames that change their size.
        """
        for told, pixels in self._answers("read"):
            if told["kind"] == "frame" and pixels is not None:
                yield ClipFrame(pixels, float(told["seconds"]), _pair(told["value_range"]))
            elif told["kind"] == "end":
                course = told["course"]
                names = ("frames", "coloured", "damaged", "first_damage", "missing")
                self.read = Read(**{name: course[name] for name in names}, regular=told["regular"], course=course)

    def write(
        self,
        target: Path,
        container: str,
        work: Callable[[Iterator[ClipFrame]], Iterable[NDArray[Any] | None]],
        *,
        lossless: bool = False,
        tags: dict[str, str] | None = None,
        named: bool = False,
    ) -> Written:
        """Write a film of as many frames, at the same times, with the same sound, as far as the container can hold it.

        Args:
            target: an existing file, which is replaced; it is the caller's to move it where it belongs.
            container: a value of `RESULTS`.
            work: from the frames, one by one, to what is written in their place: pixels in shape, dtype and units of
                the frame's, or None for the frame as it is. Where `Read.coloured`, all frames have colour here.
            lossless: pixels come back bit for bit (FFV1); else H.264 of high quality, in AVI Motion JPEG.
            tags: metadata, such as title and comment. named: keep those of the source as well, which may name a
                patient.

        Raises:
            InputError, LimitError: as `open`. OSError: the target cannot be written.
        """
        read = self._known()
        wanted = {"container": container, "lossless": lossless, "tags": list((tags or {}).items()), "named": named}
        answers = self._answers("write", target=str(target), course=read.course, wanted=wanted)
        written: list[dict[str, Any]] = []

        def frames() -> Iterator[ClipFrame]:
            for told, pixels in answers:
                if told["kind"] == "written":
                    written.append(told)
                elif pixels is not None:
                    yield ClipFrame(pixels, float(told["seconds"]), _pair(told["value_range"]))

        for pixels in work(frames()):
            self._say("frame", pixels)
        for told, _ in answers:
            written += [told] if told["kind"] == "written" else []
        if not written:
            raise LimitError(self.path, "was not written to its end", "report this with the input")
        return Written(str(written[0]["codec"]), tuple(written[0]["left_out"]))

    def copies_into(self, container: str) -> bool:
        """Whether `copy` can write this container: that which the film has."""
        return {"mov": "mp4"}.get(self.container, self.container) == container

    def copy(self, target: Path, container: str, *, tags: dict[str, str] | None = None, named: bool = False) -> Written:
        """Write pictures and sound as they are coded, without the rest of the file; arguments as for `write`."""
        wanted = {"container": container, "lossless": False, "tags": list((tags or {}).items()), "named": named}
        told, _ = self._ask("copy", target=str(target), wanted=wanted)
        return Written(str(told["codec"]), tuple(told["left_out"]))

    def _known(self) -> Read:
        if self.read is None:
            for _ in self.frames():
                pass
        assert self.read is not None
        return self.read

    def _ask(self, task: str, **content: Any) -> tuple[dict[str, Any], NDArray[Any] | None]:
        return list(self._answers(task, **content))[-1]

    def _answers(self, task: str, **content: Any) -> Iterator[tuple[dict[str, Any], NDArray[Any] | None]]:
        """Give the process a task, and take what it answers until it has done it or given it up.

        What it sends is taken by a thread: it never waits for this side to listen while this side waits for it.
        """
        if self._child is None:
            self._child = _started()
        child, taken = self._child, queue.Queue[Any](_WAITING_FRAMES)
        self._taken = taken
        self._say(task, path=str(self.path), container=self.container, limits=asdict(self.limits), **content)
        last = {"describe": "described", "read": "end", "write": "written", "copy": "written"}[task]
        most = self.limits.pixels * _BYTES_A_PIXEL
        self._listener = threading.Thread(target=_take, args=(child.stdout, taken, most, last), daemon=True)
        self._listener.start()
        patience = self.limits.seconds_for(self.path) * WAITING
        try:
            while True:
                try:
                    told, pixels = taken.get(timeout=patience)
                except queue.Empty:
                    raise LimitError(
                        self.path, f"lets the decoder work for {patience:g} s without a frame", way_out("seconds")
                    ) from None
                if told is None:
                    raise self._crashed()
                self._check(task, told)
                yield told, pixels
                if told["kind"] == last:
                    return
        except BaseException:
            # Whatever it still sends would be taken for answers to the next task.
            self.close()
            raise

    def _say(self, kind: str, pixels: NDArray[Any] | None = None, **content: Any) -> None:
        child = self._child
        if child is None or child.stdin is None:
            raise self._crashed()
        try:
            send(child.stdin, kind, pixels, **content)
        except BrokenPipeError:
            raise self._crashed() from None

    def _check(self, task: str, told: dict[str, Any]) -> None:
        """Raises what the process tells of."""
        kind = told["kind"]
        if kind == "refused":
            raise InputError(self.path, str(told["fault"]), str(told["remedy"]))
        if kind == "memory":
            fault = f"needs more than {self.limits.memory / 1e6:g} MB to be decoded"
            raise LimitError(self.path, fault, way_out("memory"))
        if kind == "failed":
            if task in ("write", "copy") and told["errno"]:
                raise OSError(told["errno"], told["said"])
            fault = "cannot be written again" if task in ("write", "copy") else "cannot be read"
            raise InputError(self.path, f"{fault} ({told['said']})", "export it again from where it came")

    def _crashed(self) -> LimitError:
        code = None
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                code = self._child.wait(timeout=1)
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return LimitError(self.path, f"makes the decoder crash ({how})", "export it again from where it came")


def _take(stream: Any, taken: queue.Queue[Any], most: int, last: str) -> None:
    while True:
        try:
            told, pixels = receive(stream, most)
        except (EOFError, OSError, ValueError):
            taken.put((None, None))
            return
        taken.put((told, pixels))
        if told["kind"] in (last, "refused", "memory", "failed"):
            return


def _started() -> subprocess.Popen[bytes]:
    """The process, once it is ready."""
    package = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
    # Each thread that takes memory for itself reserves a piece of what is allowed, used or not.
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-P", "-m", _MODULE]
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)
    except OSError as error:
        reason = error.strerror or error
        raise DependencyError(f"{sys.executable}: the process that reads films cannot be started ({reason})") from error
    timer = threading.Timer(_SECONDS_TO_START, child.kill)
    timer.start()
    try:
        assert child.stdout is not None
        receive(child.stdout, 0)
    except BaseException as error:
        child.kill()
        child.wait()
        if isinstance(error, EOFError):
            raise DependencyError(f"{sys.executable}: the process that reads films ends before it is ready") from None
        raise
    finally:
        timer.cancel()
    return child


def _pair(values: Any) -> tuple[float, float]:
    black, white = values
    return float(black), float(white)
