"""Everything that can go wrong while a real worker works, at random moments, and what has to be true in the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import orthanc
import psutil
from pacs_runs import assert_one_result_each, clip, push, radiograph, rules_file, until

from lowlight.services.pacs.queue import Queue, State
from lowlight.services.pacs.rules import load

INSTANCES = 60
_REFUSING = """
function ReceivedInstanceFilter(dicom, origin)
  local flag = io.open({flag!r})
  if flag == nil then return true end
  flag:close()
  return not string.find(dicom.ImageType or "", "DERIVED")
end
"""
_SMALL = 4096  # bytes


class Scene:
    """An archive and a worker, both real processes, that can be hurt.

    Args:
        folder: for both. stall: seconds for which the archive says nothing.
        pause: most seconds, beyond half of one, of a full disk and of refusals. chance: decides on the moments.
    """

    def __init__(self, folder: Path, stall: float, pause: float, chance: random.Random) -> None:
        self.folder, self._stall, self._pause, self._chance = folder, stall, pause, chance
        self._flag = folder / "refusing"
        script = folder / "filter.lua"
        script.write_text(_REFUSING.format(flag=str(self._flag)))
        self._settings = {"LuaScripts": [str(script)]}
        self._archives = ExitStack()
        self.archive = self._archives.enter_context(orthanc.running(folder, **self._settings))
        timing = {"quiet": "100 ms", "retry": "100 ms", "longest_retry": "1 s", "attempts": 1000}
        self.rules = rules_file(folder, self.archive, timing=timing)
        self._log = (folder / "worker.log").open("ab")
        self.worker = self._started()
        self.faults: dict[str, Callable[[], None]] = {
            "worker killed": self.kill_worker,
            "archive killed": self.kill_archive,
            "network stalled": self.stall,
            "disk full": self.fill_disk,
            "destination refusing": self.refuse,
        }

    def close(self) -> None:
        """End both."""
        self.worker.terminate()
        self.worker.wait(60)
        self._archives.close()
        self._log.close()

    def kill_worker(self) -> None:
        """kill -9, and another one starts."""
        self.worker.kill()
        self.worker.wait()
        self.worker = self._started()

    def kill_archive(self) -> None:
        """kill -9, and it starts again after a while."""
        self.archive.server.kill()
        self.archive.server.wait()
        time.sleep(self._chance.uniform(0, 1))
        self.archive = self._archives.enter_context(orthanc.running(self.folder, self.archive, **self._settings))

    def stall(self) -> None:
        """Connections stay open, and nothing comes through them."""
        os.kill(self.archive.server.pid, signal.SIGSTOP)
        time.sleep(self._stall)
        os.kill(self.archive.server.pid, signal.SIGCONT)

    def fill_disk(self) -> None:
        """No file of the worker may grow; a limit of the system, since a full disk would hurt others."""
        process = psutil.Process(self.worker.pid)
        process.rlimit(psutil.RLIMIT_FSIZE, (_SMALL, psutil.RLIM_INFINITY))
        time.sleep(self._chance.uniform(0.5, 0.5 + self._pause))
        process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))

    def refuse(self) -> None:
        """The archive takes no derived instance for a while."""
        self._flag.touch()
        time.sleep(self._chance.uniform(0.5, 0.5 + self._pause))
        self._flag.unlink()

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "lowlight", "pacs", "run", str(self.rules)]
        before = self._starts()
        child = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        # What happens before it works would hurt nobody.
        until(lambda: self._starts() > before or child.poll() is not None)
        return child

    def _starts(self) -> int:
        return (self.folder / "worker.log").read_bytes().count(b'"event": "started"')


def hurt(folder: Path, seed: int, each: int, stall: float, pause: float = 1.5, patience: float = 600) -> None:
    """Do every fault so many times at random moments during 60 instances; fails if anything is lost or doubled.

    Args:
        folder: for archive and worker. seed: of the moments. each: times. stall: seconds of silence.
        pause: most seconds between two faults, and in which the disk is full or the archive refuses.
        patience: seconds in which all has to be at its end.
    """
    chance = random.Random(seed)
    with _scene(folder, stall, pause, chance) as scene:
        events = list(scene.faults) * each
        chance.shuffle(events)
        images = [radiograph(number) for number in range(INSTANCES - 20)]
        for series in range(5):
            images += clip(4, series)
        share = -(-len(images) // len(events))
        for number, event in enumerate(events):
            push(scene.archive, images[number * share : (number + 1) * share])
            time.sleep(chance.uniform(0, pause))
            scene.faults[event]()
        queue = Queue(load(scene.rules).folder, worker=False)
        deadline = time.monotonic() + patience
        while queue.counts()["verified"] < INSTANCES:
            assert time.monotonic() < deadline, (queue.counts(), queue.reasons(*State))
            assert scene.worker.poll() is None, "the worker has ended"
            time.sleep(0.2)
        rows = queue.rows(*State)
        assert queue.check() == "ok"
        queue.close()
        assert_one_result_each(scene.archive, rows, None)


@contextmanager
def _scene(folder: Path, stall: float, pause: float, chance: random.Random) -> Iterator[Scene]:
    scene = Scene(folder, stall, pause, chance)
    try:
        yield scene
    finally:
        scene.close()
