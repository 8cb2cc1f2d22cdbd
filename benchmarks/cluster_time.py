"""What a cluster of two worker processes costs beside two independent processes on the same images, in turns.

    python benchmarks/cluster_time.py [--images 400] [--side 512] [--rounds 3]

`lowlight enhance ALL --cluster local[2]` against two `lowlight enhance HALF` at once; one thread each, --force, so that
the network runs. Images per second: of the whole command, with its start; and of the time in which the middle four
fifths of the results came. Processor time an image: of all processes, less what they take for a few images, which is
their start: the difference is what the scheduler and the way to it cost. Ratios are medians of the rounds' own.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import keep
from PIL import Image
from skimage import data
from skimage.transform import resize

TOGETHER, APART = "cluster of 2", "2 processes"
FEW = 32
"""Enough that all processes load the network."""


@dataclass(frozen=True)
class Ran:
    """Images per second of the whole and of the middle; processor seconds of all processes."""

    whole: float
    middle: float
    cpu: float


def images(folder: Path, count: int, side: int) -> list[Path]:
    """Dark, noisy versions of a real fundus photograph, in two halves."""
    scene = 255 * 0.2 * resize(data.retina()[..., 1], (side, side)) ** 1.5
    halves = [folder / "a", folder / "b"]
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, 3, scene.shape)
        half = halves[number % 2]
        half.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(scene + noise, 0, 255).astype(np.uint8)).save(half / f"{number:04}.png")
    return halves


def ran(commands: Sequence[Sequence[str]], out: Path) -> Ran:
    """Run commands at once to their end."""
    shutil.rmtree(out, ignore_errors=True)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    running = [
        subprocess.Popen([sys.executable, "-m", "lowlight", *one], stdout=subprocess.DEVNULL) for one in commands
    ]
    assert all(child.wait() == 0 for child in running)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    moments = sorted(path.stat().st_mtime for path in out.rglob("*.png"))
    first, last = len(moments) // 10, len(moments) - 1 - len(moments) // 10
    middle = (last - first) / max(moments[last] - moments[first], 1e-9)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(len(moments) / seconds, middle, cpu)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images(folder / "all", arguments.images, arguments.side)
        images(folder / "few", FEW, arguments.side)
        out = folder / "out"

        def commands(source: Path, how: str) -> list[list[str]]:
            if how == TOGETHER:
                return [["enhance", str(source), "-o", str(out), "--force", "--cluster", "local[2]"]]
            return [["enhance", str(half), "-o", str(out / half.name), "--force"] for half in sorted(source.iterdir())]

        found: dict[str, list[Ran]] = {TOGETHER: [], APART: []}
        starts: dict[str, list[float]] = {TOGETHER: [], APART: []}
        for number in range(arguments.rounds):
            for how in (TOGETHER, APART) if number % 2 else (APART, TOGETHER):
                starts[how].append(ran(commands(folder / "few", how), out).cpu)
                found[how].append(ran(commands(folder / "all", how), out))
                print(f"{how}: {found[how][-1]}, start {starts[how][-1]:.1f} s of the processor", flush=True)

    count = arguments.images
    print(f"\n{count} images of {arguments.side} x {arguments.side}, {arguments.rounds} rounds, medians")
    print(f"{'':14} {'whole/s':>9} {'middle/s':>9} {'ms of the processor an image':>30}")
    each: dict[str, list[tuple[float, float, float]]] = {}
    for how, runs in found.items():
        per_image = [1000 * (one.cpu - start) / (count - FEW) for one, start in zip(runs, starts[how], strict=True)]
        each[how] = [(one.whole, one.middle, cpu) for one, cpu in zip(runs, per_image, strict=True)]
    table = {how: [statistics.median(column) for column in zip(*rounds, strict=True)] for how, rounds in each.items()}
    for how, row in table.items():
        print(f"{how:14} {row[0]:9.2f} {row[1]:9.2f} {row[2]:30.1f}")
    # Round by round: the machine's own speed changes from one to the next.
    pairs = [
        [one / other for one, other in zip(together, apart, strict=True)]
        for together, apart in zip(each[TOGETHER], each[APART], strict=True)
    ]
    ratios = [statistics.median(column) for column in zip(*pairs, strict=True)]
    group = f"{count} images of {arguments.side} x {arguments.side}, force"
    for kind, unit in enumerate(("images/s, whole", "images/s, middle", "CPU ms an image")):
        for how in (APART, TOGETHER):
            ratio = ratios[kind] if how == TOGETHER else 1.0
            keep(group, f"{how}, {unit}", unit.partition(",")[0], [table[how][kind]], ratio, APART)
    print(f"{'ratio':14} {ratios[0]:9.2f} {ratios[1]:9.2f} {ratios[2]:30.3f}")


if __name__ == "__main__":
    main()
