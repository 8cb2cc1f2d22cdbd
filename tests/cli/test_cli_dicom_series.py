"""Studies as a PACS exports them: series, clips of single files, directories of media, and what results are called."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from cli_runs import fingerprints, lowlight, names
from dicom_files import changed, grey_clip, shipped, stored

from lowlight import Enhancer
from lowlight.imaging import collect, read
from lowlight.imaging.dicom_series import arrange
from lowlight.imaging.limits import Limits


def by_instance(folder: Path) -> dict[str, pydicom.Dataset]:
    """Results by the SOP Instance UID of their source."""
    found = [pydicom.dcmread(path) for path in folder.rglob("*.dcm")]
    return {dataset.SourceImageSequence[0].ReferencedSOPInstanceUID: dataset for dataset in found}


def test_frames_of_a_clip_get_one_tone_in_the_order_of_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], enhancer: Enhancer
) -> None:
    paths = grey_clip(tmp_path / "in")
    ended = lowlight(capsys, "enhance", tmp_path / "in", "-o", tmp_path / "out", "--force", "--json")
    assert ended.code == 0
    assert ended.summary["done"] == 4
    assert all(entry["parameters"]["files_with_one_tone"] == 4 for entry in ended.entries)
    images = [read(path) for path in paths]
    together = enhancer(
        np.stack([image.pixels for image in images]), value_range=(0, 1), modality="ultrasound", frames=True, force=True
    ).image
    results = by_instance(tmp_path / "out")
    assert len({result.SeriesInstanceUID for result in results.values()}) == 1
    for path, expected in zip(paths, together, strict=True):
        result = results[pydicom.dcmread(path).SOPInstanceUID].pixel_array
        np.testing.assert_allclose(result, expected * 4095, atol=0.51)


def test_two_views_of_one_series_keep_an_exposure_of_their_own(tmp_path: Path) -> None:
    grey_clip(tmp_path, 2, Modality="DX")
    assert [len(group) for group in arrange(list(collect([tmp_path])), Limits(), hashed=True)] == [1, 1]


def test_slices_of_one_stack_belong_together(tmp_path: Path) -> None:
    paths = grey_clip(tmp_path, 3, FrameOfReferenceUID="1.2.3", ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    for height, path in zip((30, 10, 20), paths, strict=True):
        dataset = pydicom.dcmread(path)
        dataset.Modality, dataset.ImagePositionPatient = "OT", [0, 0, height]
        dataset.save_as(path)
    (group,) = arrange(list(collect([tmp_path])), Limits(), hashed=True)
    assert [item.path for item in group] == [paths[1], paths[2], paths[0]]


def test_a_directory_leads_to_its_files_and_to_nothing_outside(tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    shutil.copytree(shipped("DICOMDIR").parent, medium, ignore=shutil.ignore_patterns("TINY_ALPHA", "DICOMDIR-*"))
    groups = arrange(list(collect([medium / "DICOMDIR"])), Limits(), hashed=True)
    found = [item for group in groups for item in group]
    assert len(found) == 32
    assert [item.path for item in found if item.fault is not None] == [medium / "DICOMDIR"]
    # The folder that holds the directory leads to the same files, once each.
    again = [item.path for group in arrange(list(collect([medium])), Limits(), hashed=True) for item in group]
    assert {item.path for item in found} <= set(again)
    assert len(again) == len(set(again))

    dataset = pydicom.dcmread(medium / "DICOMDIR")
    for record in dataset.DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            with pydicom.config.disable_value_validation():
                record.ReferencedFileID = ["..", "..", "etc", "passwd"]
    with pydicom.config.disable_value_validation():
        dataset.save_as(medium / "DICOMDIR", enforce_file_format=False)
    ((only,),) = arrange(list(collect([medium / "DICOMDIR"])), Limits(), hashed=True)
    assert only.fault is not None
    assert "31 of the 31 files that it lists are not there" in str(only.fault)


def test_results_are_named_by_hashes_unless_asked_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "Quixote^Alonso"
    changed(folder / "Quixote.dcm", "examples_rgb_color.dcm")
    strengths = ("--brightness", "0", "--denoise", "0")
    lowlight(capsys, "enhance", tmp_path / "Quixote^Alonso", "-o", tmp_path / "out", *strengths)
    (name,) = names(tmp_path / "out")
    series, instance = name.split("/")
    assert len(series) == 16
    assert len(instance) == 16 + len(".dcm")
    assert int(series + instance.removesuffix(".dcm"), 16)
    before = fingerprints(tmp_path / "out")
    lowlight(capsys, "enhance", folder / "Quixote.dcm", "-o", tmp_path / "out", *strengths)
    assert fingerprints(tmp_path / "out") == before, "a second run makes no duplicate"
    lowlight(capsys, "enhance", tmp_path / "Quixote^Alonso", "-o", tmp_path / "named", *strengths, "--phi")
    assert names(tmp_path / "named") == ["Quixote.dcm"]


@pytest.mark.parametrize(
    "elements",
    [{"InstanceNumber": [1, 2]}, {"ImageOrientationPatient": [1.0]}, {"ImagePositionPatient": ["nan", "0", "0"]}],
)
def test_a_position_that_makes_no_sense_names_no_result_after_its_file(
    elements: dict[str, object], tmp_path: Path
) -> None:
    whole = changed(tmp_path / "whole.dcm")
    odd = changed(tmp_path / "Quixote.dcm", **elements)
    ((first,), (second,)) = arrange(list(collect([odd, whole])), Limits(), hashed=True)
    assert first.relative == second.relative


def test_a_damaged_file_is_not_named_after_itself_either(tmp_path: Path) -> None:
    path = tmp_path / "Quixote.dcm"
    path.write_bytes(shipped("CT_small.dcm").read_bytes()[:5000])
    ((item,),) = arrange(list(collect([path])), Limits(), hashed=True)
    assert "Quixote" not in str(item.relative)


def test_a_copy_is_skipped_and_another_image_under_its_uid_gets_a_result_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = changed(tmp_path / "in/a.dcm")
    shutil.copy(source, tmp_path / "in/b.dcm")
    changed(tmp_path / "in/c.dcm", SeriesDescription="another")
    ended = lowlight(
        capsys, "enhance", source.parent, "-o", tmp_path / "out", "--json", "--brightness", "0", "--denoise", "0"
    )
    assert [ended.by_name()[name]["status"] for name in ("a.dcm", "b.dcm", "c.dcm")] == ["done", "skipped", "done"]
    assert "is a copy of a.dcm" in ended.by_name()["b.dcm"]["message"]
    first, second = (ended.by_name()[name]["output"] for name in ("a.dcm", "c.dcm"))
    assert first != second
    assert len(names(tmp_path / "out")) == 2


def test_modalities_that_measure_are_taken_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = lowlight(capsys, "enhance", shipped("CT_small.dcm"), "-o", tmp_path, "--force", "--any-modality")
    assert ended.code == 0
    (path,) = tmp_path.rglob("*.dcm")
    assert pydicom.dcmread(path).RescaleType == "US"


def test_a_mark_is_burnt_into_a_corner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = shipped("examples_rgb_color.dcm")
    command = ("enhance", source, "--brightness", "0.5", "--denoise", "0", "-o")
    lowlight(capsys, *command, tmp_path / "plain.dcm")
    lowlight(capsys, *command, tmp_path / "marked.dcm", "--label")
    rows, columns = np.nonzero((stored(tmp_path / "plain.dcm") != stored(tmp_path / "marked.dcm")).any(axis=-1))
    height, width = stored(source).shape[:2]
    assert len(rows)
    assert rows.min() > height / 2 or rows.max() < height / 2
    assert columns.min() > width / 2 or columns.max() < width / 2
    assert pydicom.dcmread(tmp_path / "marked.dcm").get("BurnedInAnnotation") == pydicom.dcmread(source).get(
        "BurnedInAnnotation"
    )


def test_what_was_not_enhanced_is_not_marked_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = shipped("examples_rgb_color.dcm")
    for strengths in ((), ("--brightness", "0", "--denoise", "0")):
        assert lowlight(capsys, "enhance", source, *strengths, "-o", tmp_path / "out.dcm", "--label").code == 0
        np.testing.assert_array_equal(stored(tmp_path / "out.dcm"), stored(source))
        assert "DerivationCodeSequence" not in pydicom.dcmread(tmp_path / "out.dcm")


def test_quantify_judges_a_clip_of_files_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey_clip(tmp_path)
    ended = lowlight(capsys, "quantify", tmp_path, "--json")
    assert ended.code == 0
    assert all(entry["parameters"] == {"frames": 4, "measured": [3]} for entry in ended.entries)
    assert len(ended.entries) == 4
