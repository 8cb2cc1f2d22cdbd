"""`lowlight enhance` leaves good images alone, says so, and can be told otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_runs import dark, load, lowlight, retina, save
from PIL import Image

from lowlight.artifacts.quantifying import quantify


def good() -> np.ndarray:
    """A photograph without damage, (320, 320, 3): scaled down by far, so that neither noise nor JPEG is left in it."""
    from skimage import data

    photograph = Image.fromarray(data.astronaut()).resize((320, 320), Image.Resampling.LANCZOS)
    assert quantify(np.asarray(photograph), (0, 255)).undamaged
    return np.asarray(photograph)


def test_a_good_image_comes_out_as_it_is_and_a_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(good(), tmp_path / "in/good.png")
    save(dark(retina()), tmp_path / "in/dark.png")
    ended = lowlight(capsys, "enhance", tmp_path / "in", "-o", tmp_path / "out")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == f"{source}: judged undamaged, left unchanged"
    assert "dark.png" not in ended.out
    np.testing.assert_array_equal(load(tmp_path / "out/good.png"), good())
    assert load(tmp_path / "out/dark.png").mean() > 1.3 * dark(retina()).mean()


def test_images_left_alone_are_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        save(good(), tmp_path / f"in/{name}.png")
    save(dark(retina()), tmp_path / "in/dark.png")
    ended = lowlight(capsys, "enhance", tmp_path / "in", "-o", tmp_path / "out")
    assert ended.out.splitlines()[-1].startswith("1 file enhanced, 2 left unchanged, in ")
    told = lowlight(capsys, "enhance", tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert (told.summary["done"], told.summary["unchanged"]) == (3, 2)


@pytest.mark.parametrize("option", [(), ("--force",), ("--brightness", "1")])
def test_an_image_without_a_valid_pixel_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    pixels = np.dstack([dark(retina()), np.zeros((96, 96), np.uint8)])
    source = save(pixels, tmp_path / "in/transparent.png")
    report = tmp_path / "report.html"
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "out", "--report", report, *option)
    assert ended.code == 0
    assert ended.out.splitlines()[0] == f"{source}: no valid pixel, left unchanged"
    assert "0 files enhanced, 1 left unchanged" in ended.out
    np.testing.assert_array_equal(load(tmp_path / "out/transparent.png"), pixels)
    assert "no valid pixel, left unchanged" in report.read_text(encoding="utf-8")
    assert "judged undamaged" not in report.read_text(encoding="utf-8")


def test_force_enhances_it_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(good(), tmp_path / "good.png")
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "out.png", "--force")
    assert ended.code == 0
    assert "undamaged" not in ended.out
    assert (load(tmp_path / "out.png") != good()).any()


def test_programs_are_told_both_states(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(good(), tmp_path / "in/good.png")
    save(dark(retina()), tmp_path / "in/dark.png")
    entries = lowlight(capsys, "enhance", tmp_path / "in", "-o", tmp_path / "out", "--json").by_name()
    kept, enhanced = entries["good.png"]["parameters"], entries["dark.png"]["parameters"]
    assert kept["undamaged"] is True
    assert kept["before"] == kept["after"]
    assert enhanced["undamaged"] is False
    assert enhanced["before"]["mean"] < enhanced["after"]["mean"]
