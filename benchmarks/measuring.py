"""What all timings share: a picture, runs in turns, and rows that `benchmarks/all.py` puts into one table."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from skimage import data
from skimage.transform import resize

ROWS_FILE = "LOWLIGHT_BENCH_ROWS"
"""Environment variable: the file to which rows are added, one JSON object a line."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        group: what belongs together. what: was measured. unit: of the values.
        least, middle, most: of the runs; the three are equal for what is measured once.
        ratio: of the middle to that of the reference of the same run; None: it has none. to: the reference.
    """

    group: str
    what: str
    unit: str
    least: float
    middle: float
    most: float
    ratio: float | None = None
    to: str = ""


def dark_picture(height: int, width: int, colour: bool) -> np.ndarray:
    """A real photograph at the asked size with a fifth of its light, uint8."""
    scene = data.retina() if colour else data.retina()[..., 1]
    return np.rint(0.2 * 255 * resize(scene, (height, width)) ** 1.5).astype(np.uint8)


def in_turns(actions: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Seconds of each of `runs` runs of every action, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for run in range(runs + 1):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            if run:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def show(title: str, measured: dict[str, list[float]], reference: str) -> None:
    """Print a table of seconds, each row as a ratio to one of them, and keep its rows."""
    base = statistics.median(measured[reference])
    print(f"\n{title:56} {'min s':>8} {'median s':>8} {'max s':>8} {'ratio':>7}")
    for name, seconds in measured.items():
        ratio = statistics.median(seconds) / base
        print(f"{name:56} {min(seconds):8.3f} {statistics.median(seconds):8.3f} {max(seconds):8.3f} {ratio:7.3f}")
        keep(title, name, "s", seconds, ratio, reference)


def keep(
    group: str, what: str, unit: str, values: Sequence[float], ratio: float | None = None, reference: str = ""
) -> None:
    """Add a row to the table of `benchmarks/all.py`, if that has started this script."""
    file = os.environ.get(ROWS_FILE)
    if not file:
        return
    row = Row(group, what, unit, min(values), statistics.median(values), max(values), ratio, reference)
    with Path(file).open("a", encoding="utf-8") as rows:
        rows.write(json.dumps(asdict(row)) + "\n")


def table(rows: Sequence[Row]) -> str:
    """All rows in columns."""
    lines = [f"{'what':72} {'min':>9} {'median':>9} {'max':>9} {'unit':8} {'ratio':>7}  to"]
    group = None
    for row in rows:
        if row.group != group:
            group = row.group
            lines += ["", group]
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
        values = " ".join(f"{value:9.4g}" for value in (row.least, row.middle, row.most))
        to = row.to if row.to != row.what else "itself"
        lines.append(f"  {row.what:70} {values} {row.unit:8} {ratio:>7}  {to}".rstrip())
    return "\n".join(lines)
