"""What the ledger of an archive costs an entry, while it grows: a stand-in takes a millisecond in place of each file.

    python benchmarks/archive_ledger.py [--entries 20000] [--workers 8] [--folder DIR]

Everything but the work on files is real: the list, the ledger, chunks, Dask. Its workers are threads of this process,
since all that they do is to wait. Times are those that the
client spends in the ledger, for the first and the last tenth of all entries: on the clock, which has the disk's part in
it, and of the processor.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster
from measuring import keep

from lowlight.batch.enhancing import Wishes
from lowlight.enhance.settings import Settings
from lowlight.imaging.limits import DicomReading
from lowlight.services.cluster.archiving import fill, work_off
from lowlight.services.cluster.chunk import ArchiveOrder, Worked
from lowlight.services.cluster.connecting import Address, Cluster
from lowlight.services.cluster.ledger import Entry, Ledger, State, Verdict
from lowlight.services.cluster.manifest import Manifest
from lowlight.services.cluster.process import Order

SECONDS = 0.001
TENTHS = 10


def stand_in(
    order: ArchiveOrder, number: int, entries: Sequence[Entry], submission: str, lost: Sequence[str]
) -> Worked:
    """Takes a millisecond an entry; every hundredth is refused."""
    verdicts = []
    for entry in entries:
        time.sleep(SECONDS)
        if entry.number % 100:
            verdicts.append(Verdict(entry.number, State.DONE, result=f"{entry.place}.png", seconds=SECONDS))
        else:
            verdicts.append(Verdict(entry.number, State.REFUSED, f"{entry.path}: is empty; copy it again"))
    return Worked(verdicts)


class TimedLedger(Ledger):
    """Knows how long it takes.

    Attributes:
        clock, cpu: seconds by tenth of the entries that had their end before. adding: seconds on the list.
    """

    def __init__(self, output: Path, entries: int) -> None:
        super().__init__(output)
        self.clock, self.cpu = [0.0] * TENTHS, [0.0] * TENTHS
        self._each, self._ended = entries / TENTHS, 0

    def described(self) -> str:
        """Microseconds an entry, by tenth."""
        lines = []
        for title, seconds in (("clock", self.clock), ("processor", self.cpu)):
            figures = " ".join(f"{1e6 * one / self._each:.0f}" for one in seconds)
            lines.append(f"  us an entry in the ledger, by tenth, {title}: {figures}")
        return "\n".join(lines)

    def _timed(self, work: Callable[..., Any], *arguments: Any) -> Any:
        clock, cpu = time.perf_counter(), time.thread_time()
        try:
            return work(*arguments)
        finally:
            tenth = min(int(self._ended / self._each), TENTHS - 1)
            self.clock[tenth] += time.perf_counter() - clock
            self.cpu[tenth] += time.thread_time() - cpu

    def open_chunks(self):
        chunks = super().open_chunks()
        while (number := self._timed(next, chunks, None)) is not None:
            yield number

    def entries(self, chunk: int) -> list[Entry]:
        return self._timed(super().entries, chunk)

    def is_open(self, chunk: int) -> bool:
        return self._timed(super().is_open, chunk)

    def record(self, chunk: int, verdicts: Sequence[Verdict]) -> list[Verdict]:
        new = self._timed(super().record, chunk, verdicts)
        self._ended += len(new)
        return new


class Followed:
    """Follows the list on its way into the ledger, and then what is done."""

    def __init__(self, entries: int, ledger: TimedLedger) -> None:
        self._ledger = ledger
        self.moments = [(0, time.perf_counter(), time.thread_time())]
        self.done, self._entries, self._told = 0, entries, time.monotonic()

    def counting(self, looked: int) -> None:
        self.moments.append((looked, time.perf_counter(), time.thread_time()))

    def verdicts(self, entries: dict[int, Entry], verdicts: Sequence[Verdict]) -> None:
        self.done += len(verdicts)
        if time.monotonic() - self._told > 60:
            self._told = time.monotonic()
            print(f"{self.done} of {self._entries}, {memory():.0f} MB\n{self._ledger.described()}", flush=True)

    def note(self, text: str) -> None:
        print(text)


def memory() -> float:
    """The most that this process held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="where the ledger is made; default: a temporary one")
    arguments = parser.parse_args()
    count = arguments.entries
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        manifest = folder / "list.txt"
        with manifest.open("w") as stream:
            for number in range(count):
                stream.write(f"/archive/{number // 10_000:04}/{number // 200:06}/image-{number:08}.png\n")
        output = folder / "out"
        ledger = TimedLedger(output, count)
        heard = Followed(count, ledger)
        fill(ledger, Manifest.of(manifest), heard, "simulated")
        moments = heard.moments
        listing = moments[-1][1] - moments[0][1]
        print(f"{count} entries listed in {listing:.1f} s, {memory():.0f} MB at most", flush=True)
        for title, (n0, c0, p0), (n1, c1, p1) in (
            ("first", moments[0], moments[1]),
            ("last", moments[-2], moments[-1]),
        ):
            per = n1 - n0
            print(f"  {title} {per}: {1e6 * (c1 - c0) / per:.0f} us an entry, processor {1e6 * (p1 - p0) / per:.0f} us")
        todo = ArchiveOrder(Order(Wishes(), Settings.read(), DicomReading()), output)
        started = time.perf_counter()
        quiet = {"distributed.worker.profile.enabled": False, "distributed.admin.low-level-log-length": 10}
        with (
            dask.config.set(quiet),
            LocalCluster(1, arguments.workers, processes=False, dashboard_address=None) as local,
            Client(local) as client,
        ):
            cluster = Cluster(client, Address("local", arguments.workers))
            work_off(ledger, cluster, todo, heard, lambda: None, contextlib.nullcontext, stand_in)
        seconds = time.perf_counter() - started
        counts = ledger.counts()
        assert counts[State.DONE] + counts[State.REFUSED] == count == heard.done, counts
        print(f"worked off in {seconds:.0f} s by {arguments.workers} workers ({count / seconds:.0f}/s), ", end="")
        print(f"{memory():.0f} MB at most, ledger {ledger.file.stat().st_size / count:.0f} bytes an entry")
        clock, cpu = ledger.clock[-1] / ledger.clock[0], ledger.cpu[-1] / ledger.cpu[0]
        for per, what in ((ledger.clock, "clock"), (ledger.cpu, "CPU")):
            tenths = [1e6 * seconds * TENTHS / count for seconds in per]
            keep(
                f"ledger, {count} entries", f"last tenth, {what}", "us each", tenths[-1:], per[-1] / per[0], "the first"
            )
        print(f"{ledger.described()}\n  last / first: {clock:.2f}, processor {cpu:.2f}")
        assert ledger.check() == "ok"
        ledger.close()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
