"""What takes too long for the tests: 500 mixed instances, and each fault 20 times at random moments among 60.

Run it by `make soak`; it ends with code 1 if something was lost, doubled or left inconsistent.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from pacs_faults import hurt
from pacs_mixture import put_through

from lowlight import Enhancer

EACH = 2
"""Faults of each kind in a round."""


def main() -> int:
    """Run both parts and print what was found; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=500)
    parser.add_argument("--faults", type=int, default=20, help="of each kind")
    parser.add_argument("--stall", type=float, default=30.0, help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    wrong = 0
    if arguments.instances:
        with tempfile.TemporaryDirectory() as folder:
            print(put_through(arguments.instances, Path(folder), Enhancer(device="cpu")), flush=True)
    for number in range(-(-arguments.faults // EACH)):
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                hurt(Path(folder), arguments.seed + number, EACH, arguments.stall)
            except AssertionError:
                traceback.print_exc()
                wrong += 1
        print(f"round {number}: {time.monotonic() - started:.0f} s, {wrong} wrong so far", flush=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
