"""How long enhancing takes: whole processes, the engine once it is loaded, and how time grows with the image.

    python benchmarks/enhance_time.py [--runs N] [--threads N] [--sizes]

Absolute seconds depend on the machine; the last column gives each row as a ratio to another row of the same run: whole
processes to starting Python with what enhancing a file needs at least, the engines to torch at the same size and, at
1024 x 1024, to what OpenCV needs for a gamma and non-local means, as are the sizes of the network (with --sizes nothing
else is measured). What is compared runs in turns, so that other work on the machine slows both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from measuring import dark_picture, in_turns, keep, show

from lowlight import Enhancer
from lowlight.artifacts import quantify
from lowlight.bundle import BFLOAT16
from lowlight.enhance.enhancer import frames_to_display
from lowlight.imaging import write_png
from lowlight.model.precision import has_bfloat16


def whole_processes(runs: int) -> None:
    """Enhance a file from the command line."""
    with tempfile.TemporaryDirectory() as folder:
        image, out = Path(folder) / "dark.png", Path(folder) / "out"
        write_png(dark_picture(512, 512, colour=False), image)

        # As it is installed: pip compiles packages once, which a checkout forbidden to write would do at every start.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

        def process(*arguments: str | Path) -> None:
            command = [sys.executable, *map(str, arguments)]
            subprocess.run(command, check=True, capture_output=True, env=environment)

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


def gamma_and_non_local_means(picture: np.ndarray) -> np.ndarray:
    """What many do instead: a gamma that brings the mean to 0.4, and OpenCV's fastNlMeansDenoising(5, 7, 15)."""
    gamma = np.log(0.4) / np.log(max(float(picture.mean()) / 255, 1e-3))
    brighter = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return cv2.fastNlMeansDenoising(cv2.LUT(picture, brighter), None, 5, 7, 15)


def against_non_local_means(runs: int) -> None:
    """Every size and OpenCV, all with the same threads; in 16 bits too where the processor has units for them."""
    picture = dark_picture(1024, 1024, colour=False)
    sizes = {size: Enhancer(device="cpu", size=size) for size in ("default", "fast", "best")}
    if has_bfloat16(torch.device("cpu")):
        for size in ("default", "fast", "best"):
            sizes[f"{BFLOAT16}, {size}"] = Enhancer(device="cpu", size=size, engine=BFLOAT16)
    reference = "OpenCV, gamma and non-local means"
    actions: dict[str, Callable[[], object]] = {reference: lambda: gamma_and_non_local_means(picture)}
    for size, enhancer in sizes.items():
        name = "Enhancer" if size == "default" else f"Enhancer, {size}"
        actions[name] = lambda e=enhancer: e(picture)
        actions[f"{name}, force"] = lambda e=enhancer: e(picture, force=True)
    show("1024 x 1024 grey against OpenCV", in_turns(actions, runs), reference)


def growth(runs: int) -> None:
    """How time grows with the number of pixels: the exponent of a power law through the least seconds of each size."""
    enhancer = Enhancer(device="cpu")
    sides = (512, 1024, 2048, 4096)
    pictures = {f"{side} x {side} grey": dark_picture(side, side, colour=False) for side in sides}
    actions: dict[str, Callable[[], object]] = {
        name: lambda p=picture: enhancer(p, force=True) for name, picture in pictures.items()
    }
    seconds = in_turns(actions, runs)
    show("growth, force", seconds, "1024 x 1024 grey")
    logarithms = np.log([[side * side, min(seconds[name])] for side, name in zip(sides, pictures, strict=True)])
    exponent = float(np.polyfit(*logarithms.T, 1)[0])
    print(f"time grows as pixels to the power of {exponent:.3f}")
    keep("growth, force", "exponent of time in pixels, 0.25 to 16 megapixels", "", [exponent])


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", action="store_true", help="the sizes of the network against OpenCV alone")
    arguments = parser.parse_args()
    # Both engines and all processes started from here follow it.
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    if arguments.sizes:
        against_non_local_means(arguments.runs)
        return
    whole_processes(arguments.runs)
    against_non_local_means(arguments.runs)
    engines(arguments.runs)
    growth(max(1, arguments.runs // 2))


if __name__ == "__main__":
    main()
