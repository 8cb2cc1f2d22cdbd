"""What takes too long for the tests: an archive whose workers, and whose command, are killed again and again.

Run it by `make soak`; it ends with code 1 if something was lost, doubled or left inconsistent.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from cli_runs import dark, fingerprints, grey, save, start

from lowlight.services.cluster.ledger import Ledger, State


def main() -> int:
    """Run and print what was found; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(arguments.images):
            save(dark(grey(96 + number % 100)), folder / "in" / f"{number // 50}" / f"{number:04}.png")
        whole = start("enhance", folder / "in", "-o", folder / "whole", "--force")
        assert whole.wait() == 0
        command = ("archive", folder / "in", "-o", folder / "out", "--force", "--workers", "2", "--retry")
        workers, clients = kills(folder, command, arguments.kills, chance)
        child = start(*command)
        print(child.communicate()[0].strip())
        found = {name: digest for name, digest in fingerprints(folder / "out").items() if not name.startswith(".low")}
        ledger = Ledger(folder / "out")
        wrong = []
        if child.returncode or ledger.counts()[State.DONE] != arguments.images:
            wrong.append(f"exit code {child.returncode}, {ledger.counts()}")
        if ledger.check() != "ok":
            wrong.append(f"the ledger is damaged: {ledger.check()}")
        ledger.close()
        if found != fingerprints(folder / "whole"):
            wrong.append("results are not those of one run")
    print(f"{workers} workers and {clients} commands killed; {len(wrong)} wrong")
    for line in wrong:
        print(f"  {line}")
    return int(bool(wrong))


def kills(folder: Path, command: tuple[str | Path, ...], count: int, chance: random.Random) -> tuple[int, int]:
    """Kill workers, and the command itself every fourth time, at random moments; returns how many of each."""
    workers = clients = 0
    child = started(folder, command)
    while workers + clients < count:
        time.sleep(chance.uniform(0.2, 3))
        if child.poll() is not None:
            break
        processes = [one for one in psutil.Process(child.pid).children(recursive=True) if _is_worker(one)]
        if chance.random() < 0.25:
            child.kill()
            child.communicate()
            clients += 1
            child = started(folder, command)
        elif processes:
            chance.choice(processes).kill()
            workers += 1
    if child.poll() is None:
        child.kill()
        clients += 1
    child.communicate()
    return workers, clients


def started(folder: Path, command: tuple[str | Path, ...]) -> subprocess.Popen[str]:
    """The command at work: with one more result than before it, or ended."""
    before = _results(folder)
    child = start(*command)
    while child.poll() is None and _results(folder) == before:
        time.sleep(0.05)
    return child


def _results(folder: Path) -> int:
    return sum(1 for _ in (folder / "out").rglob("*.png"))


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        return False


if __name__ == "__main__":
    sys.exit(main())
