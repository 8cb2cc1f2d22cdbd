"""Most memory of `lowlight enhance` as a process, for images of several sizes, without a bound and with some.

    python benchmarks/memory.py [--bound 1GB] ...

Ends with 1 where a process took more than it was allowed; what reading a refused image takes does not count. Linux.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from enhance_time import dark_picture

from lowlight.imaging import write_png
from lowlight.imaging.limits import whole_number

SIZES = ((1024, 1024), (2048, 2048), (4096, 3328))

PROGRAM = """
import re, runpy, sys
sys.argv[0] = "lowlight"
try:
    runpy.run_module("lowlight", run_name="__main__", alter_sys=True)
finally:
    with open("/proc/self/status") as status:
        print("most", re.search(r"VmHWM:\\s*(\\d+) kB", status.read())[1])
"""
"""As in tests/enhance/test_memory.py: what the system tells of an ended process begins with what its parent held."""


def peak(image: Path, out: Path, bound: str | None) -> tuple[float, int, bool]:
    """Seconds of a process, the most bytes it held, and whether there is a result."""
    command = [sys.executable, "-c", PROGRAM, "enhance", str(image), "-o", str(out)]
    started = time.monotonic()
    ended = subprocess.run(command + (["--max-memory", bound] if bound else []), stdout=subprocess.PIPE, text=True)
    return time.monotonic() - started, int(ended.stdout.split()[-1]) * 1024, ended.returncode == 0


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bound", action="append", default=None)
    parser.add_argument("--least", type=int, default=0, help="leave out images of fewer pixels")
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
                    seconds, most, done = peak(image, Path(folder) / "out", bound)
                    over = done and bound is not None and most > whole_number(bound, bound)
                    missed |= over
                    told = ("" if done else "refused") + (" over" if over else "")
                    name = f"{width} x {height} {kind[:6]}"
                    print(f"{name:>22} {bound or 'none':>12} {most / 1e9:8.2f} {seconds:8.1f} {told}", flush=True)
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
