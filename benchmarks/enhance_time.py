"""How long enhancing takes: whole processes, and the engine per megapixel once it is loaded.

    python benchmarks/enhance_time.py [--runs N]

Absolute seconds depend on the machine; the last column gives each row as a ratio to starting Python with torch and
MONAI in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from skimage import data
from skimage.transform import resize

from lowlight import Enhancer
from lowlight.artifacts import quantify
from lowlight.imaging import write_png


def dark_picture(height: int, width: int, colour: bool) -> np.ndarray:
    """A real photograph at the asked size with a fifth of its light, uint8."""
    scene = data.retina() if colour else data.retina()[..., 1]
    return np.rint(0.2 * 255 * resize(scene, (height, width)) ** 1.5).astype(np.uint8)


def timed(action: Callable[[], object], runs: int) -> list[float]:
    """Seconds of each of `runs` runs, after one that is not counted."""
    action()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    rows: list[tuple[str, list[float]]] = []
    with tempfile.TemporaryDirectory() as folder:
        image, out = Path(folder) / "dark.png", Path(folder) / "out"
        write_png(dark_picture(512, 512, colour=False), image)

        def process(*arguments: str | Path) -> None:
            subprocess.run([sys.executable, *map(str, arguments)], check=True, capture_output=True)

        rows.append(
            ("python -c 'import torch, monai.bundle'", timed(lambda: process("-c", "import torch, monai.bundle"), runs))
        )
        command = ("-m", "lowlight", "enhance", image, "-o", out)
        rows.append(("lowlight enhance, 512 x 512 grey PNG, whole process", timed(lambda: process(*command), runs)))
    enhancer = Enhancer(device="cpu")
    for height, width, colour in ((512, 512, False), (1024, 1024, False), (1024, 1024, True), (2048, 2048, False)):
        picture = dark_picture(height, width, colour)
        seconds = timed(lambda picture=picture: enhancer(picture), runs)
        rows.append((f"Enhancer, {height} x {width} {'colour' if colour else 'grey'}", seconds))
        per_megapixel = [second / (height * width / 1e6) for second in seconds]
        rows.append(("  per megapixel", per_megapixel))
        rows.append(("  with force: not judged first", timed(lambda p=picture: enhancer(p, force=True), runs)))
        rows.append(("  the artifact report alone", timed(lambda p=picture: quantify(p, (0, 255)), runs)))
    result = enhancer(dark_picture(1024, 1024, colour=False))
    rows.append(("blend, 1024 x 1024 grey", timed(lambda: result.blend(0.7, 0.4), runs)))
    reference = statistics.median(rows[0][1])
    print(f"{'what':56} {'min s':>8} {'median s':>8} {'max s':>8} {'ratio':>7}")
    for name, seconds in rows:
        middle = statistics.median(seconds)
        print(f"{name:56} {min(seconds):8.3f} {middle:8.3f} {max(seconds):8.3f} {middle / reference:7.3f}")


if __name__ == "__main__":
    main()
