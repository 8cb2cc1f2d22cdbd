"""What the benchmarks of promises share: clean images of a folder, their fixed observations, and the engine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lowlight import Enhancer
from lowlight.enhance.result import Result
from lowlight.enhance.torch_engine import TorchEngine
from lowlight.evaluation.modalities import Modalities
from lowlight.imaging import collect
from lowlight.imaging.transforms import ReadImage
from lowlight.training.handlers import load_weights
from lowlight.training.transforms import FixedLowLightd

SEVERITIES = ("light", "medium", "heavy")


@dataclass(frozen=True)
class Clean:
    """A clean image: pixels (H, W) or (H, W, 3), float32, black 0 and white 1."""

    name: str
    modality: str
    pixels: np.ndarray


def options(purpose: str | None) -> argparse.ArgumentParser:
    """The arguments that every benchmark here takes."""
    parser = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="clean images")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a model.pt; default: the shipped one")
    parser.add_argument("--limit", type=int, metavar="N", help="about N images, evenly taken, for a trial")
    return parser


def clean_images(folder: Path, limit: int | None = None, modality: str | None = None) -> Iterator[Clean]:
    """The images below a folder, by name. A 16-bit image's own maximum is its white, as in training."""
    found = list(collect([folder]))
    modalities = Modalities()
    told = [(item, modalities.of([(item.path, item.relative)])[0]) for item in found]
    chosen = [(item, named) for item, named in told if modality in (None, named)]
    step = 1 if limit is None else max(1, len(chosen) // limit)
    read = ReadImage(full_range_16bit="own_maximum")
    for item, named in chosen[::step]:
        planes = np.clip(read(item.path).numpy(), 0, 1)
        yield Clean(item.path.name, named, planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1))


def observation(pixels: np.ndarray, name: str, modality: str, severity: str) -> np.ndarray:
    """The low-light observation of a clean image that `evaluate.yaml` has too: the same in every run."""
    planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    item = {
        "image": torch.from_numpy(np.ascontiguousarray(planes, np.float32)),
        "name": name,
        "modality": modality,
        "severity": severity,
    }
    observed = FixedLowLightd("image")(item)["image"].numpy()
    return observed[0] if len(observed) == 1 else np.moveaxis(observed, 0, -1)


def enhancer(weights: Path | None) -> Enhancer:
    """The engine, with other weights than the shipped ones if a file is named."""
    if weights is None:
        return Enhancer(device="cpu")
    # Other weights have no graph of their own.
    enhancer = Enhancer(device="cpu", engine="torch")
    assert isinstance(enhancer.engine, TorchEngine)
    load_weights(enhancer.engine.network, weights)
    return enhancer


def enhance(engine: Enhancer, pixels: np.ndarray) -> Result:
    """Enhance at full strength by the network itself, whatever the engine would leave alone without asking it."""
    return engine(np.asarray(pixels, np.float32), brightness=1.0, denoise=1.0, force=True)


def shown(result: Result) -> np.ndarray:
    """The enhanced image as a screen shows it: clipped to black and white."""
    return np.clip(result.image, 0, 1)


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table as Markdown."""
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
