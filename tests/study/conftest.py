"""A small study, made once with the real engine from a real image, and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowlight import Enhancer
from lowlight.imaging import collect
from lowlight.study.making import Case, Design, make
from lowlight.study.studyfile import StudyFile


@pytest.fixture(scope="session")
def dark_images(retina: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three dark fundus photographs, 88 px."""
    folder = tmp_path_factory.mktemp("fundus") / "fundus"
    folder.mkdir()
    small = retina[::4, ::4]
    for number, pixels in enumerate((small, small[:, ::-1], small[::-1])):
        Image.fromarray((pixels * 0.3).astype(np.uint8)).save(folder / f"eye{number}.png")
    return folder


@pytest.fixture(scope="session")
def made(dark_images: Path, enhancer: Enhancer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of both tasks for three readers; not to be changed."""
    path = tmp_path_factory.mktemp("made") / "eyes.study"
    cases = [Case((found,), "fundus") for found in collect([dark_images])]
    design = Design(("rating", "pair"), ((0.5, 1.0), (1.0, 1.0)), readers=3, repeats=0.2, title="Eyes")
    return make(path, cases, design, enhancer)


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(made, tmp_path / "eyes.study"))


@pytest.fixture
def study(path: Path) -> Iterator[StudyFile]:
    """The copy, open."""
    with StudyFile(path) as opened:
        yield opened
