"""The crops that all sweeps measure on, and how a figure is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.stats import spearmanr

SIDE = 256
BLACK = 0.02
"""A crop of which more than half lies below this shows a scope's border or air, not a scene."""

LUMA = np.float32([0.299, 0.587, 0.114])
"""Red, green and blue in JPEG's own luminance (ITU-R BT.601)."""


@dataclass(frozen=True)
class Crop:
    """A part of a clean image: ``pixels`` (1 or 3, H, W) float32 in [0, 1]; ``name`` says where it comes from."""

    name: str
    modality: str
    pixels: np.ndarray


@dataclass(frozen=True)
class Figure:
    """One measured number and the bound it should keep; ``target`` is empty where it is only reported."""

    name: str
    value: float
    target: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name:62} {self.value:9.4f}  {self.target:9} {self.note}".rstrip()


def load_crops(data: Path, split: str = "val", per_image: int = 3, side: int = SIDE, images: int = 0) -> list[Crop]:
    """Crops spread over each image of a split, mostly black ones left out, in a fixed order.

    Args:
        data: folder that holds ``val`` and ``train``, each with a folder a modality.
        split: ``val`` or ``train``.
        per_image: at most this many crops an image.
        side: of a crop, px; an image that is smaller gives what it has.
        images: at most this many images a modality; 0 for all.
    """
    crops = []
    for folder in sorted(path for path in (data / split).iterdir() if path.is_dir()):
        files = sorted(folder.glob("*.*"))
        for file in files[: images or len(files)]:
            picture = np.asarray(Image.open(file))
            levels = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
            white = levels.max() if levels.dtype != np.uint8 else 255
            for top, left in _corners(levels.shape[1:], side, per_image):
                part = levels[:, top : top + side, left : left + side].astype(np.float32) / np.float32(white)
                if (part.mean(0) > BLACK).mean() >= 0.5:
                    crops.append(Crop(f"{file.stem}+{top}+{left}", folder.name, np.ascontiguousarray(part)))
    return crops


def _corners(shape: Sequence[int], side: int, count: int) -> list[tuple[int, int]]:
    """Places for ``count`` crops: the middle, then along the diagonals."""
    free = [max(length - side, 0) for length in shape]
    shares = ((0.5, 0.5), (0.2, 0.2), (0.8, 0.8), (0.2, 0.8), (0.8, 0.2))
    return list(dict.fromkeys((int(down * free[0]), int(across * free[1])) for down, across in shares[:count]))


def grey(pixels: np.ndarray) -> np.ndarray:
    """The mean of the channels of a (C, H, W) image: what the estimators but the JPEG one look at."""
    return pixels.mean(0)


def luma(pixels: np.ndarray) -> np.ndarray:
    """JPEG's luminance of a (C, H, W) image."""
    return pixels[0] if len(pixels) == 1 else np.tensordot(LUMA, pixels, 1)


def rank_correlation(truth: Sequence[float], estimate: Sequence[float]) -> float:
    """Spearman's correlation."""
    return float(spearmanr(truth, estimate).statistic)
