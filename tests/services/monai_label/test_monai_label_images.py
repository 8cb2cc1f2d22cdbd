"""What MONAI Label's server gives is what `Enhancer` makes, as a file of the same kind, depth and geometry."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from label_runs import LONGEST, Label
from PIL import Image

from lowlight import Enhancer
from lowlight.imaging import read, write


def expected(enhancer: Enhancer, source: Path, target: Path, **strengths: Any) -> Path:
    """The file that the engine and the writer make of another, without a server."""
    image = read(source)
    result = enhancer(
        image.pixels,
        value_range=image.value_range,
        frames=image.frames,
        modality=image.modality,
        valid=image.valid,
        **strengths,
    )
    return write(image, result.image, target)


@pytest.mark.parametrize("name", ["grey.png", "colour.png"])
@pytest.mark.parametrize("strengths", [{}, {"brightness": 0.6, "denoise": 0.2}])
def test_a_png_comes_back_as_the_engine_makes_it(
    label: Label, enhancer: Enhancer, tmp_path: Path, name: str, strengths: dict[str, float]
) -> None:
    source = label.studies / name
    got = label.enhanced(name.removesuffix(".png"), tmp_path / "got.png", **strengths)
    wanted = expected(enhancer, source, tmp_path / "wanted.png", **strengths)
    with Image.open(got) as found, Image.open(wanted) as made, Image.open(source) as was:
        assert found.mode == was.mode
        np.testing.assert_array_equal(np.asarray(found), np.asarray(made))
        assert np.asarray(found).mean() > 1.2 * np.asarray(was).mean()


def test_a_16_bit_radiograph_keeps_depth_spacing_and_patient(label: Label, enhancer: Enhancer, tmp_path: Path) -> None:
    source = label.studies / "radiograph.dcm"
    got = pydicom.dcmread(label.enhanced("radiograph", tmp_path / "got.dcm"))
    wanted = pydicom.dcmread(expected(enhancer, source, tmp_path / "wanted.dcm"))
    was = pydicom.dcmread(source)
    np.testing.assert_array_equal(got.pixel_array, wanted.pixel_array)
    assert not np.array_equal(got.pixel_array, was.pixel_array)
    assert got.BitsAllocated == 16
    assert list(got.PixelSpacing) == [0.2, 0.3]
    for keyword in ("BitsStored", "PixelSpacing", "SOPClassUID", "PatientName", "StudyInstanceUID"):
        assert got[keyword].value == was[keyword].value, keyword
    assert got.SOPInstanceUID != was.SOPInstanceUID
    assert got.ImageType[0] == "DERIVED"


def test_a_radiograph_that_was_left_as_it_was_says_so(label: Label, tmp_path: Path) -> None:
    got = pydicom.dcmread(label.enhanced("radiograph", tmp_path / "got.dcm", brightness=0, denoise=0))
    np.testing.assert_array_equal(got.pixel_array, pydicom.dcmread(label.studies / "radiograph.dcm").pixel_array)
    assert "DerivationCodeSequence" not in got


def test_a_nifti_stack_keeps_depth_and_geometry(label: Label, enhancer: Enhancer, tmp_path: Path) -> None:
    got = nibabel.load(label.enhanced("stack", tmp_path / "got.nii.gz"))
    wanted = nibabel.load(expected(enhancer, label.studies / "stack.nii.gz", tmp_path / "wanted.nii.gz"))
    np.testing.assert_array_equal(np.asanyarray(got.dataobj), np.asanyarray(wanted.dataobj))
    np.testing.assert_allclose(got.affine, np.diag([0.5, 0.7, 3.0, 1.0]), rtol=1e-6)
    assert got.get_data_dtype() == np.uint16


def test_an_answer_with_all_holds_the_image_and_what_was_done(label: Label) -> None:
    response = label.infer("grey", output="all", brightness=0.5)
    assert response.headers["content-type"].startswith("multipart/form-data")
    told = json.loads(response.content.split(b"application/json\r\n\r\n")[1].split(b"\r\n")[0])
    assert (told["brightness"], told["unchanged"]) == (0.5, False)
    assert b"\x89PNG\r\n\x1a\n" in response.content


def test_a_good_image_comes_back_as_it_was(label: Label, tmp_path: Path) -> None:
    told = label.infer("good7", output="json").json()
    assert told["unchanged"]
    assert told["reason"]
    with (
        Image.open(label.enhanced("good7", tmp_path / "got.png")) as got,
        Image.open(label.studies / "good7.png") as was,
    ):
        np.testing.assert_array_equal(np.asarray(got), np.asarray(was))


def test_the_app_is_an_infer_task_of_type_others_with_options(label: Label) -> None:
    model = label.answer("GET", "/info/")["models"]["lowlight"]
    assert model["type"] == "others"
    assert {"brightness", "denoise", "modality", "force"} <= set(model["config"])


def test_a_browser_is_told_that_there_is_no_page(label: Label) -> None:
    response = label.ask("GET", "/")
    assert response.status_code == 200
    assert "docs/monai_label.md" in response.text


def test_no_result_is_left_on_the_server(label: Label) -> None:
    assert label.infer("grey").status_code == 200
    # It goes after the answer has been sent.
    deadline = time.monotonic() + LONGEST
    while left := list((label.app / "results").iterdir()):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_sources_stay_as_they_were(label: Label, images: dict[str, Path]) -> None:
    for name, source in images.items():
        assert (label.studies / name).read_bytes() == source.read_bytes(), name
