"""Milliseconds that the whole low-light chain takes for a 256 x 256 patch, on one thread.

    python benchmarks/degradation_time.py [--repeats 200]

Each repeat draws new parameters. The median is what a training pays; the 95th percentile shows the slow draws.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from measuring import keep
from skimage import data

from lowlight.degradation import SEVERITIES, LowLight

TARGETS = {"grey": 15.0, "colour": 40.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    colour = torch.from_numpy(data.retina()[500:756, 500:756].transpose(2, 0, 1).astype(np.float32) / 255)
    print(f"{'patch':8}{'severity':10}{'median ms':>10}{'p95 ms':>9}{'target ms':>11}")
    for name, patch in (("grey", colour[1:2]), ("colour", colour)):
        for severity in SEVERITIES:
            transform = LowLight(severity).set_random_state(0)
            transform(patch)  # the first call loads the codec
            times = []
            for _ in range(repeats):
                start = time.perf_counter()
                transform(patch)
                times.append(1e3 * (time.perf_counter() - start))
            median, slow = np.percentile(times, (50, 95))
            target = f"{TARGETS[name]:g} ms"
            keep("degradation, 256 x 256", f"{name}, {severity}", "ms", times, median / TARGETS[name], target)
            print(f"{name:8}{severity:10}{median:10.1f}{slow:9.1f}{TARGETS[name]:11.0f}")


if __name__ == "__main__":
    main()
