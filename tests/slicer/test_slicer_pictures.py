"""The pictures of the module's page: made by a script from the panel itself, at single and at double size."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer_pictures
from PIL import Image

MODULE = Path(__file__).resolve().parents[2] / "LowLightEnhance"
SOME = ("dependencies", "measured", "settings")
"""Of a dialog, of panel and views, and of the panel alone, the last with a worker of its own."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Folders of some of the pictures, by scale."""
    folders = {}
    for scale in (1, 2):
        folders[scale] = tmp_path_factory.mktemp(f"pictures-{scale}")
        subprocess.run(
            [sys.executable, slicer_pictures.__file__, str(folders[scale]), *SOME],
            env={**os.environ, "QT_SCALE_FACTOR": str(scale)},
            check=True,
            capture_output=True,
            timeout=300,
        )
    return folders


def test_the_page_shows_what_the_script_makes_and_all_of_it():
    shown = set(re.findall(r"\(Screenshots/([\w-]+)\.png\)", (MODULE / "README.md").read_text(encoding="utf-8")))
    makes = {name for names in slicer_pictures.STEPS.values() for name in names}
    kept = {path.stem for path in (MODULE / "Screenshots").glob("*.png")}
    assert shown == makes == kept


@pytest.mark.parametrize("name", SOME)
def test_on_a_fine_screen_it_looks_as_on_a_coarse_one(made, name):
    coarse, fine = (Image.open(made[s] / f"{name}{'@2x' * (s == 2)}.png").convert("L") for s in (1, 2))
    assert fine.size == (2 * coarse.width, 2 * coarse.height)
    assert np.asarray(coarse).std() > 20, "there is something to see"
    shrunk = fine.resize(coarse.size, Image.Resampling.BOX)
    apart = np.abs(np.asarray(coarse, float) - np.asarray(shrunk, float))
    # Letters are drawn finer; lines, boxes and images lie where they lay.
    assert apart.mean() < 6
    assert np.mean(apart > 64) < 0.03
