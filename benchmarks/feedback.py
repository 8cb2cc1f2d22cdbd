"""What fine-tuning by readers' answers does to fidelity: PSNR and SSIM on a benchmark, of two sets of weights in turns.

python benchmarks/feedback.py SHARED/bench monai_bundle/models/model.pt monai_bundle/runs/feedback/model.pt
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lowlight.model.metrics import PSNR, SSIM
from lowlight.model.network import DualPathNet, split_prediction

SEVERITIES = ("light", "medium", "heavy")


def network(weights: Path) -> DualPathNet:
    """The network with saved weights, ready."""
    made = DualPathNet()
    made.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return made.eval()


def observed(bench: Path, every: int, modalities: set[str] | None = None) -> Iterator[tuple[str, str, Path, Path]]:
    """Modality, severity, dark file and clean file of every so many-th observation of each severity."""
    for offset, severity in enumerate(SEVERITIES):
        found = sorted((bench / "dark" / severity).glob("*.jpg"))
        for dark in [one for one in found if modalities is None or modality(one) in modalities][
            offset % every :: every
        ]:
            yield modality(dark), severity, dark, bench / "clean" / f"{dark.stem}.png"


def modality(path: Path) -> str:
    """What the beginning of a file's name tells."""
    return path.stem.partition("_")[0]


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    """Unsigned integers (H, W) or (H, W, 3) as (1, 3, H, W), black 0 and white 1."""
    scaled = torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max)
    return (scaled.expand(3, -1, -1) if scaled.ndim == 2 else scaled.permute(2, 0, 1))[None].contiguous()


class Scores:
    """PSNR and SSIM before and after, by group."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)

    def add(self, groups: tuple[str, ...], enhanced: tuple[torch.Tensor, torch.Tensor], truth: torch.Tensor) -> None:
        """Measure an image before and after."""
        for index, image in enumerate(enhanced):
            measured = (float(PSNR().measure(image, truth)), float(SSIM().measure(image, truth)))
            for group in (*groups, "all"):
                self._kept[group, index].append(measured)

    def tell(self) -> None:
        """Print the means."""
        print(f"{'group':12} {'n':>4} {'psnr':>7} {'':>7} {'ssim':>7} {'':>7} {'change':>8}")
        for group in dict.fromkeys(group for group, _ in self._kept):
            (psnr, ssim), (new_psnr, new_ssim) = (np.mean(self._kept[group, index], axis=0) for index in (0, 1))
            count = len(self._kept[group, 0])
            print(
                f"{group:12} {count:4} {psnr:7.2f} {new_psnr:7.2f} {ssim:7.4f} {new_ssim:7.4f} {new_ssim - ssim:+8.4f}"
            )


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("weights", type=Path, nargs=2)
    parser.add_argument("--every", type=int, default=1, help="take every so many-th image of each severity")
    options = parser.parse_args()
    first, second = (network(weights) for weights in options.weights)
    scores = Scores()
    for kind, severity, dark, clean in observed(options.bench, options.every):
        seen = as_tensor(np.asarray(Image.open(dark)))
        before, after = (split_prediction(one(seen)).enhanced.clamp(0, 1) for one in (first, second))
        scores.add((severity, kind), (before, after), as_tensor(np.asarray(Image.open(clean))))
    scores.tell()


if __name__ == "__main__":
    main()
