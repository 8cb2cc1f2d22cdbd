"""What a user is told of an image that uses next to nothing of a range that nobody declared."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from cli_runs import dark, grey, lowlight, save
from pydicom.data import get_testdata_file

STATE = "if black and white are known, state them: --value-range BLACK WHITE"


def test_twelve_bits_in_sixteen_are_told_once_and_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(narrow(), tmp_path / "a.png")
    save(dark(grey(40)) // 16, tmp_path / "eight.png")
    ended = lowlight(capsys, "simulate", tmp_path, "-o", tmp_path / "out")
    assert ended.code == 0
    (line,) = ended.err.splitlines()
    assert line.startswith(f"warning: {source}: uses less than 1 % of the range of its 16-bit values (96")
    assert line.endswith(STATE)
    told = lowlight(capsys, "simulate", tmp_path, "-o", tmp_path / "out", "--json")
    assert told.err == ""
    assert told.by_name()["a.png"]["status"] == "done"
    assert f"warning: {told.by_name()['a.png']['warning']}" == line
    assert told.by_name()["eight.png"]["warning"] is None


def test_a_stated_range_and_a_used_one_are_not_spoken_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, narrow())
    stated = ("--value-range", "900", "1200")
    assert lowlight(capsys, "simulate", source, "-o", tmp_path / "out", *stated).err == ""
    assert "uses less than 1 %" in lowlight(capsys, "simulate", source, "-o", tmp_path / "out").err
    tifffile.imwrite(source, grey(40).astype(np.uint16) * 257)
    assert lowlight(capsys, "simulate", source, "-o", tmp_path / "out").err == ""


def test_nifti_is_told_in_the_units_in_which_a_range_is_stated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = nibabel.Nifti1Image(narrow().astype(np.int16), np.eye(4))
    volume.header.set_slope_inter(2, -1000)
    nibabel.save(volume, tmp_path / "a.nii")
    low, high = stored_span(tmp_path / "a.nii")
    ended = lowlight(capsys, "simulate", tmp_path / "a.nii", "-o", tmp_path / "out")
    assert ended.code == 0
    assert f"16-bit values ({low:g} to {high:g})" in ended.err


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dicom_is_told_without_a_window_and_not_with_one(
    photometric: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.Rows = dataset.Columns = 40
    dataset.PixelData = narrow().astype("<i2").tobytes()
    dataset.PhotometricInterpretation = photometric
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1000
    for keyword in ("WindowCenter", "WindowWidth", "PixelPaddingValue"):
        if keyword in dataset:
            del dataset[keyword]
    dataset.save_as(tmp_path / "a.dcm")
    low, high = (int(value) - 1000 for value in np.percentile(narrow(), (0.5, 99.5), method="nearest"))
    ended = lowlight(capsys, "simulate", tmp_path / "a.dcm", "-o", tmp_path / "out")
    assert ended.code == 0
    assert f"less than 1 % of the range of its 16-bit values ({low:g} to {high:g})" in ended.err
    dataset.WindowCenter, dataset.WindowWidth = 50, 100000
    dataset.save_as(tmp_path / "a.dcm")
    assert lowlight(capsys, "simulate", tmp_path / "a.dcm", "-o", tmp_path / "out").err == ""


def narrow() -> np.ndarray:
    """A real image as 16-bit values from 960 upwards, spanning less than 200 of 65,536."""
    return grey(40).astype(np.uint16) + 960


def stored_span(path: Path) -> tuple[float, float]:
    low, high = np.percentile(nibabel.load(path).get_fdata(), (0.5, 99.5), method="nearest")
    return float(low), float(high)
