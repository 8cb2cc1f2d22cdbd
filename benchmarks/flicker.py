"""How much brighter and darker an enhanced film becomes from frame to frame, against the film as it should be.

    python benchmarks/flicker.py [IMAGE ...] [--severity heavy] [--frames 100] [--seed 1]

A film is made from an image by slowly panning and zooming over it, and darkened frame by frame: with one exposure, and
fresh noise each time. Flicker is the standard deviation of the change of the mean from one frame to the next, in grey
levels of 255. Ends with 1 where the enhanced film flickers more than 1.1 times as much as the clean one, plus 0.1.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
from measuring import keep
from numpy.typing import NDArray
from PIL import Image

from lowlight import Enhancer
from lowlight.degradation import LowLight, Observation, RowNoise, SaltAndPepper, SensorNoise
from lowlight.degradation.base import draw_seed

SIZE = (640, 480)
RATE = 25.0
NOISE = (SensorNoise, RowNoise, SaltAndPepper)
"""What is new in every frame; light, blur and coding stay."""

SAMPLES = ("retina.jpg", "astronaut.png")


def clean_film(image: Image.Image, count: int, size: tuple[int, int] = SIZE) -> Iterator[NDArray[np.uint8]]:
    """A slow pan and zoom over an image: uint8 (H, W) or (H, W, 3), one a frame, about 4 s for a way and back."""
    width, height = size
    scale = max(width / image.width, height / image.height) / 0.7
    ready = (
        image
        if scale <= 1
        else image.resize((math.ceil(image.width * scale), math.ceil(image.height * scale)), Image.Resampling.BICUBIC)
    )
    widest = min(ready.width / width, ready.height / height)
    for number in range(count):
        phase = 2 * math.pi * number / (4 * RATE)
        zoom = widest * (0.8 + 0.1 * math.cos(phase))
        across, down = width * zoom, height * zoom
        left = (ready.width - across) * (0.5 + 0.4 * math.sin(phase))
        top = (ready.height - down) * (0.5 + 0.4 * math.sin(phase / 2))
        yield np.asarray(
            ready.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + across, top + down), reducing_gap=2.0)
        )


def darkened(
    film: Iterator[NDArray[np.uint8]], severity: str, seed: int, modality: str | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The film as a camera sees it that has one exposure, and fresh noise in every frame."""
    random = np.random.RandomState(seed)
    drawn = LowLight(severity=severity, modality=modality).draw(random)
    for frame in film:
        steps = [
            dataclasses.replace(step, seed=draw_seed(random)) if isinstance(step, NOISE) else step
            for step in drawn.steps
        ]
        channels = frame[None] if frame.ndim == 2 else np.moveaxis(frame, -1, 0)
        dark = Observation(tuple(steps)).apply(channels.astype(np.float32) / 255)
        dark = np.rint(np.clip(dark, 0, 1) * 255).astype(np.uint8)
        yield dark[0] if frame.ndim == 2 else np.ascontiguousarray(np.moveaxis(dark, 0, -1))


def flicker(means: list[float]) -> float:
    """Standard deviation of the change from one frame to the next."""
    return float(np.diff(means).std())


@dataclasses.dataclass(frozen=True)
class Measured:
    """Flicker in grey levels of 255: of the clean film, the dark one, each frame enhanced for itself, the stream."""

    clean: float
    dark: float
    alone: float
    streamed: float

    @property
    def allowed(self) -> float:
        """What the stream may have."""
        return 1.1 * self.clean + 0.1


def measure(
    enhancer: Enhancer, image: Image.Image, severity: str, count: int, seed: int, modality: str | None = None
) -> Measured:
    """Flicker of one film. Not a frame of it is judged beforehand."""
    clean = [float(frame.mean()) for frame in clean_film(image, count)]
    dark: list[float] = []
    alone: list[float] = []

    def frames() -> Iterator[NDArray[np.uint8]]:
        for frame in darkened(clean_film(image, count), severity, seed, modality):
            dark.append(float(frame.mean()))
            alone.append(float(enhancer(frame, force=True).image.mean()))
            yield frame

    streamed = [float(result.image.mean()) for result in enhancer.stream(frames(), RATE)]
    return Measured(*(flicker(means) for means in (clean, dark, alone, streamed)))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="default: two of scikit-image")
    parser.add_argument("--severity", action="append", choices=("light", "medium", "heavy"))
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    images = options.images or [Path(str(files("skimage") / "data" / name)) for name in SAMPLES]
    enhancer, missed = Enhancer(device="cpu"), False
    print(
        f"{'image':>28} {'severity':>8} {'clean':>7} {'dark':>7} {'each frame alone':>17} {'stream':>7} {'allowed':>8}"
    )
    for path in images:
        for severity in options.severity or ["medium", "heavy"]:
            with Image.open(path) as image:
                found = measure(enhancer, image, severity, options.frames, options.seed)
            over = found.streamed > found.allowed
            missed |= over
            name = f"{path.name}, {severity}, {options.frames} frames"
            keep(
                "flicker of a film",
                name,
                "levels",
                [found.streamed],
                found.streamed / found.allowed,
                "the most allowed",
            )
            print(
                f"{path.name:>28} {severity:>8} {found.clean:7.3f} {found.dark:7.3f} {found.alone:17.3f} "
                f"{found.streamed:7.3f} {found.allowed:8.3f}{' over' if over else ''}",
                flush=True,
            )
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
