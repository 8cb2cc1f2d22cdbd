"""What stands in for the enhancement in tests of chunks and ledgers and in benchmarks, and small images to work on.

A stand-in says what it does: it appends the name of each file that it works on to a file beside the results.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lowlight.batch.doing import Outcome, Work
from lowlight.batch.enhancing import Wishes
from lowlight.enhance.settings import Settings
from lowlight.imaging import Found, MedicalImage
from lowlight.imaging.limits import DicomReading
from lowlight.services.cluster.archiving import fill, settle, work_off
from lowlight.services.cluster.chunk import ArchiveOrder
from lowlight.services.cluster.connecting import Cluster
from lowlight.services.cluster.ledger import Entry, Ledger, Verdict
from lowlight.services.cluster.manifest import Manifest
from lowlight.services.cluster.process import Order

LOG = "worked_on"
POISON = "poison"


def order(output: Path, work: Callable[[Order], Work] | None = None, **wishes: Any) -> ArchiveOrder:
    """What is asked of workers."""
    return ArchiveOrder(Order(Wishes(**wishes), Settings.read(), DicomReading()), output, work=work)


def saying(order: Order) -> Work:
    """Inverts the image and says so."""

    def work(image: MedicalImage, found: Found, progress: Callable[[int, int], None]) -> Outcome:
        _say(found.path)
        return Outcome(255 - image.pixels, "inverted")

    return work


def deadly(order: Order) -> Work:
    """The same; but a file of a certain name ends the process, as one that needs too much memory does."""

    def work(image: MedicalImage, found: Found, progress: Callable[[int, int], None]) -> Outcome:
        _say(found.path)
        if POISON in found.path.name:
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(255 - image.pixels, "inverted")

    return work


def slow(order: Order) -> Work:
    """The same, and each file takes a while, so that a test can come in between."""

    def work(image: MedicalImage, found: Found, progress: Callable[[int, int], None]) -> Outcome:
        _say(found.path)
        time.sleep(0.05)
        return Outcome(255 - image.pixels, "inverted")

    return work


def _say(path: Path) -> None:
    with (_log(path)).open("a") as stream:
        stream.write(f"{path.name}\n")


def _log(path: Path) -> Path:
    return next(folder for folder in path.parents if folder.name == "in").parent / LOG


def worked_on(folder: Path) -> Counter[str]:
    """How often each file below ``folder / "in"`` was worked on."""
    return Counter((folder / LOG).read_text().split())


def small_images(folder: Path, count: int, each: int = 100) -> list[Path]:
    """Different small grey images in sub-folders."""
    paths = []
    for number in range(count):
        path = folder / f"{number // each:02}" / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8), number % 251, np.uint8)
        pixels[0, 0] = number // 251
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return paths


def all_inverted(paths: Sequence[Path], source: Path, out: Path) -> bool:
    """Whether each of these images has its own result, and there is nothing else."""
    results = sorted(path for path in out.rglob("*.png"))
    expected = sorted(out / path.relative_to(source) for path in paths)
    return results == expected and all(
        np.array_equal(_pixels(path), 255 - _pixels(source / path.relative_to(out))) for path in results
    )


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


class Heard:
    """Keeps what is told of an archive."""

    def __init__(self) -> None:
        self.told: list[Verdict] = []
        self.notes: list[str] = []

    def counting(self, looked: int) -> None:
        """Not kept."""

    def verdicts(self, entries: dict[int, Entry], verdicts: Sequence[Verdict]) -> None:
        """Kept."""
        self.told += verdicts

    def note(self, text: str) -> None:
        """Kept."""
        self.notes.append(text)


def archived(
    cluster: Cluster, manifest: Path, todo: ArchiveOrder, check: Callable[[], None] = lambda: None
) -> tuple[Ledger, Heard]:
    """Work off an archive with what the command itself is made of; the ledger is left open."""
    ledger, heard = Ledger(todo.output), Heard()
    fill(ledger, Manifest.of(manifest), heard, "as in tests")
    settle(ledger, heard)
    work_off(ledger, cluster, todo, heard, check, nullcontext)
    return ledger, heard
