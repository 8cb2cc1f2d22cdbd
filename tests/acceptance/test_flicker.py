"""Films over real images of several kinds, dark and noisy, do not flicker once they are enhanced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "flicker.py"


@pytest.mark.parametrize(
    ("image", "severity", "seed"),
    [("endoscopy/endoscopy_79afebc04c.jpg", "heavy", "2"), ("fundus/fundus_c4cfda6be3.jpg", "medium", "3")],
)
def test_the_enhanced_film_flickers_as_little_as_the_clean_one(
    shared: Path, image: str, severity: str, seed: str
) -> None:
    command = [sys.executable, str(SCRIPT), str(shared / "data" / "val" / image)]
    options = ["--frames", "25", "--severity", severity, "--seed", seed]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(ended.stdout.splitlines()) == 2
