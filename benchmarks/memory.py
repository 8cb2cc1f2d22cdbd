"""Most memory of `lowlight enhance` as a process, for images of several sizes, without a bound and with some.

    python benchmarks/memory.py [--bound 1GB] ... [--size best]

Ends with 1 where a process took more than it was allowed; refused images do not count. Linux.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import dark_picture, keep

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from measured_process import measured

from lowlight.imaging import write_png
from lowlight.imaging.limits import whole_number

SIZES = ((1024, 1024), (2048, 2048), (4096, 3328))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bound", action="append", default=None)
    parser.add_argument("--least", type=int, default=0, help="leave out images of fewer pixels")
    parser.add_argument("--size", default="default", help="of the network")
    options = parser.parse_args()
    bounds = [None, *(options.bound or ["1.2GB", "800MB", "400MB"])]
    missed = False
    print(f"{'image':>22} {'--max-memory':>12} {'most GB':>8} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for height, width in (size for size in SIZES if math.prod(size) >= options.least):
            for kind in ("grey, 16 bits", "colour"):
                dark = dark_picture(height, width, colour=kind == "colour")
                image = Path(folder) / f"{height} {kind}.png"
                write_png(dark if kind == "colour" else dark.astype(np.uint16) * 257, image)
                for bound in bounds:
                    wish = ["--size", options.size, *(["--max-memory", bound] if bound else [])]
                    started = time.monotonic()
                    ended = measured("enhance", str(image), "-o", str(Path(folder) / "out"), *wish)
                    seconds, done = time.monotonic() - started, ended.code == 0
                    over = done and bound is not None and ended.most > whole_number(bound, bound)
                    missed |= over
                    told = ("" if done else "refused") + (" over" if over else "")
                    name = f"{width} x {height} {kind.split(',')[0]}"
                    if done:
                        allowed = ended.most / whole_number(bound, bound) if bound else None
                        row = f"{name}, {f'at most {bound}' if bound else 'unbounded'}"
                        keep("most memory", row, "GB", [ended.most / 1e9], allowed, bound or "")
                    print(f"{name:>22} {bound or 'none':>12} {ended.most / 1e9:8.2f} {seconds:8.1f} {told}", flush=True)
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
