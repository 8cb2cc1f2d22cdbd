"""What becomes of good images: PSNR of each clean image to its own output, by the network without any gate.

    python benchmarks/do_no_harm.py --data SHARED/bench/clean [--weights model.pt]

Targets: mean >= 42 dB, >= 40 dB for 88 % of the images, minimum >= 24 dB.
"""

from __future__ import annotations

import numpy as np
from collection import clean_images, enhance, enhancer, options, print_table, shown
from rich.progress import track


def main() -> None:
    """Measure and print one table."""
    chosen = options(__doc__).parse_args()
    engine = enhancer(chosen.weights)
    values: dict[str, list[float]] = {}
    worst = (np.inf, "")
    for clean in track(list(clean_images(chosen.data, chosen.limit)), "enhancing"):
        error = float(np.mean((shown(enhance(engine, clean.pixels)) - clean.pixels) ** 2))
        psnr = -10 * np.log10(max(error, 1e-10))
        values.setdefault(clean.modality, []).append(psnr)
        worst = min(worst, (psnr, clean.name))
    everything = [psnr for group in values.values() for psnr in group]
    rows = [
        [
            name,
            str(len(group)),
            f"{np.mean(group):.1f}",
            f"{np.mean(np.array(group) >= 40):.0%}",
            f"{np.mean(np.array(group) >= 32):.0%}",
            f"{min(group):.1f}",
        ]
        for name, group in [*sorted(values.items()), ("all", everything)]
    ]
    columns = ["modality", "images", "mean dB", ">= 40 dB", ">= 32 dB", "least dB"]
    print_table("Clean images, PSNR to their own output", columns, rows)
    print(f"\nleast: {worst[1]}")


if __name__ == "__main__":
    main()
