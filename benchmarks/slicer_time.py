"""How the Slicer module behaves in time: the window's heartbeat, the sliders, and click to picture against the engine.

On Slicer's real scene and real Qt, offscreen, with the stand-ins of tests/slicer for the application. All of one run on
one machine, in turns: trust the ratios. Where other programs compete for the processor, the wall clock also counts how
long they had it; so the processor time of the same stretch is told beside it. The run ends with 1 where a bound is
missed by more than a busy machine explains.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests" / "slicer"
sys.path[:0] = [str(TESTS), str(TESTS / "standins"), str(TESTS.parents[1] / "LowLightEnhance")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import psutil
from measuring import keep
from PySide6 import QtCore, QtWidgets


class Heart:
    """Beats every 5 ms, and remembers how long it ever had to wait: (seconds, processor seconds of this thread)."""

    def __init__(self) -> None:
        self.restart()
        self._timer = QtCore.QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.gaps.append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now

    def restart(self) -> None:
        self.gaps: list[tuple[float, float]] = []
        self._last = time.perf_counter(), time.thread_time()


_MOVES = 20
WIDE = 2.0
"""A bound that is missed by this factor is not missed for want of a free processor alone."""


@dataclass(frozen=True)
class Figure:
    """What was measured, in the unit of its bound; of it, what the processor worked, where that is known."""

    name: str
    value: float
    bound: float
    unit: str
    worked: float | None = None


def verdict(figures: list[Figure]) -> int:
    """Say of each figure whether it keeps its bound; 1 if one misses it widely, or could not be measured, else 0."""
    widely = False
    for figure in figures:
        # Not a number is kept by no bound.
        kept = figure.value <= figure.bound
        waited = figure.worked is not None and figure.worked <= figure.bound
        near = figure.value <= WIDE * figure.bound or (waited and figure.value > 0)
        widely = widely or not near
        says = "kept" if kept else "missed" if near else "missed by a wide margin"
        keep("Slicer module", figure.name, figure.unit, [figure.value], figure.value / figure.bound, "its bound")
        print(f"{says}: {figure.name}: {figure.value:.3g} {figure.unit}, at most {figure.bound:g}".replace(" ,", ","))
        if waited and not kept:
            print(f"    of it {figure.worked:.3g} {figure.unit} work; the rest others had the processor")
    return int(widely)


def processor_time(window: Any) -> float:
    """Seconds that this thread and the worker have worked so far."""
    used = psutil.Process(window.logic.worker.processId).cpu_times()
    return time.thread_time() + used.user + used.system


def dark(side: int, dtype: type = np.uint8, colour: bool = False) -> np.ndarray:
    """A real photograph, resized and darkened, with noise: (1, H, W) or (1, H, W, 3)."""
    from skimage import data
    from skimage.transform import resize

    image = resize(data.retina(), (side, side)).astype(np.float32) * 0.16
    image += np.random.default_rng(1).normal(0, 0.02, image.shape).astype(np.float32)
    image = image if colour else image[..., 1]
    return (np.clip(image, 0, 1) * np.iinfo(dtype).max).astype(dtype)[None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    running = QtWidgets.QApplication([])
    import application
    import slicer

    assert running
    application.install()
    application.new_scene()
    import LowLightEnhance
    from slicer_volumes import added
    from slicer_waiting import until
    from slicer_window import Window

    from lowlight import Enhancer

    module = LowLightEnhance.LowLightEnhanceWidget()
    window = Window(module)
    window.show()
    heart = Heart()
    figures: list[Figure] = []

    def click(node) -> float:
        window.choose(node)
        started = time.perf_counter()
        window.ui.enhanceButton.click()
        until(lambda: not window.logic.busy)
        window.grab()
        return time.perf_counter() - started

    # The window itself is drawn by the processor here, not by Slicer's graphics card: that is not the module's work.
    for view in slicer.app.layoutManager().sliceViewNames():
        slicer.app.layoutManager().sliceWidget(view).setVisible(False)
    warm = added(dark(256), "warm")
    click(warm)

    for name, array in (
        ("2048 x 2048, 8 bit grey", dark(2048)),
        ("2048 x 2048, 16 bit grey", dark(2048, np.uint16)),
        ("2048 x 2048, 8 bit colour", dark(2048, colour=True)),
    ):
        node = added(array, name)
        window.choose(node)
        heart.restart()
        window.ui.enhanceButton.click()
        until(lambda: not window.logic.busy)
        longest, busiest = (sorted(heart.gaps, key=lambda gap: gap[part])[-1] for part in (0, 1))
        print(
            f"heartbeat, {name}: longest wait {1000 * longest[0]:.0f} ms, in which this thread worked "
            f"{1000 * longest[1]:.0f} ms; longest work in one go {1000 * busiest[1]:.0f} ms; {len(heart.gaps)} beats"
        )
        figures.append(Figure(f"longest wait of the window, {name}", 1000 * longest[0], 100, "ms", 1000 * busiest[1]))

    ended = []
    for _ in range(runs):
        window.ui.enhanceButton.click()
        until(lambda: "Enhancing" in window.ui.progressBar.format)
        started = time.perf_counter()
        window.ui.cancelButton.click()
        until(lambda: not window.logic.busy)
        ended.append(time.perf_counter() - started)
    print(f"cancel, 2048 x 2048, in the network: longest {1000 * max(ended):.0f} ms of {len(ended)}")
    figures.append(Figure("from Cancel to its end", max(ended), 1, "s"))

    array = dark(1024)
    node = added(array, "slider")
    click(node)
    until(lambda: window.ui.findingsTable.item(1, 2).text() not in ("–", ""))
    pixels = slicer.util.arrayFromVolume(window.panel.enhancement.output.node)
    times, worked = [], processor_time(window)
    for number in range(_MOVES):
        before = pixels[0, 500, :64].copy()
        started = time.perf_counter()
        window.ui.brightnessSlider.value = 0.5 if number % 2 else 0.9
        until(
            lambda before=before: (
                not np.array_equal(before, pixels[0, 500, :64]) and not window.panel.enhance.blending.busy
            )
        )
        times.append(time.perf_counter() - started)
        until(lambda started=started: time.perf_counter() - started > 0.15)
    worked = (processor_time(window) - worked) / _MOVES
    print(
        f"slider, 1024 x 1024 grey: median {1000 * statistics.median(times):.0f} ms, best {1000 * min(times):.0f} ms, "
        f"worst {1000 * max(times):.0f} ms; processor time of window and worker together {1000 * worked:.0f} ms a move"
    )
    figures.append(Figure("slider to picture, median", 1000 * statistics.median(times), 60, "ms", 1000 * worked))

    enhancer = Enhancer(device="cpu")
    clicks, bare = [], []
    for _ in range(runs):
        node = added(array, "click")
        clicks.append(click(node))
        until(lambda: window.ui.findingsTable.item(1, 2).text() not in ("–", ""))
        started = time.perf_counter()
        enhancer(array[0])
        bare.append(time.perf_counter() - started)
    ratios = [c / b for c, b in zip(clicks, bare, strict=True)]
    print(
        f"click to picture, 1024 x 1024 grey: median {statistics.median(clicks):.2f} s, "
        f"bare engine {statistics.median(bare):.2f} s, "
        f"ratio median {statistics.median(ratios):.2f}, best {min(ratios):.2f}, worst {max(ratios):.2f}"
    )
    figures.append(Figure("click to picture over the bare engine, median", statistics.median(ratios), 1.5, ""))
    module.cleanup()
    return verdict(figures)


if __name__ == "__main__":
    sys.exit(main())
