"""Whether an archive gives back what it was given, however it stores it."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from dicom_files import shipped

from lowlight.errors import InputError
from lowlight.imaging import read, write
from lowlight.imaging.dicom_files import is_same_object
from lowlight.imaging.limits import DicomReading, Limits


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of a colour image of 320 x 240."""
    image = read(shipped("examples_rgb_color.dcm"))
    return write(image, image.pixels * 0.9, tmp_path_factory.mktemp("same") / "result.dcm")


def again(result: Path, target: Path, compress: bool = True, **elements: object) -> Path:
    """What comes back from an archive that writes everything anew."""
    dataset = pydicom.dcmread(result)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    if compress:
        dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    dataset.file_meta.ImplementationVersionName = "ARCHIVE"
    dataset.save_as(target)
    return target


@pytest.mark.parametrize("compress", [False, True])
def test_another_encoding_is_the_same_object(compress: bool, result: Path, tmp_path: Path) -> None:
    assert is_same_object(result, again(result, tmp_path / "again.dcm", compress), Limits())


@pytest.mark.parametrize("compress", [False, True])
def test_another_value_is_not(compress: bool, result: Path, tmp_path: Path) -> None:
    assert not is_same_object(result, again(result, tmp_path / "a.dcm", compress, PatientName="Other"), Limits())
    content = bytearray(pydicom.dcmread(result).PixelData)
    content[0] ^= 1
    assert not is_same_object(result, again(result, tmp_path / "b.dcm", compress, PixelData=bytes(content)), Limits())


def test_limits_that_were_raised_for_a_source_hold_for_its_result(result: Path, tmp_path: Path) -> None:
    other = again(result, tmp_path / "again.dcm")
    with pytest.raises(InputError, match=r"declares 320 x 240 pixels, over the limit"):
        is_same_object(result, other, Limits(pixels=320 * 240 - 1))
    assert is_same_object(result, other, Limits(pixels=320 * 240))


def test_a_result_may_need_more_memory_than_its_source(tmp_path: Path) -> None:
    limits = Limits(memory=3 * 350 * 800)
    image = read(shipped("examples_palette.dcm"), dicom=DicomReading(limits=limits))
    assert image.pixels.nbytes // 4 * 3 > limits.memory, "as colours it is over the limit"
    written = write(image, image.pixels, tmp_path / "result.dcm")
    assert is_same_object(written, again(written, tmp_path / "again.dcm"), limits)


def test_what_is_no_longer_whole_is_refused(result: Path, tmp_path: Path) -> None:
    other = tmp_path / "cut.dcm"
    other.write_bytes(result.read_bytes()[:-1000])
    with pytest.raises(InputError, match="ends in the middle of an element"):
        is_same_object(result, other, Limits())
