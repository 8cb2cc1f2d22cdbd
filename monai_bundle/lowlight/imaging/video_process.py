"""What runs in the process that `lowlight.imaging.video` starts: tasks on stdin, frames and answers on stdout."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from lowlight.errors import InputError
from lowlight.imaging.limits import Limits
from lowlight.imaging.process_limits import limit_crashes, limit_memory
from lowlight.imaging.video_decoding import AGAIN, ClipSource, Course, Decoded
from lowlight.imaging.video_encoding import ClipTarget, Wanted, copy
from lowlight.imaging.video_messages import receive, send

AHEAD = 4
"""Frames that are sent before the first of them has to be answered: so that neither side waits for the other."""


def main() -> None:
    """Do one task after the other until stdin ends."""
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    # Ctrl-C reaches the whole group; whoever started this process ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_crashes()
    send(answers, "ready")
    tasks: dict[str, Callable[..., None]] = {"describe": _describe, "read": _read, "write": _write, "copy": _copy}
    while True:
        try:
            content, _ = receive(sys.stdin.buffer, 0)
        except EOFError:
            return
        path, limits = Path(content["path"]), Limits(**content["limits"])
        limit_memory(limits.memory)
        try:
            with closing(ClipSource(path, content["container"], limits)) as source:
                tasks[content["kind"]](source, answers, content)
        except BrokenPipeError:
            return
        except MemoryError:
            send(answers, "memory")
        except InputError as error:
            send(answers, "refused", fault=error.fault, remedy=error.remedy)
        except OSError as error:
            # FFmpeg's errors are among them; of its own kind, they have numbers that no system knows.
            known = error.errno if error.errno and 0 < error.errno < 1000 else None
            send(answers, "failed", errno=known, said=error.strerror or type(error).__name__)
        except Exception as error:
            send(answers, "refused", fault=f"is damaged or incomplete ({type(error).__name__})", remedy=AGAIN)


def _describe(source: ClipSource, answers: IO[bytes], content: dict[str, Any]) -> None:
    first = next(source.frames(), None)
    if first is None:
        raise InputError(source.path, "holds no frame that can be decoded", AGAIN)
    rate = source.told_rate
    send(
        answers,
        "described",
        height=first.pixels.shape[0],
        width=first.pixels.shape[1],
        duration=source.duration,
        rate=None if rate is None else float(rate),
        codec=source.video.codec_context.name,
        turned=source.turned,
        sound=[stream.codec_context.codec.canonical_name for stream in source.audio],
        others=len(source.opened.streams) - 1 - len(source.audio),
    )


def _read(source: ClipSource, answers: IO[bytes], content: dict[str, Any]) -> None:
    for decoded in source.frames():
        _send_frame(answers, decoded)
    course = source.course
    if not course.frames:
        raise InputError(source.path, "holds no frame that can be decoded", AGAIN)
    send(answers, "end", course=asdict(course), regular=course.regular(source.time_base))


def _write(source: ClipSource, answers: IO[bytes], content: dict[str, Any]) -> None:
    """Frames go out, and come back as they are to be written: up to `AHEAD` are on their way."""
    course, target = Course(**content["course"]), None
    sent: deque[Decoded] = deque()
    sound: list[Any] = []

    def answered(target: ClipTarget) -> None:
        answer, pixels = receive(sys.stdin.buffer, 2**40)
        if answer["kind"] != "frame":
            raise EOFError
        target.put(sent.popleft(), pixels)

    def aside(packet: Any) -> None:
        # The file that is written has to know its first frame before it takes anything.
        sound.append(packet) if target is None else target.aside(packet)

    for decoded in source.frames(coloured=course.coloured, aside=aside):
        if target is None:
            wanted = Wanted(**content["wanted"])
            target = ClipTarget(Path(content["target"]), wanted, source, decoded, course)
            for packet in sound:
                target.aside(packet)
        if len(sent) == AHEAD:
            answered(target)
        sent.append(decoded)
        _send_frame(answers, decoded)
    if target is None:
        raise InputError(source.path, "holds no frame that can be decoded", AGAIN)
    send(answers, "end")
    while sent:
        answered(target)
    target.finish()
    send(answers, "written", left_out=list(target.left_out), codec=target.form.codec)


def _copy(source: ClipSource, answers: IO[bytes], content: dict[str, Any]) -> None:
    left_out = copy(Path(content["target"]), Wanted(**content["wanted"]), source)
    send(answers, "written", left_out=list(left_out), codec=source.video.codec_context.name)


def _send_frame(answers: IO[bytes], decoded: Decoded) -> None:
    colour = decoded.pixels.ndim == 3
    white = float((1 << decoded.coding.bits) - 1)
    value_range = (0.0, white) if colour or decoded.coding.form == "rgb" else decoded.coding.value_range
    send(answers, "frame", decoded.pixels, seconds=decoded.seconds, value_range=value_range)


if __name__ == "__main__":
    main()
