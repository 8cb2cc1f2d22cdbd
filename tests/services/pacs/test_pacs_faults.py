"""Whatever goes wrong, in the end nothing is lost, nothing doubled, and the database is consistent."""

from __future__ import annotations

from pathlib import Path

from pacs_faults import hurt


def test_kills_stalls_a_full_disk_and_refusals_lose_and_double_nothing(tmp_path: Path) -> None:
    hurt(tmp_path, seed=7, each=2, stall=4, pause=0.5)
