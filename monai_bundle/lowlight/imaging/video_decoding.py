"""Reading a clip with FFmpeg, frame by frame. Runs in a process of its own: see `lowlight.imaging.video`."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lowlight.errors import InputError
from lowlight.imaging.limits import Limits, way_out
from lowlight.imaging.video_colour import HIGH_DYNAMIC_RANGE, Coding, pixels_of

AGAIN = "export it again from where it came"
DEFAULT_RATE = Fraction(25)

_THREADS = 2
JITTER = 0.002
"""Seconds by which steps between frames differ that are meant to be equal: Matroska counts milliseconds."""

_MISSING = 0.5
"""Seconds at the end of a clip, beyond two frames, whose absence counts: sound and picture seldom end together."""


@dataclass(frozen=True)
class Decoded:
    """A frame, the right way up.

    Attributes:
        frame: as FFmpeg gives it, not yet turned. ticks: when it is shown, in units of the stream.
        seconds: the same. pixels: see `pixels_of`. coding: what its values mean.
    """

    frame: VideoFrame
    ticks: int
    seconds: float
    pixels: NDArray[Any]
    coding: Coding


@dataclass
class Course:
    """What reading a whole clip showed.

    Attributes:
        frames: how many could be decoded. coloured: whether any has colour.
        damaged: how many frames or parts of the file were lost, or patched up by the decoder; first_damage: when, in
            seconds. missing: seconds at the end that the file announces and does not hold.
        first, last: ticks of the ends. least_step, largest_step: ticks between frames.
        off_grid: seconds by which a frame misses the multiples of the step that the file tells, at most.
    """

    frames: int = 0
    coloured: bool = False
    damaged: int = 0
    first_damage: float | None = None
    missing: float = 0.0
    first: int = 0
    last: int = 0
    least_step: int = field(default=2**62)
    largest_step: int = 0
    off_grid: float = 0.0

    def met(self, ticks: int) -> None:
        """One more frame."""
        if self.frames:
            self.least_step = min(self.least_step, ticks - self.last)
            self.largest_step = max(self.largest_step, ticks - self.last)
        else:
            self.first = ticks
        self.last = ticks
        self.frames += 1

    def hurt(self, seconds: float) -> None:
        """Something could not be decoded as it should."""
        self.damaged += 1
        if self.first_damage is None:
            self.first_damage = seconds

    def even(self, time_base: Fraction) -> bool:
        """Whether frames come at equal steps."""
        return self.frames < 3 or (self.largest_step - self.least_step) * time_base <= JITTER

    def regular(self, time_base: Fraction) -> bool:
        """Whether frames come at equal steps, some of which may be left out."""
        return self.even(time_base) or self.off_grid <= JITTER

    def rate(self, time_base: Fraction, told: Fraction | None) -> Fraction:
        """Frames a second: what the file says, unless what was seen is another."""
        if self.frames < 2 or (told and self.off_grid <= JITTER):
            return told or DEFAULT_RATE
        seen = (self.frames - 1) / ((self.last - self.first) * time_base)
        return seen.limit_denominator(1001)


class ClipSource:
    """An opened clip.

    Args:
        path: the file, which FFmpeg sees as a stream of bytes only: it opens no other by itself.
        container: "mov", "matroska" or "avi", by its content.
        limits: the pixels that a frame may have.

    Raises:
        InputError: it cannot be opened, has no video that can be shown, or frames that are too large.
    """

    def __init__(self, path: Path, container: str, limits: Limits) -> None:
        self.path, self.limits = path, limits
        self._file = path.open("rb")
        try:
            self.opened = av.open(self._file, "r", format=container, metadata_errors="replace")
        except FFmpegError as error:
            raise self._fault(f"is damaged or incomplete ({error.strerror})") from None
        self.video = self._video()
        self.audio: list[AudioStream] = list(self.opened.streams.audio)
        context = self.video.codec_context
        if context.width * context.height > limits.pixels:
            fault = (
                f"has frames of {context.width} x {context.height} pixels, more than {limits.pixels / 1e6:g} million"
            )
            raise InputError(path, fault, way_out("pixels"))
        context.options = {**context.options, "max_pixels": str(limits.pixels)}
        context.thread_count, context.thread_type = _THREADS, "AUTO"
        self.course = Course()
        self._size: tuple[int, int] | None = None
        self._turn: tuple[bool, bool, bool] = (False, False, False)

    def close(self) -> None:
        """Let go of the file."""
        self.opened.close()
        self._file.close()

    def _video(self) -> VideoStream:
        shown = [stream for stream in self.opened.streams.video if not stream.disposition & Disposition.attached_pic]
        if not shown:
            if self.opened.streams.audio:
                raise self._fault("holds no video, only sound", "choose another file")
            raise self._fault("holds no video; it may be damaged")
        return shown[0]

    @property
    def time_base(self) -> Fraction:
        """Seconds of a tick."""
        return self.video.time_base or Fraction(1, 90_000)

    @property
    def told_rate(self) -> Fraction | None:
        """Frames a second, as the file says or FFmpeg guesses."""
        return self.video.average_rate or self.video.guessed_rate

    @property
    def turned(self) -> bool:
        """Whether frames are stored in another way than they are shown."""
        return any(self._turn)

    @property
    def transposed(self) -> bool:
        """Whether rows are stored as columns."""
        return self._turn[0]

    def frames(self, coloured: bool | None = None, aside: Callable[[Packet], None] | None = None) -> Iterator[Decoded]:
        """All frames from the beginning of the file, in the order in which they are shown; once.

        Args:
            coloured: see `pixels_of`. aside: takes what belongs to sound, in the order of the file.

        Raises:
            InputError: frames change their size, or their values are no display values.
        """
        for packet in self._packets([self.video, *(self.audio if aside else [])]):
            if packet.stream.index == self.video.index:
                for frame in self._decoded(packet):
                    yield self._taken(frame, coloured)
            elif aside is not None and packet.dts is not None:
                aside(packet)
        for frame in self._decoded(None):
            yield self._taken(frame, coloured)
        self.course.missing = self._missing()

    def packets(self) -> Iterator[Packet]:
        """What video and sound consist of, undecoded; once."""
        return (packet for packet in self._packets([self.video, *self.audio]) if packet.dts is not None)

    def _packets(self, streams: list[Any]) -> Iterator[Packet]:
        demuxed = self.opened.demux(streams)
        while True:
            try:
                packet = next(demuxed)
            except StopIteration:
                return
            except FFmpegError:
                # What lies behind the damage cannot be found.
                self.course.hurt(self._now)
                return
            if packet.size:
                yield packet

    def _decoded(self, packet: Packet | None) -> list[VideoFrame]:
        if packet is not None and packet.has_sidedata("encryption_info"):
            raise self._fault("is encrypted", "export it without copy protection")
        try:
            return list(self.video.codec_context.decode(packet))
        except FFmpegError:
            self.course.hurt(self._now)
            return []

    def _taken(self, frame: VideoFrame, coloured: bool | None) -> Decoded:
        size = frame.width, frame.height
        if self._size is None:
            self._size, self._turn = size, _turn_of(frame)
            if frame.color_trc in HIGH_DYNAMIC_RANGE:
                raise self._fault("is of high dynamic range (PQ or HLG)", "convert it to BT.709 first")
        if size != self._size:
            fault = f"changes the size of its frames from {self._size[0]} x {self._size[1]} to {size[0]} x {size[1]}"
            raise self._fault(fault, "split it there")
        ticks = self._ticks(frame)
        self.course.met(ticks)
        self.course.off_grid = max(self.course.off_grid, self._off_grid())
        if frame.is_corrupt:
            self.course.hurt(self._now)
        coding = Coding.of(frame)
        pixels = _turned(pixels_of(frame, coding, coloured), self._turn)
        self.course.coloured |= pixels.ndim == 3
        return Decoded(frame, ticks, float(ticks * self.time_base), pixels, coding)

    def _ticks(self, frame: VideoFrame) -> int:
        """When the frame is shown. AVI and damaged files leave it out, or let time go back: then by the rate."""
        course = self.course
        said = frame.pts if frame.pts is not None else frame.dts
        if said is not None and (not course.frames or said > course.last):
            return int(said)
        if not course.frames:
            return 0
        step = 1 if said is not None else round(1 / ((self.told_rate or DEFAULT_RATE) * self.time_base))
        return course.last + max(1, step)

    def _off_grid(self) -> float:
        rate = self.told_rate or DEFAULT_RATE
        steps = (self.course.last - self.course.first) * self.time_base * rate
        return float(abs(steps - round(steps)) / rate)

    @property
    def _now(self) -> float:
        return float((self.course.last - self.course.first) * self.time_base)

    def _missing(self) -> float:
        course = self.course
        if not course.frames:
            return 0.0
        step = float(1 / course.rate(self.time_base, self.told_rate))
        announced = self.duration
        shown = self._now + step
        return announced - shown if announced is not None and announced - shown > _MISSING + 2 * step else 0.0

    @property
    def duration(self) -> float | None:
        """Seconds, as the file says of its video; None if it does not."""
        if self.video.duration:
            return float(self.video.duration * self.time_base)
        # How writers of Matroska tell it of each track: hours, minutes, seconds.
        told = re.fullmatch(r"(\d{1,3}):(\d\d):(\d\d\.\d+)", self.video.metadata.get("DURATION", ""))
        if told:
            return 3600 * int(told[1]) + 60 * int(told[2]) + float(told[3])
        if self.opened.duration and not self.audio:
            return self.opened.duration / av.time_base
        return None

    def _fault(self, fault: str, remedy: str = AGAIN) -> InputError:
        return InputError(self.path, fault, remedy)


def _turn_of(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """What brings the frame the right way up: rows to columns, then rows mirrored, then columns (ISO/IEC 14496-12,
    6.2.2: the upper left of the display matrix). Angles between quarter turns are left alone."""
    side_data: Any = frame.side_data
    for data in side_data:
        if data.type == Type.DISPLAYMATRIX:
            a, b, _, c, d = struct.unpack("=9i", bytes(data))[:5]
            if b == c == 0:
                return False, d < 0, a < 0
            if a == d == 0:
                return True, b < 0, c < 0
    return False, False, False


def _turned(pixels: NDArray[Any], turn: tuple[bool, bool, bool]) -> NDArray[Any]:
    transposed, down, across = turn
    if not any(turn):
        return pixels
    turned = np.swapaxes(pixels, 0, 1) if transposed else pixels
    return np.ascontiguousarray(turned[:: -1 if down else 1, :: -1 if across else 1])
