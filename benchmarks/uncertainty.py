"""Whether the expected error is the actual one: rank correlation over blocks, and how many pixels lie within twice it.

    python benchmarks/uncertainty.py --data SHARED/bench/clean [--weights model.pt] [--severity medium]

Per image, Spearman's correlation of expected and actual root-mean-square error over blocks of 16 x 16 px; averaged by
modality. Targets at medium: >= 0.6, and 91 to 98 % of the pixels within twice the expected error.
"""

from __future__ import annotations

import numpy as np
from collection import SEVERITIES, clean_images, enhance, enhancer, observation, options, print_table, shown
from rich.progress import track
from scipy.stats import spearmanr

BLOCK = 16


def block_means(values: np.ndarray) -> np.ndarray:
    """Means over whole blocks of an (H, W) array; what does not fill a block is left out."""
    height, width = (side // BLOCK for side in values.shape)
    cut = values[: height * BLOCK, : width * BLOCK]
    return cut.reshape(height, BLOCK, width, BLOCK).mean((1, 3))


def main() -> None:
    """Measure and print one table."""
    parser = options(__doc__)
    parser.add_argument("--severity", choices=SEVERITIES, default="medium")
    chosen = parser.parse_args()
    engine = enhancer(chosen.weights)
    found: dict[str, list[list[float]]] = {}
    for clean in track(list(clean_images(chosen.data, chosen.limit)), "enhancing"):
        result = enhance(engine, observation(clean.pixels, clean.name, clean.modality, chosen.severity))
        square = (shown(result) - clean.pixels) ** 2
        square = square.mean(-1) if square.ndim == 3 else square
        expected = result.uncertainty.astype(np.float64)
        correlation = float(spearmanr(block_means(square).ravel(), block_means(expected**2).ravel())[0])
        within = float(np.mean(square <= (2 * expected) ** 2))
        numbers = [correlation, within, float(np.sqrt(square.mean())), float(np.sqrt((expected**2).mean()))]
        found.setdefault(clean.modality, []).append(numbers)
    means = {name: np.nanmean(numbers, axis=0) for name, numbers in sorted(found.items())}
    means["mean of modalities"] = np.mean(list(means.values()), axis=0)
    counts = {name: str(len(numbers)) for name, numbers in found.items()}
    rows = [
        [name, counts.get(name, ""), f"{spearman:.3f}", f"{within:.1%}", f"{actual:.4f}", f"{expected:.4f}"]
        for name, (spearman, within, actual, expected) in means.items()
    ]
    columns = ["modality", "images", "Spearman", "within 2 x expected", "actual RMS error", "expected RMS error"]
    print_table(f"Expected against actual error, {chosen.severity}", columns, rows)


if __name__ == "__main__":
    main()
