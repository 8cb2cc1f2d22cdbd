"""Results are accepted by others: dciodvfy, dcmdump, and a real Orthanc over STOW-RS and C-STORE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orthanc
import pydicom
import pytest
from dicom_files import shipped
from dicom_validation import is_dumped, new_kinds_of_error

from lowlight.errors import InputError
from lowlight.imaging import read, write
from lowlight.imaging.processing import Processing

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
PROCESSING = Processing("Enhanced with net 1.2", "net 1.2", "ab" * 32, {"brightness": "0.5"}, denoised=True)


def brighter(path: Path, target: Path, compress: str | None = None) -> Path:
    """A derived file with other pixels."""
    image = read(path)
    low, high = min(0.0, float(image.pixels.min())), max(1.0, float(image.pixels.max()))
    return write(image, np.clip(image.pixels * 1.5, low, high), target, derivation=PROCESSING, compress=compress)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_result_has_a_kind_of_error_that_its_source_did_not_have(tmp_path: Path) -> None:
    checked = 0
    for path in sorted(FOLDER.glob("*.dcm")):
        try:
            result = brighter(path, tmp_path / "out.dcm")
        except InputError:
            continue
        assert new_kinds_of_error(path, result, tmp_path / "inflated.dcm") == set(), path.name
        assert is_dumped(result), path.name
        checked += 1
    assert checked >= 45


@pytest.mark.parametrize("compress", ["jpeg2000", "jpegls", "rle"])
@pytest.mark.parametrize(
    "name", ["examples_rgb_color.dcm", "examples_palette.dcm", "SC_rgb_rle_2frame.dcm", "CT_small.dcm"]
)
def test_nor_has_a_compressed_one(name: str, compress: str, tmp_path: Path) -> None:
    result = brighter(shipped(name), tmp_path / "out.dcm", compress)
    assert new_kinds_of_error(shipped(name), result, tmp_path / "inflated.dcm") == set()
    assert is_dumped(result)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("examples_rgb_color.dcm", None),
        ("CT_small.dcm", None),
        ("examples_ybr_color.dcm", None),
        ("examples_overlay.dcm", "jpeg2000"),
        ("SC_rgb_rle_16bit.dcm", "rle"),
        ("693_J2KI.dcm", "jpegls"),
    ],
)
def test_an_archive_takes_results_and_gives_back_the_same_pixels(
    name: str, compress: str | None, archive: orthanc.Orthanc, tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(brighter(shipped(name), tmp_path / "out.dcm", compress))
    for send in (archive.web.store_instances, lambda datasets: archive.c_store(datasets[0])):
        archive.forget()
        told = send([dataset])
        assert told == 0 or not told.get("FailedSOPSequence")
        again = archive.fetch(dataset)
        np.testing.assert_array_equal(again.pixel_array, dataset.pixel_array)
        assert again.SourceImageSequence[0].ReferencedSOPInstanceUID == (
            dataset.SourceImageSequence[0].ReferencedSOPInstanceUID
        )
