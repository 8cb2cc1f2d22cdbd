"""How much of an image's noise JPEG leaves where `estimate_noise` looks: the table of lowlight.artifacts.coded_noise.

    python benchmarks/fit_coded_noise.py

White noise of known sigma on mid grey, compressed as grey with libjpeg's tables, and measured; the mean of several
draws. Prints the table as Python.
"""

from __future__ import annotations

import numpy as np

from lowlight.artifacts.noise import estimate_noise
from lowlight.degradation import JpegCompression

QUALITIES = (20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
SIGMAS = (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12)
DRAWS = 4
SIDE = 384


def seen(quality: int, sigma: float) -> float:
    """What is left of `sigma` after compression, of range."""
    found = []
    for draw in range(DRAWS):
        noise = np.random.default_rng(draw).standard_normal((1, SIDE, SIDE), dtype=np.float32)
        # A slope, so that blocks differ in their mean as those of a picture do.
        ramp = np.linspace(0.4, 0.6, SIDE, dtype=np.float32)
        coded = np.asarray(JpegCompression(quality).apply(ramp + np.float32(sigma) * noise))
        found.append(estimate_noise(coded[0]).sigma.value or 0.0)
    return float(np.mean(found))


def main() -> None:
    """Print the table."""
    print(f"QUALITIES = {QUALITIES}\nSIGMAS = {SIGMAS}\nSEEN = (")
    for quality in QUALITIES:
        print(f"    ({', '.join(f'{seen(quality, sigma):.5f}' for sigma in SIGMAS)}),", flush=True)
    print(")")


if __name__ == "__main__":
    main()
