"""A hundred workers that are started, cancelled and killed: no process and no file is left behind.

PYTHONPATH=tests/services python tests/soak_worker.py [CYCLES]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.data import get_testdata_file
from worker_cycles import cycles


def main() -> None:
    """Run the cycles and print how long cancelling took."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    values = dcmread(get_testdata_file("CT_small.dcm")).pixel_array.astype(float)
    dark = np.rint(64 * np.clip(values / values.max(), 0, 1)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        waits = cycles(count, Path(folder), dark)
    print(
        f"{count} cycles of enhance, cancel and end or kill: nothing left behind; cancelled after "
        f"{statistics.median(waits):.3f} s (median), {max(waits):.3f} s (longest)"
    )


if __name__ == "__main__":
    main()
