"""`lowlight enhance` on files that can be enhanced."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
from cli_runs import dark, fingerprints, grey, load, lowlight, names, retina, save
from PIL import Image
from pydicom.data import get_testdata_file


def test_a_folder_keeps_its_sub_folders_and_stems_and_its_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    save(dark(grey()), source / "chest.png")
    save(dark(retina()), source / "eye/left/fundus.jpg")
    save(dark(grey()).astype(np.uint16) * 257, source / "eye/deep.png")
    tifffile.imwrite(source / "eye/stack.tif", np.stack([dark(grey(40))] * 3), photometric="minisblack")
    before = fingerprints(source)

    ended = lowlight(capsys, "enhance", source, "-o", out)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"4 files enhanced, in {out} (")
    assert fingerprints(source) == before
    assert names(out) == ["chest.png", "eye/deep.png", "eye/left/fundus.png", "eye/stack.tif"]
    assert load(out / "chest.png").shape == (96, 96)
    assert load(out / "eye/left/fundus.png").shape == (96, 96, 3)
    assert load(out / "eye/deep.png").dtype == np.uint16
    assert tifffile.imread(out / "eye/stack.tif").shape == (3, 40, 40)
    assert load(out / "chest.png").mean() > 1.3 * dark(grey()).mean()


def test_each_file_is_a_json_line_and_the_summary_comes_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(dark(grey()), tmp_path / "in/chest.png").parent
    (source / "notes.txt").write_text("a note")
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "out", "--json", "--modality", "xray")
    assert (ended.code, ended.err) == (0, "")
    chest, notes = ended.by_name()["chest.png"], ended.by_name()["notes.txt"]
    assert chest["status"] == "done"
    assert chest["message"] is None
    assert chest["output"] == str(tmp_path / "out/chest.png")
    assert chest["parameters"]["modality"] == "xray"
    assert len(chest["parameters"]["weights_sha256"]) == 64
    assert chest["seconds"] > 0
    assert (notes["status"], notes["output"]) == ("skipped", None)
    assert "unsupported type" in notes["message"]
    assert {key: ended.summary[key] for key in ("done", "skipped", "refused", "total", "interrupted")} == {
        "done": 1,
        "skipped": 1,
        "refused": 0,
        "total": 2,
        "interrupted": False,
    }


def test_strengths_of_zero_give_the_image_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, result = save(dark(retina()), tmp_path / "eye.png"), tmp_path / "same.png"
    assert lowlight(capsys, "enhance", source, "-o", result, "--brightness", "0", "--denoise", "0").code == 0
    np.testing.assert_array_equal(load(result), load(source))


def test_a_second_run_replaces_its_results_and_leaves_them_out_as_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    save(dark(grey()), source / "chest.png")
    save(dark(retina()), source / "sub/eye.png")
    assert lowlight(capsys, "enhance", source, "-o", source / "enhanced").code == 0
    first = fingerprints(source)
    again = lowlight(capsys, "enhance", source, "-o", source / "enhanced", "--json")
    assert again.summary["done"] == 2
    assert fingerprints(source) == first


def test_results_of_equal_stems_do_not_meet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(dark(retina()), tmp_path / "one/a.jpg")
    save(dark(grey()), tmp_path / "one/a.png")
    save(dark(grey(64)), tmp_path / "two/a.png")
    paths = (tmp_path / "one/a.jpg", tmp_path / "one/a.png", tmp_path / "two/a.png", tmp_path / "one/a.png")
    ended = lowlight(capsys, "enhance", *paths, "-o", tmp_path / "out", "--json")
    assert ended.code == 0
    shapes = {Path(entry["input"]): load(Path(entry["output"])).shape for entry in ended.entries}
    assert shapes == {paths[0]: (96, 96, 3), paths[1]: (96, 96), paths[2]: (64, 64)}
    assert len(names(tmp_path / "out")) == 3


def test_unusual_images_are_handled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    eye = dark(retina())
    alpha = np.arange(96 * 96, dtype=np.uint8).reshape(96, 96)
    save(np.zeros((40, 40), np.uint8), source / "black.png")
    save(np.full((40, 40, 3), 255, np.uint8), source / "white.png")
    save(np.full((40, 40), 77, np.uint16), source / "constant.png")
    save(np.full((1, 1), 9, np.uint8), source / "pixel.png")
    save(np.resize(dark(grey()), (3, 20000)), source / "strip.png")
    save(np.dstack([eye, alpha]), source / "alpha.png")
    save(grey() > 90, source / "bit.png")
    Image.fromarray(eye).quantize(64).save(source / "palette.png")
    ended = lowlight(capsys, "enhance", source, "-o", out, "--json")
    assert ended.code == 0
    assert ended.summary["done"] == 8
    for path in source.iterdir():
        assert load(out / path.name).shape[:2] == load(path).shape[:2], path.name
    np.testing.assert_array_equal(load(out / "alpha.png")[..., 3], alpha)
    # Nothing is invented in a frame without light.
    assert load(out / "black.png").max() == 0


def test_a_stated_value_range_makes_floats_readable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "counts.tif"
    tifffile.imwrite(source, dark(grey()).astype(np.float32) * 16)
    refused = lowlight(capsys, "enhance", source, "-o", tmp_path / "out.tif")
    assert refused.code == 1
    assert "value range" in refused.err
    assert not (tmp_path / "out.tif").exists()
    stated = lowlight(capsys, "enhance", source, "-o", tmp_path / "out.tif", "--value-range", "0", "4095")
    assert stated.code == 0
    result = tifffile.imread(tmp_path / "out.tif")
    assert result.dtype == np.float32
    assert 0 <= result.min() < 4 * result.mean() <= 4 * 4095


def test_a_dicom_image_says_how_it_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = Path(shutil.copy(get_testdata_file("examples_rgb_color.dcm"), tmp_path / "ultrasound.dcm"))
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "out", "--brightness", "0.5", "--json", "--phi")
    assert ended.code == 0
    (entry,) = ended.entries
    original, result = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "out/ultrasound.dcm")
    assert result.pixel_array.shape == original.pixel_array.shape
    assert result.SOPInstanceUID != original.SOPInstanceUID
    assert entry["parameters"]["weights_sha256"][:16] in result.DerivationDescription
    assert "brightness 0.5" in result.DerivationDescription
    assert entry["parameters"]["modality"] == "ultrasound"
