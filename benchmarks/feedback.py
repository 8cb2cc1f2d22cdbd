"""What fine-tuning by readers' answers does to fidelity: PSNR and SSIM on a benchmark, of two sets of weights in turns.

python benchmarks/feedback.py SHARED/bench monai_bundle/models/model.pt monai_bundle/runs/feedback/model.pt --every 3
"""

from __future__ import annotations

import argparse
from collections import defaultdict
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


def picture(path: Path) -> torch.Tensor:
    """An image file as (1, 3, H, W), black 0 and white 1."""
    pixels = np.asarray(Image.open(path))
    scaled = torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max)
    return (scaled.expand(3, -1, -1) if scaled.ndim == 2 else scaled.permute(2, 0, 1))[None].contiguous()


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("weights", type=Path, nargs=2)
    parser.add_argument("--every", type=int, default=1, help="take every so many-th image of each severity")
    options = parser.parse_args()
    networks = [network(weights) for weights in options.weights]
    scores: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for offset, severity in enumerate(SEVERITIES):
        for dark in sorted((options.bench / "dark" / severity).glob("*.jpg"))[offset % options.every :: options.every]:
            truth, seen = picture(options.bench / "clean" / f"{dark.stem}.png"), picture(dark)
            for index, one in enumerate(networks):
                enhanced = split_prediction(one(seen)).enhanced.clamp(0, 1)
                measured = (float(PSNR().measure(enhanced, truth)), float(SSIM().measure(enhanced, truth)))
                for group in (severity, dark.stem.partition("_")[0], "all"):
                    scores[group, index].append(measured)
    print(f"{'group':12} {'n':>4} {'psnr':>7} {'':>7} {'ssim':>7} {'':>7} {'change':>8}")
    for group in dict.fromkeys(group for group, _ in scores):
        (psnr, ssim), (new_psnr, new_ssim) = (np.mean(scores[group, index], axis=0) for index in (0, 1))
        count = len(scores[group, 0])
        print(f"{group:12} {count:4} {psnr:7.2f} {new_psnr:7.2f} {ssim:7.4f} {new_ssim:7.4f} {new_ssim - ssim:+8.4f}")


if __name__ == "__main__":
    main()
