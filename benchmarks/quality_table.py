"""Print the benchmark's scores as Markdown: ours per modality and severity, beside other methods.

lowlight enhance SHARED/bench/dark -o OUT
python SHARED/bench/score.py OUT --csv ours.csv
python benchmarks/quality_table.py ours.csv SHARED/bench/peers.csv
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

COLUMNS = ("psnr", "ssim", "psnr_fit", "contrast", "dE")
SEVERITIES = ("light", "medium", "heavy")


def mean_rows(scores: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Means per (modality, severity), "all" included, of a per-image score file."""
    groups = defaultdict(list)
    with scores.open(newline="") as stream:
        for row in csv.DictReader(stream):
            for group in (
                (row["modality"], row["severity"]),
                (row["modality"], "all"),
                ("all", row["severity"]),
                ("all", "all"),
            ):
                groups[group].append([float(row[column]) for column in COLUMNS])
    return {group: dict(zip(COLUMNS, _mean(np.array(values)), strict=True)) for group, values in groups.items()}


def _mean(values: np.ndarray) -> list[float]:
    # Grey images have no colour difference: a column of NaN stays NaN without a warning.
    return [
        float(np.mean(column[~np.isnan(column)])) if (~np.isnan(column)).any() else float("nan") for column in values.T
    ]


def formatted(row: dict[str, float]) -> str:
    """The five columns of a table row."""
    texts = [f"{row['psnr']:.2f}", f"{row['ssim']:.3f}", f"{row['psnr_fit']:.2f}", f"{row['contrast']:.2f}"]
    return " | ".join([*texts, "-" if np.isnan(row["dE"]) else f"{row['dE']:.1f}"])


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("peers", type=Path)
    options = parser.parse_args()
    ours = mean_rows(options.scores)
    print("| modality | severity | psnr | ssim | psnr_fit | contrast | dE |\n|---|---|---|---|---|---|---|")
    for modality in sorted({group[0] for group in ours}, key=lambda name: (name == "all", name)):
        for severity in (*SEVERITIES, "all"):
            print(f"| {modality} | {severity} | {formatted(ours[modality, severity])} |")
    print("\n| method | psnr | ssim | psnr_fit | contrast | dE |\n|---|---|---|---|---|---|")
    print(f"| **LowLightEnhance** | {formatted(ours['all', 'all'])} |")
    with options.peers.open(newline="") as stream:
        peers = [row for row in csv.DictReader(stream) if row["modality"] == row["severity"] == "all"]
    for row in sorted(peers, key=lambda row: -float(row["psnr"])):
        print(f"| {row['method']} | {formatted({column: float(row[column]) for column in COLUMNS})} |")


if __name__ == "__main__":
    main()
