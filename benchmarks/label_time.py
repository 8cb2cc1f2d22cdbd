"""What the MONAI Label server costs beside the engine: time of an answer, start-up and memory.

The real server, asked over HTTP, and `Enhancer` on the same pixels, in turns, one thread each. For BENCHMARKS.md:
python benchmarks/label_time.py [--runs 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "services" / "monai_label")]

import numpy as np  # noqa: E402
import psutil  # noqa: E402
from dicom_files import changed  # noqa: E402
from label_runs import Label, running  # noqa: E402
from measuring import keep  # noqa: E402
from PIL import Image  # noqa: E402
from skimage import data  # noqa: E402

from lowlight import Enhancer  # noqa: E402
from lowlight.imaging import read  # noqa: E402

SIDE = 1024


def images(folder: Path) -> dict[str, Path]:
    """A dark photograph of 1024 x 1024, grey and in colour, and a small radiograph, by file name."""
    photograph = data.retina()[:SIDE, :SIDE] // 4
    Image.fromarray(photograph).save(folder / "colour.png")
    Image.fromarray(np.ascontiguousarray(photograph[..., 1])).save(folder / "grey.png")
    changed(folder / "radiograph.dcm", "CT_small.dcm", Modality="CR", SOPClassUID="1.2.840.10008.5.1.4.1.1.1")
    return {path.name: path for path in sorted(folder.iterdir())}


def cpu_seconds(process: psutil.Process) -> float:
    """Of a process and those that it has started."""
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))


def compare(label: Label, server: psutil.Process, enhancer: Enhancer, name: str, runs: int) -> str:
    """One image, asked of the server and of the engine in turns."""
    image = read(label.studies / name)
    walls: dict[str, list[float]] = {"http": [], "engine": []}
    cpus: dict[str, list[float]] = {"http": [], "engine": []}
    # The first loads the network.
    for run in range(runs + 1):
        before, started = cpu_seconds(server), time.perf_counter()
        assert label.infer(name.partition(".")[0]).status_code == 200
        asked = time.perf_counter() - started, cpu_seconds(server) - before
        before, started = time.process_time(), time.perf_counter()
        enhancer(image.pixels, value_range=image.value_range, modality=image.modality, tables=image.quantisation)
        alone = time.perf_counter() - started, time.process_time() - before
        if run:
            for kind, (wall, cpu) in (("http", asked), ("engine", alone)):
                walls[kind].append(wall)
                cpus[kind].append(cpu)
    for kind, what in (("engine", "Enhancer"), ("http", "server over HTTP")):
        ratio = statistics.median(cpus[kind]) / statistics.median(cpus["engine"])
        keep(f"MONAI Label, {name}", what, "CPU s", cpus[kind], ratio, "Enhancer")
    wall, cpu = ({kind: statistics.median(times) for kind, times in one.items()} for one in (walls, cpus))
    return (
        f"{name} {image.pixels.shape}: CPU {cpu['http']:.2f} s against {cpu['engine']:.2f} s, "
        f"ratio {cpu['http'] / cpu['engine']:.2f}; wall {wall['http']:.2f} s against {wall['engine']:.2f} s, "
        f"ratio {wall['http'] / wall['engine']:.2f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    enhancer = Enhancer(device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made"
        made.mkdir()
        sources = images(made)
        started = time.perf_counter()
        with running(Path(folder), sources) as label:
            server = psutil.Process(label.process.pid)
            idle = server.memory_info().rss / 1e6
            print(f"start: {time.perf_counter() - started:.1f} s, CPU {cpu_seconds(server):.1f} s, {idle:.0f} MB")
            for name in sources:
                print(compare(label, server, enhancer, name, runs), flush=True)
            largest = max(one.memory_info().rss for one in (server, *server.children(recursive=True))) / 1e6
            print(f"largest process after {runs + 1} answers for each: {largest:.0f} MB")


if __name__ == "__main__":
    main()
