"""Published numbers on the photographs they were published for, and good images left alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowlight import Enhancer
from lowlight.artifacts import quantify
from lowlight.artifacts.published import published_metrics
from lowlight.imaging import read

pytestmark = pytest.mark.acceptance

PUBLISHED = {
    "22": ("3.4681e-05", "0.37394", "0.015022", "0.00014864"),
    "780": ("0.00027525", "0.72166", "0.019452", "0.0006249"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_printed_digit_of_the_published_rows_agrees(shared: Path, name: str) -> None:
    metrics = published_metrics(np.asarray(Image.open(shared / "seed" / f"{name}.png")))
    assert tuple(metrics.printed().values()) == PUBLISHED[name]


def psnr(first: np.ndarray, second: np.ndarray, white: float) -> float:
    error = np.mean((first.astype(float) - second.astype(float)) ** 2)
    return 10 * np.log10(white**2 / error) if error else np.inf


def test_good_images_come_back_as_they_were(shared: Path, enhancer: Enhancer) -> None:
    found = {}
    for file in sorted((shared / "bench" / "clean").glob("*.png")):
        image = read(file)
        result = enhancer(image.pixels, value_range=image.value_range)
        if result.undamaged:
            assert np.array_equal(result.image, image.pixels), file.name
        found[file.stem] = psnr(result.image, image.pixels, image.value_range[1])
    assert len(found) == 60
    assert np.mean([value >= 40 for value in found.values()]) >= 0.9, found
    assert min(found.values()) >= 32, found


def test_no_medium_or_heavy_observation_is_judged_undamaged(shared: Path) -> None:
    wrong = []
    for severity in ("medium", "heavy"):
        for file in sorted((shared / "bench" / "dark" / severity).glob("*.jpg")):
            image = read(file)
            if quantify(image.pixels, image.value_range).undamaged:
                wrong.append(f"{severity}/{file.name}")
    assert not wrong
