"""How long the worker takes: to start, to enhance, to blend, to be cancelled; and how much memory.

    python benchmarks/worker_time.py [--runs N] [--threads N]

Absolute seconds depend on the machine, so each table gives ratios to a row of the same run; what is compared runs in
turns. All times of the worker are a client's: from sending the request to having read the file of the answer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from measuring import dark_picture, in_turns, keep, show

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "services"))

from worker_runs import Worker

from lowlight import Enhancer


def start(runs: int) -> None:
    """From starting the process to "hello", as a ratio to what the engine needs at least."""

    def worker() -> None:
        with Worker() as running:
            running.hello()
            running.ask("quit")

    least = "python -c 'import numpy, onnxruntime'"
    actions: dict[str, Callable[[], object]] = {
        least: lambda: subprocess.run([sys.executable, "-c", "import numpy, onnxruntime"], check=True),
        "worker: start, hello, quit": worker,
    }
    show("start", in_turns(actions, runs), least)


def enhancing(runs: int) -> None:
    """A warm worker against the bare Enhancer, with the same threads."""
    enhancer = Enhancer(device="cpu")
    with Worker() as worker:
        worker.hello()
        process = psutil.Process(worker.pid)
        spent, memory = process.cpu_times(), process.memory_info().rss
        print(f"\nat hello: {spent.user + spent.system:.2f} s of processor time, {memory / 1e6:.0f} MB")

        def enhance(picture: np.ndarray) -> None:
            worker.take(worker.enhance(picture)["image"])

        for side in (512, 1024, 2048):
            picture = dark_picture(side, side, colour=False)
            bare = f"Enhancer, {side} x {side} grey"
            actions: dict[str, Callable[[], object]] = {
                bare: lambda p=picture: enhancer(p),
                f"worker, {side} x {side} grey": lambda p=picture: enhance(p),
            }
            show("enhance", in_turns(actions, runs), bare)
            print(f"memory afterwards, with its results kept: {process.memory_info().rss / 1e6:.0f} MB")


def blending(runs: int) -> None:
    """Other strengths for a kept result, with the exchange of files."""
    picture = dark_picture(1024, 1024, colour=False)
    result = Enhancer(device="cpu")(picture)
    with Worker() as worker:
        worker.hello()
        answer = worker.enhance(picture)
        worker.take(answer["image"])

        def blend(brightness: float, denoise: float) -> None:
            blended = worker.ask("blend", result=answer["result"], brightness=brightness, denoise=denoise)
            worker.take(blended["image"])

        actions: dict[str, Callable[[], object]] = {"Result.blend(0.6, 0.3)": lambda: result.blend(0.6, 0.3)}
        for brightness, denoise in ((0.6, 0.3), (1, 0.3), (0.6, 0)):
            actions[f"worker, blend({brightness}, {denoise})"] = lambda b=brightness, n=denoise: blend(b, n)
        show("1024 x 1024 grey", in_turns(actions, runs), "Result.blend(0.6, 0.3)")


def cancelling(runs: int) -> None:
    """From "cancel" to the answer of the job, somewhere in the network."""
    picture = dark_picture(2048, 2048, colour=False)
    waits = []
    with Worker() as worker:
        worker.hello()
        for run in range(runs):
            number = worker.send("enhance", array=worker.put(picture), force=True)
            worker.until(lambda fields, number=number: fields["id"] == number)
            time.sleep(0.05 + 0.1 * run)
            started = time.perf_counter()
            worker.send("cancel", job=number)
            if worker.answer(number)["type"] == "error":
                waits.append(time.perf_counter() - started)
    keep("cancel, 2048 x 2048 grey", "worker, from cancel to answer", "s", waits)
    print(f"\ncancelled after {statistics.median(waits):.3f} s (median of {len(waits)}), {max(waits):.3f} s (longest)")


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    # The engine here and the workers follow it.
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    start(arguments.runs)
    enhancing(arguments.runs)
    blending(arguments.runs * 3)
    cancelling(arguments.runs)


if __name__ == "__main__":
    main()
