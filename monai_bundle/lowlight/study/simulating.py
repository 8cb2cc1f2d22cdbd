"""A study answered by simulated readers: a copy of its file, marked as a simulation throughout."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from lowlight.errors import StudyError
from lowlight.imaging import atomic_path
from lowlight.study.observers import Population, SimulatedReader
from lowlight.study.perception import Seen, see
from lowlight.study.studyfile import UNKNOWN, Item, StudyFile

SIMULATION = "SIMULATION"
"""What stands before the title of a simulated study."""


@dataclass
class _World:
    """What the readers look at, seen once."""

    study: StudyFile
    seen: dict[tuple[int, int], Seen]

    def look(self, image: int, version: int) -> Seen:
        if (image, version) not in self.seen:
            png = self.study.picture(image, version)
            self.seen[image, version] = see(np.asarray(Image.open(io.BytesIO(png))))
        return self.seen[image, version]


def simulate(
    source: Path,
    target: Path,
    population: Population,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Copy a study without its answers and have simulated readers answer all of it.

    Args:
        source: stays as it is. target: another path.
        progress: called with (readers done, readers in all).

    Raises:
        StudyError: the source is no usable study, or has no image of a kind that the population prefers something for.
        OutputError: the target is the source or cannot be written.
    """
    with StudyFile(source) as original:
        original.check_pictures()
        _check_kinds(original, population)
    with atomic_path(target, source) as temporary:
        _copy(source, temporary)
        with StudyFile(temporary) as study:
            _answer_all(study, population, seed, progress)
            study.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            study.rows("PRAGMA journal_mode = DELETE")
    return target


def _check_kinds(study: StudyFile, population: Population) -> None:
    kinds = sorted({image.modality for image in study.images.values()})
    known = [kind for kind in kinds if kind != UNKNOWN]
    for missing in sorted(set(population.prefers) - set(kinds)):
        remedy = f"name one that it has (--prefer {known[0]}=...)" if known else "make it again with --modality"
        raise StudyError(study.path, f"has no image of the kind {missing}, only of: {', '.join(kinds)}", remedy)


def _copy(source: Path, target: Path) -> None:
    import sqlite3

    # The write-ahead log may hold what the file does not: SQLite's own copy takes both.
    try:
        with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
            old.backup(new)
    except sqlite3.Error:
        shutil.copyfile(source, target)


def _answer_all(
    study: StudyFile, population: Population, seed: int, progress: Callable[[int, int], None] | None
) -> None:
    readers = study.readers
    if not readers:
        raise StudyError(study.path, "has no reader", "make it again")
    title = study.fact("title")
    marked = title if title.startswith(SIMULATION) else f"{SIMULATION}: {title}"
    with study.changing() as change:
        change.execute("DELETE FROM grade")
        change.execute("DELETE FROM answer")
        change.execute("UPDATE reader SET simulated = 1, sitting = NULL, seen = NULL")
        change.executemany(
            "INSERT OR REPLACE INTO study VALUES (?, ?)",
            [("simulated", "1"), ("title", marked), ("simulation", f"Seed {seed}. {population.told()}")],
        )
    world = _World(study, {})
    for number, (reader, generator) in enumerate(
        zip(readers, np.random.default_rng(seed).spawn(len(readers)), strict=True), 1
    ):
        _answer(world, reader, population.reader(generator))
        if progress is not None:
            progress(number, len(readers))


def _answer(world: _World, reader: str, simulated: SimulatedReader) -> None:
    study = world.study
    given = datetime.now(UTC).isoformat(timespec="milliseconds")
    answers = [(item, *_judged(world, item, simulated)) for item in study.items(reader)]
    with study.changing() as change:
        for item, chosen, grades in answers:
            row = (item.id, chosen, round(simulated.seconds(), 3), given)
            cursor = change.execute("INSERT INTO answer (item, chosen, seconds, given) VALUES (?, ?, ?, ?)", row)
            change.executemany(
                "INSERT INTO grade VALUES (?, ?, ?)", [(cursor.lastrowid, key, value) for key, value in grades.items()]
            )


def _judged(world: _World, item: Item, simulated: SimulatedReader) -> tuple[int | None, dict[str, int]]:
    study, versions = world.study, world.study.versions
    modality = study.images[item.image].modality

    def utility(version: int) -> float:
        return simulated.utility(versions[version], modality, world.look(item.image, version))

    if item.task == "pair":
        assert item.second is not None
        left = simulated.prefers_left(utility(item.first), utility(item.second))
        return (item.first if left else item.second), {}
    best = max(utility(version.id) for version in versions.values() if version.shown)
    return None, simulated.grades(utility(item.first), best, world.look(item.image, item.first))
