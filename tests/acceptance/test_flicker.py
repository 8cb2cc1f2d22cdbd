"""Films over real images of several kinds, dark and noisy, do not flicker once they are enhanced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "flicker.py"


def test_the_enhanced_film_flickers_as_little_as_the_clean_one(shared: Path) -> None:
    images = [min((shared / "data" / "val" / kind).glob("*.jpg")) for kind in ("endoscopy", "ultrasound")]
    command = [sys.executable, str(SCRIPT), *map(str, images), "--frames", "60", "--severity", "heavy"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(ended.stdout.splitlines()) == 3
