"""Writing a clip with FFmpeg. Runs in a process of its own: see `lowlight.imaging.video`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from lowlight.imaging.video_colour import BT601, BT709, MATRICES, UNSPECIFIED, Coding, frame_of
from lowlight.imaging.video_decoding import ClipSource, Course, Decoded

QUALITY = {"crf": "8", "preset": "medium"}
"""Of H.264: the error of luma is less than a level of 255, root mean square (benchmarks/video_coding.py)."""

MOTION_JPEG_QUALITY = 2
"""Quantiser of Motion JPEG, from 1 to 31."""

_ENCODING_THREADS = 4


@dataclass(frozen=True)
class Wanted:
    """How a clip is to be written.

    Attributes:
        container: "mp4", "matroska" or "avi". lossless: with FFV1, else H.264, in AVI Motion JPEG.
        tags: metadata of the file, such as title and comment. named: whether those of the source are kept as well.
    """

    container: str
    lossless: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    named: bool = False


@dataclass(frozen=True)
class Form:
    """How frames are encoded: by which codec of FFmpeg, in which of its pixel formats, meaning what."""

    codec: str
    pixel_format: str
    coding: Coding
    options: dict[str, str]


def form_for(wanted: Wanted, first: Decoded, coloured: bool) -> Form:
    """The form for a clip with this first frame, `coloured` or grey throughout.

    The range and matrix of the source are kept where the codec has a choice. Chroma is halved as in the source, but
    not in frames of odd size, which H.264 would have to cut.
    """
    source = first.coding
    if wanted.lossless:
        if coloured:
            exact = Coding("rgb", source.depth, True, source.matrix)
            return Form("ffv1", "bgr0" if source.bits == 8 else "gbrp16le", exact, {})
        # Whole luma goes as grey, whose range players take for full; the other with empty chroma, for the same reason.
        as_it_is = replace(source if source.form != "rgb" else Coding("grey", source.depth, True, BT601), form="yuv")
        layouts = ("gray", "gray16le") if as_it_is.full else ("yuv420p", "yuv420p16le")
        return Form("ffv1", layouts[as_it_is.bits == 16], as_it_is, {})
    if wanted.container == "avi":
        # JPEG knows one coding: full range, BT.601 (ITU-T T.871).
        layout = f"yuvj{_sampling(first, coloured, any_size=True)}p"
        return Form("mjpeg", layout, Coding("yuv", 8, True, BT601), {})
    deep = source.bits == 16
    coding = Coding("yuv", 10 if deep else 8, source.full, source.matrix)
    if source.form == "rgb":
        coding = Coding("yuv", coding.depth, False, BT709)
    layout = f"yuv{_sampling(first, coloured, any_size=False)}p" + ("10le" if deep else "")
    return Form("libx264", layout, coding, QUALITY)


def _sampling(first: Decoded, coloured: bool, any_size: bool) -> str:
    across, down = 2, 2
    if coloured and first.coding.form == "yuv":
        across, down = (
            64 // length(64) for length in (first.frame.format.chroma_width, first.frame.format.chroma_height)
        )
    name = {(1, 1): "444", (2, 1): "422"}.get((across, down), "420")
    height, width = first.pixels.shape[:2]
    if not any_size and ((width % 2 and name != "444") or (height % 2 and name == "420")):
        return "444"
    return name


class ClipTarget:
    """A clip that is being written.

    Args:
        path: an existing file, which is replaced. source: where sound, times and shape come from.
        first: its first frame. course: of the whole of it.
    """

    def __init__(self, path: Path, wanted: Wanted, source: ClipSource, first: Decoded, course: Course) -> None:
        self.wanted, self.source, self.source_coding = wanted, source, first.coding
        self.opened = _opened(path, wanted, source)
        self.form = form_for(wanted, first, course.coloured)
        rate = course.rate(source.time_base, source.told_rate)
        # AVI has no times, but a number for each frame.
        self._time_base = 1 / rate if wanted.container == "avi" else source.time_base
        self._origin = course.first if wanted.container == "avi" else 0
        self._last = -(2**62)
        height, width = first.pixels.shape[:2]
        self._stream: Any = self.opened.add_stream(self.form.codec, rate=rate, options=dict(self.form.options))
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, self.form.pixel_format
        context.time_base = self._stream.time_base = self._time_base
        context.thread_count = _ENCODING_THREADS
        if self.form.codec == "mjpeg":
            context.qmin = context.qmax = MOTION_JPEG_QUALITY
        aspect = source.video.sample_aspect_ratio
        if aspect:
            context.sample_aspect_ratio = 1 / aspect if source.transposed else aspect
        self._tag(context, first.frame)
        self.copied, self.left_out = _sound(self.opened, source)

    def _tag(self, context: Any, frame: VideoFrame) -> None:
        coding = self.form.coding
        context.color_range = 2 if coding.full else 1
        if coding.form == "yuv":
            same = coding.matrix == MATRICES.get(frame.colorspace)
            context.colorspace = frame.colorspace if same else _number_of(coding.matrix)
        else:
            context.colorspace = 0
        for name in ("color_primaries", "color_trc"):
            value = getattr(frame, name)
            setattr(context, name, value if value else UNSPECIFIED)

    def put(self, decoded: Decoded, pixels: NDArray[Any] | None) -> None:
        """Write a frame with these pixels at its time; None: as it was."""
        if pixels is None and self._same_samples(decoded):
            made = decoded.frame
        else:
            shown = decoded.pixels if pixels is None else pixels
            made = frame_of(shown, self.source_coding, self.form.coding, self.form.pixel_format)
        made.pict_type = 0
        when = round((decoded.ticks - self._origin) * self.source.time_base / self._time_base)
        made.pts = self._last = max(when, self._last + 1)
        made.time_base = self._time_base
        made.color_range = 2 if self.form.coding.full else 1
        self.opened.mux(self._stream.encode(made))

    def _same_samples(self, decoded: Decoded) -> bool:
        return decoded.frame.format.name == self.form.pixel_format and not self.source.turned

    def aside(self, packet: Packet) -> None:
        """Pass on what belongs to sound."""
        target = self.copied.get(packet.stream.index)
        if target is None or (self.wanted.container == "avi" and packet.pts is not None and packet.pts < 0):
            # AVI has no times before 0: all else would be put off by a coder's run-up, and a frame lost its place.
            return
        packet.stream = target
        self.opened.mux(packet)

    def finish(self) -> None:
        """Write what is still to come."""
        self.opened.mux(self._stream.encode(None))
        self.opened.close()


def copy(path: Path, wanted: Wanted, source: ClipSource) -> tuple[str, ...]:
    """Write video and sound as they are, without what else the file holds; the names of sound that was left out."""
    opened = _opened(path, wanted, source)
    video = opened.add_stream_from_template(source.video)
    copied, left_out = _sound(opened, source)
    copied[source.video.index] = video
    for packet in source.packets():
        target = copied.get(packet.stream.index)
        if target is not None:
            packet.stream = target
            opened.mux(packet)
    opened.close()
    return left_out


def _opened(path: Path, wanted: Wanted, source: ClipSource) -> Any:
    # bitexact: neither versions of libraries nor random numbers get into the file.
    opened = av.open(str(path), "w", format=wanted.container, options={"fflags": "+bitexact"})
    if wanted.named:
        opened.metadata.update(source.opened.metadata)
    opened.metadata.update(dict(wanted.tags))
    return opened


def _sound(opened: Any, source: ClipSource) -> tuple[dict[int, Any], tuple[str, ...]]:
    """Streams for the sound that this container can hold, by the index of the source's, and the names of the rest."""
    copied, left_out = {}, []
    for stream in source.audio:
        name = stream.codec_context.codec.canonical_name
        if name in opened.supported_codecs:
            copied[stream.index] = opened.add_stream_from_template(stream)
        else:
            left_out.append(name)
    return copied, tuple(left_out)


def _number_of(matrix: tuple[float, float]) -> int:
    return next(number for number in (1, 6, *MATRICES) if MATRICES[number] == matrix)
