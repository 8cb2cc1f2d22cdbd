"""Films for tests, written by PyAV from a real image: as many kinds as FFmpeg makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

RATE, SOUND_RATE = 25, 48000


def retina(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """A real fundus photograph, (height, width, 3)."""
    with Image.open(str(files("skimage") / "data/retina.jpg")) as image:
        return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def panned(count: int = 12, width: int = 96, height: int = 64, light: float = 0.25) -> list[NDArray[np.uint8]]:
    """Dark frames of a camera that moves over it by a pixel a frame."""
    wide = retina(width + count, height)
    return [(wide[:, number : number + width] * light).astype(np.uint8) for number in range(count)]


def write_film(
    path: Path,
    frames: Iterable[NDArray[Any]],
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    *,
    ticks: Sequence[int] | None = None,
    matrix: int | None = None,
    full: bool = False,
    sound: str | None = None,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    transfer: int | None = None,
) -> Path:
    """Write RGB frames (H, W, 3) as a film of 25 frames a second, or with a frame at each of `ticks` milliseconds.

    Args:
        matrix: 1 is BT.709, 5 BT.601; None: not told, coded as BT.601. full: of range 0 to 255.
        sound: codec of a tone that goes with it. options: of the codec. container: of the container.
    """
    with av.open(str(path), "w", options=container or {}) as out:
        out.metadata.update(metadata or {})
        stream: Any = out.add_stream(codec, rate=RATE, options=options or ({"crf": "8"} if codec == "libx264" else {}))
        heard: Any = out.add_stream(sound, rate=SOUND_RATE) if sound else None
        for number, pixels in enumerate(frames):
            if number == 0:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = pixel_format
                context = stream.codec_context
                context.color_range = 2 if full else 1
                if matrix is not None:
                    context.colorspace = matrix
                if transfer is not None:
                    context.color_trc = transfer
                if ticks is not None:
                    stream.time_base = context.time_base = Fraction(1, 1000)
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24").reformat(
                format=pixel_format,
                dst_colorspace=matrix or 5,
                src_color_range=2,
                dst_color_range=2 if full else 1,
                interpolation="BICUBIC",
            )
            if ticks is not None:
                frame.pts, frame.time_base = ticks[number], Fraction(1, 1000)
            out.mux(stream.encode(frame))
            if heard is not None:
                out.mux(heard.encode(tone(number)))
        out.mux(stream.encode(None))
        if heard is not None:
            out.mux(heard.encode(None))
    return path


def tone(number: int) -> av.AudioFrame:
    length = SOUND_RATE // RATE
    wave = np.sin(np.arange(length) / 20 + number) * 8000
    frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate = SOUND_RATE
    frame.pts = number * length
    return frame


def turned(path: Path, quarter_turns: int) -> Path:
    """An MP4 file with a display matrix that turns its picture clockwise: written into the track's header."""
    content = bytearray(path.read_bytes())
    header = content.index(b"tkhd")
    place = header + 4 + 4 + 36
    one = 1 << 16
    a, b, c, d = {1: (0, one, -one, 0), 2: (-one, 0, 0, -one), 3: (0, -one, one, 0)}[quarter_turns]
    values = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    content[place : place + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(content)
    return path


def times(path: Path) -> list[float]:
    """When each frame is shown, in seconds, as another program sees it."""
    with av.open(str(path)) as opened:
        return [float(frame.pts * frame.time_base) for frame in opened.decode(video=0)]


def packets(path: Path, kind: str = "video") -> list[bytes]:
    """What a stream consists of, as it is coded."""
    with av.open(str(path)) as opened:
        streams = getattr(opened.streams, kind)
        return [bytes(packet) for packet in opened.demux(streams[0]) if packet.size] if streams else []


def planes(path: Path) -> list[list[NDArray[Any]]]:
    """The planes of every frame, as they are coded."""
    with av.open(str(path)) as opened:
        return [
            [
                np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
                for plane in frame.planes
            ]
            for frame in opened.decode(video=0)
        ]
