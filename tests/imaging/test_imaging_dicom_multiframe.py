"""Multi-frame classes of today: results that other programs find no new fault with, frame by frame as truthful."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_multiframe import (
    MULTIFRAME,
    byte_capture,
    enhanced_ct,
    enhanced_us,
    enhanced_xa,
    saved,
    true_colour_capture,
    word_capture,
)
from dicom_validation import is_dumped, new_kinds_of_error
from pydicom.dataset import Dataset

from lowlight.imaging import read, write
from lowlight.imaging.processing import Processing

PROCESSING = Processing("Enhanced with net 1.2", "net 1.2", "ab" * 32, {"brightness": "0.5"}, denoised=True)
# dciodvfy wants Hounsfield units in every Enhanced CT; PS3.3 C.8.15.3.10 wants them in original images alone.
STRICTER_THAN_THE_STANDARD = {enhanced_ct: {"Error - Unrecognized enumerated value  for value  of attribute "}}


def brighter(source: Path, target: Path, compress: str | None = None) -> Dataset:
    image = read(source)
    assert image.frames
    pixels = np.clip(image.pixels * 1.3, min(0, image.pixels.min()), max(1, image.pixels.max()))
    return pydicom.dcmread(write(image, pixels.astype(np.float32), target, derivation=PROCESSING, compress=compress))


@pytest.mark.parametrize("make", MULTIFRAME)
@pytest.mark.parametrize("compress", [None, "jpeg2000"])
def test_no_result_has_a_new_kind_of_error(make: Callable[[], Dataset], compress: str | None, tmp_path: Path) -> None:
    source = saved(make(), tmp_path / "in.dcm")
    result = brighter(source, tmp_path / "out.dcm", compress)
    found = new_kinds_of_error(source, tmp_path / "out.dcm", tmp_path / "inflated.dcm")
    assert found == STRICTER_THAN_THE_STANDARD.get(make, set())
    assert is_dumped(tmp_path / "out.dcm")
    assert result.SOPClassUID == pydicom.dcmread(source).SOPClassUID
    assert result.NumberOfFrames == 3


@pytest.mark.parametrize("make", [true_colour_capture, byte_capture, word_capture])
def test_each_frame_is_its_own(make: Callable[[], Dataset], tmp_path: Path) -> None:
    result = brighter(saved(make(), tmp_path / "in.dcm"), tmp_path / "out.dcm").pixel_array.astype(float)
    means = result.reshape(3, -1).mean(axis=1)
    assert means[0] > means[1] > means[2] > 0


def test_an_enhanced_ct_says_for_its_frames_that_they_measure_no_longer(tmp_path: Path) -> None:
    result = brighter(saved(enhanced_ct(), tmp_path / "in.dcm"), tmp_path / "out.dcm")
    (shared,) = result.SharedFunctionalGroupsSequence
    assert shared.PixelValueTransformationSequence[0].RescaleType == "US"
    assert list(shared.CTImageFrameTypeSequence[0].FrameType) == ["DERIVED", "PRIMARY", "AXIAL", "NONE"]
    assert shared.PixelMeasuresSequence[0].SliceThickness == 5
    positions = [
        frame.PlanePositionSequence[0].ImagePositionPatient[2] for frame in result.PerFrameFunctionalGroupsSequence
    ]
    assert positions == [0, 5, 10]


def test_an_enhanced_run_says_for_its_frames_that_they_are_derived(tmp_path: Path) -> None:
    result = brighter(saved(enhanced_xa(), tmp_path / "in.dcm"), tmp_path / "out.dcm")
    described = result.SharedFunctionalGroupsSequence[0].FramePixelDataPropertiesSequence[0]
    assert described.FrameType[0] == result.ImageType[0] == "DERIVED"
    assert described.PixelIntensityRelationship == result.PixelIntensityRelationship == "DISP"
    windows = [frame.FrameVOILUTSequence[0].WindowWidth for frame in result.PerFrameFunctionalGroupsSequence]
    assert len(windows) == 3


def test_an_enhanced_volume_keeps_its_planes(tmp_path: Path) -> None:
    result = brighter(saved(enhanced_us(), tmp_path / "in.dcm"), tmp_path / "out.dcm")
    assert result.SharedFunctionalGroupsSequence[0].USImageDescriptionSequence[0].FrameType[0] == "DERIVED"
    heights = [
        frame.PlanePositionVolumeSequence[0].ImagePositionVolume[2] for frame in result.PerFrameFunctionalGroupsSequence
    ]
    assert heights == [0, 1, 2]
