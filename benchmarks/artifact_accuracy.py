"""How well each artifact estimator tells the truth: one factor swept over real crops, the others off.

    python benchmarks/artifact_accuracy.py --factor blur --data SHARED/data

``darkness`` is what must not move when only the light is less; ``mixed`` is every damage at once, as in the benchmark.
Figures with a target are marked where they miss it; the exit status is 1 if one does.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from artifact_sweeps.crops import Figure

FACTORS = ("noise", "impulses", "blur", "jpeg", "darkness", "mixed")
SHARED = Path(os.environ.get("LOWLIGHT_SHARED", "../shared"))


def missed(figure: Figure) -> bool:
    """Whether a figure breaks its bound, ">= x" or "<= x"."""
    if not figure.target:
        return False
    sign, bound = figure.target.split()
    return not (figure.value >= float(bound) if sign == ">=" else figure.value <= float(bound))


def main() -> int:
    """Run the sweeps and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factor", choices=(*FACTORS, "all"), default="all")
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder that holds val/ and train/")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    misses = 0
    for factor in FACTORS if options.factor == "all" else (options.factor,):
        started = time.perf_counter()
        figures = importlib.import_module(f"artifact_sweeps.{factor}").sweep(options.data, options.seed)
        print(f"# {factor} ({time.perf_counter() - started:.0f} s)")
        for figure in figures:
            print(f"{figure}{'  MISSED' if missed(figure) else ''}")
            misses += missed(figure)
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
