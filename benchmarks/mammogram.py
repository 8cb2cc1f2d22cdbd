"""What a mammogram costs: time and peak memory of `lowlight enhance` on 3328 x 4096 pixels of 12 bits.

    python benchmarks/mammogram.py RADIOGRAPH.dcm

The radiograph, any grey DICOM file, is tiled up to that size.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pydicom
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRLittleEndian

WIDTH, HEIGHT, BITS = 3328, 4096, 12


def mammogram(source: Path, target: Path) -> Path:
    """Write a mammogram-sized file made of copies of a real grey image."""
    dataset = pydicom.dcmread(source)
    frame = pixel_array(dataset).astype(np.float64)
    scaled = np.rint(frame / frame.max() * ((1 << BITS) - 1) / 4).astype("<u2")
    tiles = [-(-size // extent) for size, extent in zip((HEIGHT, WIDTH), scaled.shape, strict=True)]
    pixels = np.tile(scaled, tiles)[:HEIGHT, :WIDTH]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, BITS, BITS - 1, 0
    for keyword in ("WindowCenter", "WindowWidth", "PixelPaddingValue"):
        dataset.pop(keyword, None)
    dataset.add_new("PixelData", "OW", pixels.tobytes())
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pydicom.dcmwrite(target, dataset, implicit_vr=False, little_endian=True)
    return target


def measured(source: Path, output: Path) -> tuple[float, int]:
    """Seconds of one run, and the most memory that it and its decoding process held together, in bytes."""
    started = time.monotonic()
    command = [sys.executable, "-m", "lowlight", "enhance", source, "-o", output, "--force"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak, ended = [0], threading.Event()

    def watch() -> None:
        process = psutil.Process(child.pid)
        while not ended.wait(0.02):
            try:
                together = [process, *process.children()]
                peak[0] = max(peak[0], sum(one.memory_info().rss for one in together))
            except psutil.NoSuchProcess:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    told, _ = child.communicate()
    ended.set()
    watcher.join()
    if child.returncode:
        raise RuntimeError(told)
    return time.monotonic() - started, peak[0]


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("radiograph", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = mammogram(arguments.radiograph, Path(folder) / "mammogram.dcm")
        seconds, peak = measured(source, Path(folder) / "out")
    print(f"{WIDTH} x {HEIGHT}, {BITS} bits: {seconds:.1f} s, {peak / 1e9:.2f} GB at most")


if __name__ == "__main__":
    main()
