"""How long enhancing takes: whole processes, and the engine per megapixel once it is loaded.

    python benchmarks/enhance_time.py [--runs N] [--threads N]

Absolute seconds depend on the machine; the last column gives each row as a ratio to another row of the same run: whole
processes to starting Python with what enhancing a file needs at least, the engines to torch at the same size. What is
compared runs in turns, so that other work on the machine slows both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from skimage import data
from skimage.transform import resize

from lowlight import Enhancer
from lowlight.artifacts import quantify
from lowlight.enhance.enhancer import frames_to_display
from lowlight.imaging import write_png


def dark_picture(height: int, width: int, colour: bool) -> np.ndarray:
    """A real photograph at the asked size with a fifth of its light, uint8."""
    scene = data.retina() if colour else data.retina()[..., 1]
    return np.rint(0.2 * 255 * resize(scene, (height, width)) ** 1.5).astype(np.uint8)


def in_turns(actions: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Seconds of each of `runs` runs of every action, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for run in range(runs + 1):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            if run:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def show(title: str, measured: dict[str, list[float]], reference: str) -> None:
    """Print a table, each row as a ratio to one of them."""
    base = statistics.median(measured[reference])
    print(f"\n{title:56} {'min s':>8} {'median s':>8} {'max s':>8} {'ratio':>7}")
    for name, seconds in measured.items():
        middle = statistics.median(seconds)
        print(f"{name:56} {min(seconds):8.3f} {middle:8.3f} {max(seconds):8.3f} {middle / base:7.3f}")


def whole_processes(runs: int) -> None:
    """Enhance a file from the command line."""
    with tempfile.TemporaryDirectory() as folder:
        image, out = Path(folder) / "dark.png", Path(folder) / "out"
        write_png(dark_picture(512, 512, colour=False), image)

        def process(*arguments: str | Path) -> None:
            subprocess.run([sys.executable, *map(str, arguments)], check=True, capture_output=True)

        least = "python -c 'import onnxruntime, pydicom, PIL'"
        actions: dict[str, Callable[[], object]] = {
            least: lambda: process("-c", "import onnxruntime, pydicom, PIL"),
            "python -c 'import torch, monai.bundle'": lambda: process("-c", "import torch, monai.bundle"),
            "lowlight enhance, 512 x 512 grey PNG": lambda: process("-m", "lowlight", "enhance", image, "-o", out),
        }
        show("whole processes", in_turns(actions, runs), least)


def engines(runs: int) -> None:
    """Enhance arrays, once everything is loaded; `force`: without judging first whether there is anything to do."""
    loaded = {name: Enhancer(device="cpu", engine=name) for name in ("torch", "onnx")}
    for height, width, colour in ((512, 512, False), (1024, 1024, False), (1024, 1024, True), (2048, 2048, False)):
        picture = dark_picture(height, width, colour)
        actions: dict[str, Callable[[], object]] = {
            f"Enhancer, {name}, force": lambda e=enhancer, p=picture: e(p, force=True)
            for name, enhancer in loaded.items()
        }
        actions["Enhancer, onnx"] = lambda p=picture: loaded["onnx"](p)
        actions["artifact report alone"] = lambda p=picture: quantify(p, (0, 255))
        for name, enhancer in loaded.items():
            display = frames_to_display(picture, (0, 255), frames=False)
            actions[f"network alone, {name}"] = lambda e=enhancer, d=display: e.engine.predict(d)
        show(f"{height} x {width} {'colour' if colour else 'grey'}", in_turns(actions, runs), "Enhancer, torch, force")
    result = loaded["onnx"](dark_picture(1024, 1024, colour=False), force=True)
    blending = {"blend, 1024 x 1024 grey": lambda: result.blend(0.7, 0.4)}
    show("without the network", in_turns(blending, runs), "blend, 1024 x 1024 grey")


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    # Both engines and all processes started from here follow it.
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    torch.set_num_threads(arguments.threads)
    whole_processes(arguments.runs)
    engines(arguments.runs)


if __name__ == "__main__":
    main()
