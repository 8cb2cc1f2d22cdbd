"""`lowlight demo`: the first thing a new user runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import Ended, fingerprints, load, lowlight
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio

from lowlight.cli.demonstrating import ExampleImage
from lowlight.enhance.demo import EXAMPLES, LONGEST_SIDE


@pytest.mark.parametrize("image", EXAMPLES)
def test_the_picture_shows_dark_enhanced_and_truth(
    image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "demo.png"
    ended = lowlight(capsys, "demo", "-o", picture, "--image", image, "--json")
    assert (ended.code, ended.err) == (0, "")
    (entry,) = ended.entries
    before, after = entry["measures"]["before"], entry["measures"]["after"]
    assert entry["output"] == str(picture)
    assert picture.stat().st_size < 1_500_000
    dark, enhanced, truth = panels(load(picture), EXAMPLES[image].pixels())
    np.testing.assert_array_equal(truth, colour(EXAMPLES[image].pixels()))
    # What is claimed is what is shown.
    assert peak_signal_noise_ratio(truth, dark) == pytest.approx(before["psnr"], abs=1e-3)
    assert peak_signal_noise_ratio(truth, enhanced) == pytest.approx(after["psnr"], abs=1e-3)
    assert after["psnr"] > before["psnr"] + 3
    # In the black surround of the ultrasound image some noise is left, and its speckle is smoothed.
    assert after["ssim"] > before["ssim"] + (0.2 if image == "retina" else 0.01)


def test_it_tells_the_figures_and_where_the_picture_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = told(lowlight(capsys, "demo"))
    picture = tmp_path / "lowlight-demo.png"
    assert first[-1].endswith(str(picture))
    assert "dark      PSNR" in first[1]
    assert "enhanced  PSNR" in first[2]
    before = fingerprints(tmp_path)
    told(lowlight(capsys, "demo"))
    assert fingerprints(tmp_path) == before, "the same on every run"


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    ended = lowlight(capsys, "demo", "-o", tmp_path / "file/demo.png")
    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert "not a folder" in ended.err


@pytest.mark.parametrize("image", EXAMPLES)
def test_examples_are_inside_installed_packages_and_small_enough(image: str) -> None:
    pixels = EXAMPLES[image].pixels()
    assert pixels.dtype == np.uint8
    assert LONGEST_SIDE / 2 < max(pixels.shape) <= LONGEST_SIDE


def test_the_command_line_offers_every_example() -> None:
    assert [str(image) for image in ExampleImage] == list(EXAMPLES)


def told(ended: Ended) -> list[str]:
    assert (ended.code, ended.err) == (0, "")
    return ended.out.splitlines()


def colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([image] * 3) if image.ndim == 2 else image


def panels(picture: NDArray[np.uint8], truth: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The three images of a picture, found by where the truth lies in it."""
    height, width = truth.shape[:2]
    for top in range(picture.shape[0] - height + 1):
        for left in range(picture.shape[1] - width, 2 * width, -1):
            if np.array_equal(picture[top : top + height, left : left + width], colour(truth)):
                gap = picture.shape[1] - left - width
                columns = (gap, 2 * gap + width, left)
                return [picture[top : top + height, start : start + width] for start in columns]
    raise AssertionError("the truth is not in the picture")
