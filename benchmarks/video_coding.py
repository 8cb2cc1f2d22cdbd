"""What coding costs a film: error and size of the codecs that results are written with, and of others beside them.

    python benchmarks/video_coding.py

The film is that of benchmarks/flicker.py, clean; the error is that of red, green and blue after decoding. The part
of it that comes from chroma at half the resolution, whatever the codec does, stands in the first line.
"""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np
from flicker import RATE, clean_film
from PIL import Image

from lowlight.imaging import video_encoding
from lowlight.imaging.limits import Limits
from lowlight.imaging.video_colour import BT709, Coding, frame_of, pixels_of
from lowlight.imaging.video_decoding import ClipSource, Course
from lowlight.imaging.video_encoding import ClipTarget, Wanted

FRAMES = 12


def main() -> None:
    """Print the table."""
    with Image.open(str(files("skimage") / "data" / "astronaut.png")) as image:
        film = list(clean_film(image, FRAMES))
    coding = Coding("yuv", 8, False, BT709)
    chroma = [pixels_of(frame_of(frame, coding, coding, "yuv420p"), coding) for frame in film]
    print(f"{'coding':>24} {'PSNR dB':>8} {'Mbit/s':>8}")
    print(f"{'4:2:0 alone':>24} {_psnr(film, chroma):8.1f}")
    with tempfile.TemporaryDirectory() as folder:
        source_file = Path(folder) / "source.mkv"
        _write_source(source_file, film)
        for container, suffix, crf, lossless in (
            ("mp4", ".mp4", "18", False),
            ("mp4", ".mp4", "8", False),
            ("avi", ".avi", "", False),
            ("matroska", ".mkv", "", True),
        ):
            if crf:
                video_encoding.QUALITY["crf"] = crf
            target = Path(folder) / f"target{suffix}"
            codec = _rewrite(source_file, target, container, lossless)
            seen = ClipSource(target, {"mp4": "mov"}.get(container, container), Limits())
            back = [decoded.pixels for decoded in seen.frames(coloured=True)]
            seen.close()
            rate = target.stat().st_size * 8 / (FRAMES / RATE) / 1e6
            print(f"{codec + (' crf ' + crf if crf else ''):>24} {_psnr(film, back):8.1f} {rate:8.1f}")


def _write_source(path: Path, film: list[np.ndarray]) -> None:
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=int(RATE))
        stream.height, stream.width = film[0].shape[:2]
        stream.pix_fmt = "bgr0"
        for frame in film:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="bgr0")))
        out.mux(stream.encode(None))


def _rewrite(source_file: Path, target_file: Path, container: str, lossless: bool) -> str:
    target_file.touch()
    source, target = ClipSource(source_file, "matroska", Limits()), None
    course = Course(frames=FRAMES, coloured=True)
    for decoded in source.frames(coloured=True):
        if target is None:
            target = ClipTarget(target_file, Wanted(container, lossless), source, decoded, course)
        target.put(decoded, decoded.pixels)
    assert target is not None
    target.finish()
    source.close()
    return target.form.codec


def _psnr(film: list[np.ndarray], other: list[np.ndarray]) -> float:
    error = np.mean([np.mean((a.astype(float) - b) ** 2) for a, b in zip(film, other, strict=True)])
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


if __name__ == "__main__":
    main()
