"""Rounds of enhance, cancel and kill through the Slicer module, until told otherwise a hundred: `make soak`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "standins"), str(HERE.parents[1] / "LowLightEnhance")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    temporary = Path(tempfile.mkdtemp(prefix="soak-slicer-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)

    from PySide6 import QtWidgets

    running = QtWidgets.QApplication([])
    import application
    import numpy as np

    assert running
    application.install()
    application.new_scene()
    from skimage import data
    from slicer_cycles import LONGEST_CANCEL, cycle, leftovers
    from slicer_volumes import added
    from slicer_waiting import until

    source = added(np.tile(data.retina()[::8, ::8] // 6, (6, 1, 1, 1)))
    pixels, before, started = source.GetImageData(), leftovers(temporary), time.monotonic()
    bits = np.array(application.slicer.util.arrayFromVolume(source))
    times = sorted(cycle(rounds, source, until))
    after = leftovers(temporary)
    assert source.GetImageData() is pixels
    assert np.array_equal(application.slicer.util.arrayFromVolume(source), bits)
    for what, was, now in zip(("processes", "temporary files", "nodes"), before, after, strict=True):
        print(f"{what} left behind: {sorted(map(str, now - was)) or 'none'}")
    print(f"{rounds} rounds of enhance, cancel and kill in {time.monotonic() - started:.0f} s")
    print(f"from cancel to end: {len(times)} times, longest {1000 * times[-1]:.0f} ms")
    return 0 if before == after and times[-1] <= LONGEST_CANCEL else 1


if __name__ == "__main__":
    sys.exit(main())
