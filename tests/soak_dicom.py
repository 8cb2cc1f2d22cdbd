"""What takes too long for the tests: 10,000 damaged DICOM files, and a batch that is killed 50 times.

Run it by `make soak`; it ends with code 1 and the seeds at fault if something went wrong.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from cli_runs import fingerprints, start
from dicom_fuzzing import LARGEST, LONGEST, run
from dicom_killing import FILES, batch, completed
from dicom_validation import new_kinds_of_error
from rich.progress import track

STEP = 100


def main() -> int:
    """Run both parts and print what was found; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        wrong = fuzz(arguments.seed, arguments.mutations, Path(folder))
        wrong += kill(arguments.kills, arguments.seed, Path(folder))
    print(*wrong, sep="\n")
    return int(bool(wrong))


def fuzz(first: int, count: int, folder: Path) -> list[str]:
    """Damage files; returns what went wrong."""
    started, wrong, written, longest, largest = time.monotonic(), [], 0, 0.0, 0
    for seed in track(range(first, first + count, STEP), "damaging files"):
        found = run(range(seed, min(seed + STEP, first + count)), folder)
        wrong += found.wrong
        written += found.outcomes["written"]
        longest, largest = max(longest, found.longest), max(largest, found.largest)
    seconds = time.monotonic() - started
    print(f"{count} mutations in {seconds:.0f} s: {written} results, {count - written} refused, {len(wrong)} wrong;")
    print(f"  slowest {longest:.1f} s, largest process {largest / 1e6:.0f} MB")
    wrong += [f"a mutation took {longest:.1f} s"] * (longest > LONGEST)
    return wrong + [f"a process had {largest / 1e6:.0f} MB"] * (largest > LARGEST)


def kill(count: int, seed: int, folder: Path) -> list[str]:
    """Kill a batch at random moments; returns what went wrong."""
    random, source, out, whole = np.random.default_rng(seed), batch(folder / "in"), folder / "out", folder / "whole"
    began = time.monotonic()
    completed(source, whole)
    seconds, expected = time.monotonic() - began, fingerprints(whole)
    wrong = [
        f"{path}: {fault}"
        for path in whole.rglob("*.dcm")
        for fault in new_kinds_of_error(next(source.iterdir()), path, folder / "inflated.dcm")
    ]
    there = []
    for number in track(range(count), "killing batches"):
        # Every other kill goes on with what the one before left, the others start from nothing.
        if number % 2:
            shutil.rmtree(out, ignore_errors=True)
        child = start("enhance", source, "-o", out, "--brightness", "0.5")
        time.sleep(random.uniform(0, seconds))
        child.kill()
        child.communicate()
        left = {name: digest for name, digest in fingerprints(out).items() if not Path(name).name.startswith(".")}
        there.append(len(left))
        wrong += [
            f"kill {number}: {name} is not what it should be" for name in left if left[name] != expected.get(name)
        ]
    completed(source, out)
    print(f"killed {count} times within {seconds:.1f} s, with these numbers of results: {sorted(there)};")
    print(f"  {len(fingerprints(out))} of {FILES} results in the end")
    return wrong + [f"not the {FILES} results of one run"] * (fingerprints(out) != expected)


if __name__ == "__main__":
    sys.exit(main())
