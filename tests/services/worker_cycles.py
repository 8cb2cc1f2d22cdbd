"""Start, enhance, cancel, kill, over and over: nothing is left behind. Ten cycles are a test, a hundred a soak."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import psutil
from worker_runs import Worker


def cycles(count: int, folder: Path, dark: np.ndarray, seed: int = 1) -> list[float]:
    """Run `count` workers, each of which enhances, is cancelled and then ends or is killed; assert that none leaves
    anything.

    Args:
        folder: where their private folders are made.
        dark: a dark image, uint8 (H, W); it is enlarged for a job that takes long enough to be cancelled.

    Returns:
        Seconds from each "cancel" to the answer of the job that it ended.
    """
    chance = random.Random(seed)
    before = len(psutil.Process().children(recursive=True))
    large = np.kron(dark, np.ones((12, 12), np.uint8))
    waits = []
    for cycle in range(count):
        with Worker("--temporary", folder) as worker:
            worker.hello()
            assert len(list(folder.iterdir())) == 1, "a dead worker's folder is still there"
            answer = worker.enhance(dark)
            assert worker.take(answer["image"]).mean() > dark.mean()
            number = worker.send("enhance", array=worker.put(large), force=True)
            worker.until(lambda fields, number=number: fields["id"] == number and fields["type"] == "progress")
            time.sleep(chance.uniform(0, 0.3))
            started = time.monotonic()
            worker.send("cancel", job=number)
            assert worker.answer(number)["kind"] == "cancelled"
            waits.append(time.monotonic() - started)
            process = psutil.Process(worker.pid)
            kin = [process, *process.children(recursive=True)]
            end = ("quit", "eof", "kill", "kill at work")[cycle % 4]
            if end == "quit":
                assert worker.ask("quit")["type"] == "bye"
                assert worker.wait() == 0
            elif end.startswith("kill"):
                if end == "kill at work":
                    number = worker.send("enhance", array=worker.put(large), force=True)
                    worker.until(lambda fields, number=number: fields["id"] == number)
                worker.process.kill()
        assert not psutil.wait_procs(kin, timeout=10)[1], "a process is still there"
        if not end.startswith("kill"):
            assert list(folder.iterdir()) == []
    with Worker("--temporary", folder) as worker:
        worker.hello()
    assert list(folder.iterdir()) == [], "something was left behind"
    assert len(psutil.Process().children(recursive=True)) == before, "a process was left behind"
    return waits
