"""What the PACS worker costs beside the engine: CPU time, images per second, start-up and memory.

A real Orthanc, 1024 x 1024 radiographs, one thread for the network (OMP_NUM_THREADS=1), so that the time of the thread
that calls the engine is the engine's. Written for BENCHMARKS.md: python benchmarks/pacs_time.py [--images 20]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "services" / "pacs")]

import numpy as np  # noqa: E402
import orthanc  # noqa: E402
import psutil  # noqa: E402
from measuring import keep  # noqa: E402
from pacs_runs import finished, push, radiograph, rules_file  # noqa: E402

from lowlight import Enhancer  # noqa: E402
from lowlight.services.pacs import enhancing  # noqa: E402
from lowlight.services.pacs.queue import State  # noqa: E402

SIDE = 1024


class TimedEnhancer:
    """The engine, and how much time of the processor and of the clock it took."""

    def __init__(self) -> None:
        self._enhancer = Enhancer(device="cpu", engine="onnx")
        self.cpu = self.clock = 0.0
        judge = enhancing.judge
        enhancing.judge = lambda subject: self._timed(judge, subject)

    def __call__(self, *arguments, **options):
        return self._timed(self._enhancer, *arguments, **options)

    def decide_tone(self, *arguments, **options):
        return self._timed(self._enhancer.decide_tone, *arguments, **options)

    def _timed(self, work, *arguments, **options):
        cpu, clock = time.thread_time(), time.perf_counter()
        try:
            return work(*arguments, **options)
        finally:
            self.cpu += time.thread_time() - cpu
            self.clock += time.perf_counter() - clock


def cpu_seconds() -> float:
    """Of this process and of the one that decodes, which is its only child but for the archive."""
    process = psutil.Process()
    children = [child for child in process.children() if "decoding_process" in " ".join(child.cmdline())]
    return sum(sum(one.cpu_times()[:2]) for one in (process, *children))


def image(number: int):
    """A dark radiograph of 1024 x 1024 pixels with the noise of a weak exposure."""
    dataset = radiograph(number)
    frame = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    rows = np.linspace(0, dataset.Rows - 1, SIDE).astype(int)
    columns = np.linspace(0, dataset.Columns - 1, SIDE).astype(int)
    noise = np.random.default_rng(number).normal(0, 6, (SIDE, SIDE))
    frame = np.clip(frame[np.ix_(rows, columns)] + noise, 0, 4095)
    dataset.Rows = dataset.Columns = SIDE
    dataset.PixelData = frame.astype("<u2").tobytes()
    return dataset


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20)
    count = parser.parse_args().images
    engine = TimedEnhancer()
    with tempfile.TemporaryDirectory() as name, orthanc.running(Path(name)) as archive:
        folder = Path(name)
        path = rules_file(folder, archive)
        # As often as by default; tests ask the archive far oftener, which would count as the worker's.
        path.write_text(path.read_text().replace("poll: 200 ms", "poll: 5 s"))
        # Once, so that everything is loaded.
        push(archive, [image(0)])
        finished(path, engine)
        push(archive, [image(number) for number in range(1, count + 1)])
        engine.cpu = engine.clock = 0.0
        cpu, clock = cpu_seconds(), time.perf_counter()
        rows = finished(path, engine)
        clock, cpu = time.perf_counter() - clock, cpu_seconds() - cpu
        verified = sum(row.state == State.VERIFIED for row in rows)
        assert verified == count + 1, rows
        print(f"{count} images of {SIDE} x {SIDE}, {clock:.1f} s: {count / clock:.2f} images/s")
        print(f"bare engine (judging and enhancing): {count / engine.clock:.2f} images/s in the same run")
        print(f"CPU an image: engine {engine.cpu / count:.2f} s, all else {(cpu - engine.cpu) / count:.2f} s, ")
        print(f"  which is {(cpu - engine.cpu) / engine.cpu:.0%} of the engine's")
        group, alone = f"PACS worker, {count} images of {SIDE} x {SIDE}", "the engine alone"
        keep(group, alone, "CPU s", [engine.cpu / count], 1, alone)
        beside = cpu - engine.cpu
        keep(group, "all else of an image", "CPU s", [beside / count], beside / engine.cpu, alone)
        keep(group, "an image, whole", "s", [clock / count], clock / engine.clock, alone)
        print(f"queue {_size(folder / 'state') / 1e6:.1f} MB")
        _print_cost("start, one look, and end", path)
        push(archive, [image(count + 1)])
        _print_cost("the same, and one image", path)


def _print_cost(title: str, rules: Path) -> None:
    """Of a worker as a process of its own: clock, processor time, and the most memory that it held."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "lowlight", "pacs", "run", rules, "--once"]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    memory = pid = 0
    while not pid:
        # Not ru_maxrss: a child inherits that of its parent.
        with suppress(StopIteration, OSError):
            lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
            memory = int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
        time.sleep(0.05)
        pid, status, used = os.wait4(child.pid, os.WNOHANG)
    assert os.waitstatus_to_exitcode(status) == 0
    clock, cpu = time.perf_counter() - started, used.ru_utime + used.ru_stime
    keep("PACS worker, whole process", title, "CPU s", [cpu])
    print(f"{title}: {clock:.1f} s, CPU {cpu:.1f} s, memory {memory * 1024 / 1e6:.0f} MB at most")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("queue.sqlite3*"))


if __name__ == "__main__":
    main()
