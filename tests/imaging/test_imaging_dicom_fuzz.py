"""A short run of the fuzzing that `make soak` does at length."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from dicom_fuzzing import LARGEST, LONGEST, run


def test_damage_anywhere_gives_a_sound_result_or_one_line(tmp_path: Path) -> None:
    # In a process of its own: what the tests before this one took is not the damaged files' memory.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        found = processes.submit(run, range(300), tmp_path).result()
    assert found.wrong == []
    assert found.outcomes["written"] >= 30
    assert len(found.outcomes) >= 10
    assert found.longest < LONGEST
    assert found.largest < LARGEST
