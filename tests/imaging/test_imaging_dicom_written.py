"""What a derived DICOM object says, and that what cannot be said truthfully is gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import changed, grey_clip, shipped, stored
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from lowlight.errors import InputError, OutputError
from lowlight.imaging import read, write
from lowlight.imaging.dicom_files import write_checked
from lowlight.imaging.label import burn_label
from lowlight.imaging.limits import DicomReading
from lowlight.imaging.processing import Processing

PROCESSING = Processing("Enhanced with net 1.2", "net 1.2", "ab" * 32, {"brightness": "0.5"}, denoised=True)


def brighter(path: Path, target: Path, factor: float = 1.5, **options: object) -> Dataset:
    """The file that comes out when an image is made brighter."""
    image = read(path)
    return pydicom.dcmread(write(image, image.pixels * np.float32(factor), target, derivation=PROCESSING, **options))


def test_the_result_names_model_weights_and_parameters(tmp_path: Path) -> None:
    result = brighter(shipped("examples_rgb_color.dcm"), tmp_path / "out.dcm")
    equipment = result.ContributingEquipmentSequence[-1]
    assert "ab" * 32 in equipment.ContributionDescription
    assert "brightness 0.5" in equipment.ContributionDescription
    assert "net 1.2" in equipment.SoftwareVersions
    meanings = [code.CodeMeaning for code in result.DerivationCodeSequence]
    assert meanings == ["Pixel by pixel multiplication", "Smoothing"]
    assert all(code.CodingSchemeDesignator == "DCM" for code in result.DerivationCodeSequence)


@pytest.mark.parametrize(("number", "expected"), [(7, 1007), (None, 1000), (2**31 - 1, 1000)])
def test_the_series_has_a_number_of_its_own(number: int | None, expected: int, tmp_path: Path) -> None:
    path = changed(tmp_path / "in.dcm", SeriesNumber=number or "")
    assert brighter(path, tmp_path / "out.dcm").SeriesNumber == expected


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_a_source_without_a_uid_gives_a_result_that_has_it(keyword: str, tmp_path: Path) -> None:
    path = changed(tmp_path / "in.dcm", **{keyword: None})
    result = brighter(path, tmp_path / "out.dcm")
    assert result[keyword].value
    assert brighter(path, tmp_path / "again.dcm")[keyword].value == result[keyword].value


def test_images_of_a_run_share_a_series_even_if_some_are_left_alone(tmp_path: Path) -> None:
    image = read(shipped("examples_rgb_color.dcm"))
    unchanged = Processing("Judged undamaged", PROCESSING.model, PROCESSING.weights_sha256, PROCESSING.parameters)
    uids = {
        pydicom.dcmread(write(image, image.pixels, tmp_path / "out.dcm", derivation=one)).SeriesInstanceUID
        for one in (PROCESSING, unchanged)
    }
    assert len(uids) == 1


def test_what_is_said_of_the_sources_pixels_is_gone_and_the_rest_kept(tmp_path: Path) -> None:
    icon = Dataset()
    icon.Rows = 1
    path = changed(
        tmp_path / "in.dcm",
        IconImageSequence=[icon],
        DigitalSignaturesSequence=[icon],
        PatientIdentityRemoved="YES",
        DeidentificationMethod="by hand",
        BurnedInAnnotation="YES",
        AccessionNumber="42",
    )
    result = brighter(path, tmp_path / "out.dcm")
    assert "IconImageSequence" not in result
    assert "DigitalSignaturesSequence" not in result
    assert (result.PatientIdentityRemoved, result.DeidentificationMethod) == ("YES", "by hand")
    assert (result.BurnedInAnnotation, result.AccessionNumber) == ("YES", "42")


def test_a_lossy_source_says_how_lossy_it_was(tmp_path: Path) -> None:
    result = brighter(shipped("SC_rgb_jpeg_dcmtk.dcm"), tmp_path / "out.dcm", factor=0.9)
    assert result.LossyImageCompression == "01"
    assert result.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(result.LossyImageCompressionRatio) > 5


def test_values_that_measured_say_that_they_no_longer_do(tmp_path: Path) -> None:
    result = brighter(shipped("CT_small.dcm"), tmp_path / "out.dcm")
    assert (result.RescaleType, result.RescaleSlope) == ("US", pydicom.dcmread(shipped("CT_small.dcm")).RescaleSlope)


@pytest.mark.parametrize(
    ("brightened", "denoised", "codes"),
    [(True, True, ["113053", "113087"]), (False, True, ["113087"]), (False, False, [])],
)
def test_the_derivation_names_what_was_done_and_nothing_else(
    brightened: bool, denoised: bool, codes: list[str], tmp_path: Path
) -> None:
    image = read(shipped("693_J2KI.dcm"))
    assert image.restore.dataset.DerivationCodeSequence
    processing = Processing("by net 1.2", "net 1.2", "ab" * 32, {}, denoised, brightened)
    result = pydicom.dcmread(write(image, image.pixels, tmp_path / "out.dcm", derivation=processing))
    assert [code.CodeValue for code in result.get("DerivationCodeSequence", [])] == codes


def test_a_rescale_that_would_show_one_grey_is_mended(tmp_path: Path) -> None:
    (path,) = grey_clip(tmp_path, 1, RescaleSlope=0, RescaleIntercept=0)
    result = brighter(path, tmp_path / "out.dcm")
    assert (result.RescaleSlope, result.RescaleIntercept, result.RescaleType) == (1, 0, "US")


@pytest.mark.parametrize(
    ("name", "keyword", "read_alike", "standard"),
    [
        ("SC_rgb_rle_2frame.dcm", "NumberOfFrames", "AE", "IS"),
        ("CT_small.dcm", "PhotometricInterpretation", "LO", "CS"),
        ("CT_small.dcm", "Rows", "SS", "US"),
    ],
)
def test_what_others_find_the_pixels_by_has_its_standard_type(
    name: str, keyword: str, read_alike: str, standard: str, tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(shipped(name))
    value = dataset[keyword].value
    dataset[keyword] = pydicom.DataElement(keyword, read_alike, value if read_alike == "SS" else str(value))
    dataset.save_as(tmp_path / "in.dcm")
    assert [read_alike] == [pydicom.dcmread(tmp_path / "in.dcm")[keyword].VR]
    result = brighter(tmp_path / "in.dcm", tmp_path / "out.dcm")
    assert (result[keyword].VR, result[keyword].value) == (standard, value)


def test_colours_of_a_flow_no_longer_say_how_fast_it_is(tmp_path: Path) -> None:
    region = Dataset()
    region.PhysicalUnitsXDirection, region.PhysicalDeltaX, region.PixelComponentPhysicalUnits = 3, 0.01, 7
    result = brighter(changed(tmp_path / "in.dcm", SequenceOfUltrasoundRegions=[region]), tmp_path / "out.dcm")
    (region,) = result.SequenceOfUltrasoundRegions
    assert (region.PixelComponentPhysicalUnits, region.PhysicalDeltaX) == (0, 0.01)


def test_an_unknown_number_is_no_difference(tmp_path: Path) -> None:
    path = changed(tmp_path / "in.dcm", ExposureTimeInms=float("nan"), SliceSensitivityFactor=[1.0, float("nan")])
    assert np.isnan(brighter(path, tmp_path / "out.dcm").ExposureTimeInms)


def test_an_image_that_is_all_padding_comes_out(tmp_path: Path) -> None:
    (path,) = grey_clip(tmp_path, 1, PixelPaddingValue=0, PixelPaddingRangeLimit=4095)
    np.testing.assert_array_equal(brighter(path, tmp_path / "out.dcm").pixel_array, stored(path))


def test_without_a_window_the_entries_of_a_modality_table_are_black_to_white(tmp_path: Path) -> None:
    (path,) = grey_clip(tmp_path, 1)
    dataset = pydicom.dcmread(path)
    table = Dataset()
    # Entries of 16 bits of which 12 are used.
    table.add_new("LUTDescriptor", "US", [4096, 0, 16])
    table.add_new("LUTData", "US", list(range(4096)))
    table.ModalityLUTType = "US"
    dataset.ModalityLUTSequence = [table]
    dataset.save_as(path)
    np.testing.assert_allclose(read(path).pixels, stored(path) / 4095, atol=4e-3)
    result = brighter(path, tmp_path / "out.dcm").pixel_array
    assert len(np.unique(result)) > 200, "no grey is lost"


def test_a_second_window_and_a_table_behind_it_can_be_chosen(tmp_path: Path) -> None:
    (path,) = grey_clip(tmp_path, 1, WindowCenter=[400, 100], WindowWidth=[800, 200])
    dataset = pydicom.dcmread(path)
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 12])
    table.add_new("LUTData", "US", [min(2 * value, 4095) for value in range(4096)])
    dataset.VOILUTSequence = [table]
    dataset.save_as(path)
    values = stored(path).astype(float)
    for choice, shown in ((1, values / 799), (2, values / 199), (3, values * 2 / 4095)):
        image = read(path, dicom=DicomReading(window=choice))
        low = values < 200
        np.testing.assert_allclose(image.pixels[low], shown[low], atol=3e-3)
        result = pydicom.dcmread(write(image, image.pixels / 2, tmp_path / "out.dcm", derivation=PROCESSING))
        assert "VOILUTSequence" not in result
        assert np.ndim(result.WindowCenter) == 0
        again = read(tmp_path / "out.dcm").pixels
        np.testing.assert_allclose(again[low], shown[low] / 2, atol=4e-3)
    with pytest.raises(InputError, match=r"has 3 windows and VOI lookup tables; choose another with --window"):
        read(path, dicom=DicomReading(window=4))


def test_a_result_that_the_window_has_no_room_for_gets_another_window(tmp_path: Path) -> None:
    # The window reaches far beyond the twelve bits: white could not be stored under it.
    (path,) = grey_clip(tmp_path, 1, WindowCenter=10000, WindowWidth=20000)
    image = read(path)
    result = pydicom.dcmread(
        write(image, np.linspace(0, 1, image.pixels.size).reshape(image.pixels.shape), tmp_path / "out.dcm")
    )
    assert result.pixel_array.max() == 4095
    assert float(result.WindowWidth) < 5000


def test_image_never_turns_into_padding(tmp_path: Path) -> None:
    (path,) = grey_clip(tmp_path, 1, PixelPaddingValue=0, PixelPaddingRangeLimit=4)
    padded = stored(path) <= 4
    assert 0 < padded.mean() < 1
    result = brighter(path, tmp_path / "out.dcm", factor=0.01).pixel_array
    np.testing.assert_array_equal(result[padded], stored(path)[padded])
    assert result[~padded].min() == 5


def test_an_overlay_in_spare_bits_gets_an_element_of_its_own(tmp_path: Path) -> None:
    (path,) = grey_clip(tmp_path, 1)
    dataset = pydicom.dcmread(path)
    values = dataset.pixel_array
    plane = np.zeros(values.shape, np.uint8)
    plane[3:9, 5:20] = 1
    dataset.PixelData = (values | plane.astype(np.uint16) << 12).tobytes()
    for element, representation, value in (
        (0x10, "US", values.shape[0]),
        (0x11, "US", values.shape[1]),
        (0x40, "CS", "G"),
        (0x50, "SS", [1, 1]),
        (0x100, "US", 16),
        (0x102, "US", 12),
    ):
        dataset.add_new((0x6000, element), representation, value)
    dataset.save_as(path)
    result = brighter(path, tmp_path / "out.dcm")
    np.testing.assert_array_equal(result.overlay_array(0x6000), plane)
    assert result[0x6000, 0x102].value == 0
    assert result.pixel_array.max() <= 4095


def test_an_overlay_of_its_own_is_kept(tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped("examples_overlay.dcm"))
    result = brighter(shipped("examples_overlay.dcm"), tmp_path / "out.dcm")
    np.testing.assert_array_equal(result.overlay_array(0x6000), source.overlay_array(0x6000))


def test_an_overlay_of_a_big_endian_file_is_turned_round(tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped("examples_overlay.dcm"))
    plane = source.overlay_array(0x6000)
    source[0x6000, 0x3000].value = np.frombuffer(source[0x6000, 0x3000].value, "<u2").astype(">u2").tobytes()
    source.PixelData = source.pixel_array.astype(">u2").tobytes()
    source.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    pydicom.dcmwrite(tmp_path / "in.dcm", source, implicit_vr=False, little_endian=False)
    image = read(tmp_path / "in.dcm")
    np.testing.assert_array_equal(image.pixels, read(shipped("examples_overlay.dcm")).pixels)
    result = pydicom.dcmread(write(image, image.pixels, tmp_path / "out.dcm"))
    np.testing.assert_array_equal(result.overlay_array(0x6000), plane)


def test_pixels_of_one_bit_stay_so(tmp_path: Path) -> None:
    plane = (stored(grey_clip(tmp_path, 1)[0]) > 20).astype(np.uint8)
    (path,) = grey_clip(tmp_path, 1, BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = np.packbits(plane.ravel(), bitorder="little").tobytes()
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path)
    image = read(path)
    np.testing.assert_array_equal(image.pixels, plane)
    result = pydicom.dcmread(write(image, 1 - image.pixels, tmp_path / "out.dcm"))
    np.testing.assert_array_equal(result.pixel_array, 1 - plane)
    assert result.BitsAllocated == 1


@pytest.mark.parametrize(
    ("how", "syntax"), [("jpeg2000", JPEG2000Lossless), ("jpegls", JPEGLSLossless), ("rle", RLELossless)]
)
@pytest.mark.parametrize(
    "name",
    ["examples_rgb_color.dcm", "CT_small.dcm", "examples_overlay.dcm", "SC_rgb_rle_2frame.dcm", "examples_palette.dcm"],
)
def test_compression_loses_nothing(how: str, syntax: str, name: str, tmp_path: Path) -> None:
    plain = brighter(shipped(name), tmp_path / "plain.dcm")
    result = brighter(shipped(name), tmp_path / "out.dcm", compress=how)
    assert result.file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(result.pixel_array, plain.pixel_array)
    assert result.SOPInstanceUID == plain.SOPInstanceUID
    assert result.get("LossyImageCompression") == plain.get("LossyImageCompression")


def test_frames_that_no_encoder_takes_are_not_compressed(tmp_path: Path) -> None:
    result = brighter(shipped("SC_rgb_small_odd.dcm"), tmp_path / "out.dcm", compress="jpeg2000")
    assert not result.file_meta.TransferSyntaxUID.is_compressed


def test_enhanced_multiframe_says_so_for_each_frame(tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped("MR_small.dcm"))
    frame = source.pixel_array
    source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID = pydicom.uid.EnhancedMRImageStorage
    source.NumberOfFrames = 2
    source.PixelData = np.stack([frame, frame // 2]).tobytes()
    groups = []
    for slope in (1, 2):
        item, kind, window, values = Dataset(), Dataset(), Dataset(), Dataset()
        kind.FrameType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
        window.WindowCenter, window.WindowWidth = 600, 1600
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slope, 0, "HU"
        item.MRImageFrameTypeSequence, item.FrameVOILUTSequence = [kind], [window]
        item.PixelValueTransformationSequence, item.RealWorldValueMappingSequence = [values], [Dataset()]
        groups.append(item)
    source.PerFrameFunctionalGroupsSequence = groups
    source.save_as(tmp_path / "in.dcm")
    result = brighter(tmp_path / "in.dcm", tmp_path / "out.dcm", factor=0.8)
    assert len(result.PerFrameFunctionalGroupsSequence) == 2
    for item in result.PerFrameFunctionalGroupsSequence:
        assert list(item.MRImageFrameTypeSequence[0].FrameType) == ["DERIVED", "PRIMARY", "M", "NONE"]
        assert item.PixelValueTransformationSequence[0].RescaleType == "US"
        assert "RealWorldValueMappingSequence" not in item
    listed = result.ReferencedSeriesSequence[0]
    assert listed.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_a_file_that_reads_back_differently_is_not_kept(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(shipped("CT_small.dcm"))
    with pytest.raises(OutputError, match="reads back differently"):
        write_checked(dataset, dataset.pixel_array + 1, tmp_path / "a.dcm", tmp_path / "b.dcm")


def test_the_mark_goes_where_there_is_least_to_hide() -> None:
    image = np.random.default_rng(1).integers(100, 200, (200, 300)).astype(np.uint8)
    image[:60, :120] = 7
    marked = burn_label(image, (0, 255), frames=False)
    rows, columns = np.nonzero(marked != image)
    assert rows.max() < 60
    assert columns.max() < 120
    assert marked.max() > 200
    tiny = image[:10, :10]
    assert burn_label(tiny, (0, 255), frames=False) is tiny
