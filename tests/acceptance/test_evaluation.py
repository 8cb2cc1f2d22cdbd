"""`lowlight evaluate` against the benchmark's own script, on the whole benchmark."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_psnr_and_ssim_are_those_of_the_benchmarks_script(shared: Path, tmp_path: Path) -> None:
    """The observations themselves stand for results: 180 images of all modalities, severities and depths of damage."""
    bench = shared / "bench"
    theirs_file, ours_file = tmp_path / "theirs.csv", tmp_path / "ours.csv"
    scoring = [sys.executable, bench / "score.py", bench / "dark", "--csv", theirs_file]
    evaluating = [sys.executable, "-m", "lowlight", "evaluate", bench / "clean", bench / "dark", "--csv", ours_file]
    for command in (scoring, [*evaluating, "--by", "modality"]):
        subprocess.run([str(part) for part in command], check=True, timeout=3600)
    theirs = {f"{row['severity']}/{row['name']}": row for row in rows(theirs_file)}
    ours = {row["name"]: row for row in rows(ours_file)}
    assert len(ours) == 180
    assert set(ours) == set(theirs)
    for name, row in ours.items():
        assert row["group"] == theirs[name]["modality"], name
        assert float(row["psnr"]) == pytest.approx(float(theirs[name]["psnr"]), abs=0.01), name
        assert float(row["ssim"]) == pytest.approx(float(theirs[name]["ssim"]), abs=0.001), name
