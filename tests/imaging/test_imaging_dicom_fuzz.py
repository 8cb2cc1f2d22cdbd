"""A short run of the fuzzing that `make soak` does at length."""

from __future__ import annotations

from pathlib import Path

import pytest
from dicom_fuzzing import LARGEST, LONGEST, run


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_anywhere_gives_a_sound_result_or_one_line(tmp_path: Path) -> None:
    found = run(range(300), tmp_path)
    assert found.wrong == []
    assert found.outcomes["written"] >= 30
    assert len(found.outcomes) >= 10
    assert found.longest < LONGEST
    assert found.largest < LARGEST
