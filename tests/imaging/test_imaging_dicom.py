"""DICOM as displayed, and back into the same bits as a derived object."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian

from lowlight.errors import InputError, NotAnImageError
from lowlight.imaging import read, write
from lowlight.imaging.dicom_display import display_mapping

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"


def shipped(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(str(path))


def changed(path: Path, name: str = "CT_small.dcm", **elements: Any) -> Path:
    """A shipped file with some elements set (None: removed)."""
    dataset = pydicom.dcmread(shipped(name))
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


def stored(path: Path) -> np.ndarray:
    return pydicom.dcmread(path).pixel_array


def images_of_pydicom() -> list[Path]:
    """Every shipped file that this package reads, once each."""
    found = []
    for path in sorted(FOLDER.rglob("*.dcm")):
        try:
            read(path)
        except InputError:
            continue
        found.append(path)
    return found


def test_every_image_that_ships_with_pydicom_comes_back_as_it_was(tmp_path: Path) -> None:
    paths = images_of_pydicom()
    assert len(paths) >= 45
    for path in paths:
        image = read(path)
        again = read(write(image, image.pixels, tmp_path / "out.dcm"))
        np.testing.assert_array_equal(again.pixels, image.pixels, err_msg=path.name)
        assert image.value_range == again.value_range == (0, 1)
        assert image.pixels.dtype == np.float32
        assert (again.frames, again.modality) == (image.frames, image.modality)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_grey_images_keep_their_stored_values_and_bits(tmp_path: Path) -> None:
    for path in images_of_pydicom():
        before = pydicom.dcmread(path, force=True)
        if before.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
            continue
        image = read(path)
        after = pydicom.dcmread(write(image, image.pixels, tmp_path / "out.dcm"))
        for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation"):
            assert after[keyword].value == before[keyword].value, (path.name, keyword)
        np.testing.assert_array_equal(after.pixel_array, before.pixel_array, err_msg=path.name)


RESCALES = [(1, 0), (0.25, -1000), (2, 3.5), (-1, 100)]
WINDOWS = [None, (40.5, 80, "LINEAR"), (500, 1, "LINEAR"), (30, 61.5, "LINEAR_EXACT"), (100, 300, "SIGMOID")]


def every_value(signed: bool, bits: int, photometric: str, rescale: tuple[float, float], window: Any) -> Dataset:
    """An image that holds each value of its stored bits once."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    values = np.arange(low, high + 1)
    values = values.reshape(16, -1).astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    source = pydicom.dcmread(shipped("CT_small.dcm"))
    source.Rows, source.Columns = values.shape
    source.BitsAllocated, source.BitsStored, source.HighBit = values.itemsize * 8, bits, bits - 1
    source.PixelRepresentation, source.PhotometricInterpretation = int(signed), photometric
    source.RescaleSlope, source.RescaleIntercept = rescale
    source.pop("PixelPaddingValue", None)
    if window is not None:
        source.WindowCenter, source.WindowWidth, source.VOILUTFunction = window
    source.PixelData = values.tobytes()
    return source


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_way_to_display_space_and_back_is_exact(signed: bool, bits: int, photometric: str) -> None:
    for rescale, window in itertools.product(RESCALES, WINDOWS):
        source = every_value(signed, bits, photometric, rescale, window)
        mapping, _ = display_mapping(source, 0, None)
        np.testing.assert_array_equal(mapping.to_stored(mapping.to_display(source.pixel_array)), source.pixel_array)


@pytest.mark.parametrize(
    ("signed", "bits", "photometric"), [(False, 8, "MONOCHROME2"), (True, 16, "MONOCHROME1"), (True, 12, "MONOCHROME2")]
)
@pytest.mark.parametrize(("rescale", "window"), [*zip(RESCALES, WINDOWS, strict=False), ((1, 0), WINDOWS[-1])])
def test_every_value_survives_in_a_file_and_is_shown_alike(
    signed: bool, bits: int, photometric: str, rescale: tuple[float, float], window: Any, tmp_path: Path
) -> None:
    source = every_value(signed, bits, photometric, rescale, window)
    source.save_as(tmp_path / "in.dcm")
    image = read(tmp_path / "in.dcm")
    result = write(image, image.pixels, tmp_path / "out.dcm")
    np.testing.assert_array_equal(stored(result), source.pixel_array)
    np.testing.assert_array_equal(read(result).pixels, image.pixels)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_what_lies_in_the_window_is_shown_as_a_viewer_shows_it(photometric: str, tmp_path: Path) -> None:
    path = changed(tmp_path / "in.dcm", WindowCenter=40, WindowWidth=400, PhotometricInterpretation=photometric)
    dataset = pydicom.dcmread(path)
    shown = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    shown = (shown - shown.min()) / (shown.max() - shown.min())
    if photometric == "MONOCHROME1":
        shown = 1 - shown

    pixels = read(path).pixels

    np.testing.assert_allclose(np.clip(pixels, 0, 1), shown, atol=1e-5)
    assert pixels.min() < 0  # air lies below this window and is not clipped
    assert pixels.max() > 1


def test_without_a_window_the_stored_bits_are_the_range(tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped("MR_small.dcm"))
    for keyword in ("WindowCenter", "WindowWidth"):
        source.pop(keyword, None)
    source.BitsStored, source.HighBit, source.PixelRepresentation = 12, 11, 0
    source.save_as(tmp_path / "in.dcm")
    np.testing.assert_allclose(read(tmp_path / "in.dcm").pixels, source.pixel_array / 4095, atol=1e-6)


def test_the_first_of_several_windows_is_used_and_the_only_one_written(tmp_path: Path) -> None:
    path = changed(tmp_path / "in.dcm", WindowCenter=[40, 600], WindowWidth=[400, 1600])
    alone = changed(tmp_path / "alone.dcm", WindowCenter=40, WindowWidth=400)
    image = read(path)
    np.testing.assert_array_equal(image.pixels, read(alone).pixels)
    result = pydicom.dcmread(write(image, image.pixels, tmp_path / "out.dcm"))
    assert (result.WindowCenter, result.WindowWidth) == (40, 400)


def test_a_stated_range_replaces_the_window(tmp_path: Path) -> None:
    path = changed(tmp_path / "in.dcm", WindowCenter=40, WindowWidth=400)
    image = read(path, value_range=(-1000, 1000))
    dataset = pydicom.dcmread(path)
    units = apply_modality_lut(dataset.pixel_array, dataset)
    np.testing.assert_allclose(image.pixels, (units + 1000) / 2000, atol=1e-6)
    again = read(write(image, image.pixels, tmp_path / "out.dcm"))
    np.testing.assert_array_equal(again.pixels, image.pixels)


def test_a_stated_range_holds_for_all_frames_and_is_written(tmp_path: Path) -> None:
    path = two_frames(tmp_path / "in.dcm")
    image = read(path, value_range=(0, 2000))
    np.testing.assert_array_equal(image.pixels[0], image.pixels[1])
    again = read(write(image, image.pixels, tmp_path / "out.dcm"))
    np.testing.assert_array_equal(again.pixels, image.pixels)


def test_a_stated_range_for_a_colour_image_is_refused() -> None:
    with pytest.raises(InputError, match=r"examples_rgb_color\.dcm: is a colour image, .*; state no value range"):
        read(FOLDER / "examples_rgb_color.dcm", value_range=(0, 100))


def two_frames(path: Path) -> Path:
    """One MR slice twice, each with a window of its own."""
    source = pydicom.dcmread(shipped("MR_small.dcm"))
    frame = source.pixel_array
    source.NumberOfFrames = 2
    source.PixelData = np.stack([frame, frame]).tobytes()
    groups = []
    for centre in (300, 900):
        item, window = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 500
        item.FrameVOILUTSequence = [window]
        groups.append(item)
    source.PerFrameFunctionalGroupsSequence = groups
    source.save_as(path)
    return path


def lut(first: int, entries: np.ndarray, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return item


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_voi_table_is_followed_and_undone_even_where_it_is_flat(photometric: str, tmp_path: Path) -> None:
    curve = np.clip(4095 / (1 + np.exp(-(np.arange(4096) - 2000) / 150)), 30, 4000).astype(int)
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    source = pydicom.dcmread(shipped("MR_small.dcm"))
    for keyword in ("WindowCenter", "WindowWidth", "PixelPaddingValue"):
        source.pop(keyword, None)
    source.BitsStored, source.HighBit, source.PixelRepresentation = 12, 11, 0
    source.PhotometricInterpretation = photometric
    source.VOILUTSequence = [lut(0, curve, 12)]
    source.PixelData = values.tobytes()
    source.save_as(tmp_path / "in.dcm")

    image = read(tmp_path / "in.dcm")

    shown = curve[values] / 4095
    np.testing.assert_allclose(image.pixels, 1 - shown if photometric == "MONOCHROME1" else shown, atol=2.5e-3)
    result = write(image, image.pixels, tmp_path / "out.dcm")
    np.testing.assert_array_equal(stored(result), values)
    np.testing.assert_array_equal(read(result).pixels, image.pixels)


def test_a_modality_table_is_followed_and_undone(tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped("MR_small.dcm"))
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
        source.pop(keyword, None)
    source.BitsStored, source.HighBit, source.PixelRepresentation = 12, 11, 0
    root = np.sqrt(np.arange(4096) / 4095) * 65535
    source.ModalityLUTSequence = [lut(0, root, 16)]
    source.ModalityLUTSequence[0].ModalityLUTType = "US"
    source.save_as(tmp_path / "in.dcm")
    image = read(tmp_path / "in.dcm")
    np.testing.assert_allclose(image.pixels, root[source.pixel_array] / 65535, atol=2.5e-3)
    result = write(image, image.pixels, tmp_path / "out.dcm")
    np.testing.assert_array_equal(stored(result), source.pixel_array)


def test_results_beyond_the_window_keep_their_order_and_those_within_their_value(tmp_path: Path) -> None:
    source = pydicom.dcmread(shipped("MR_small.dcm"))
    source.BitsStored, source.HighBit, source.PixelRepresentation = 12, 11, 0
    source.WindowCenter, source.WindowWidth = 1000.5, 1001
    source.save_as(tmp_path / "in.dcm")
    image = read(tmp_path / "in.dcm")
    wanted = image.pixels.copy()
    wanted[0, :6] = (-10, -1, 0.25, 1.5, 3, 10)
    result = stored(write(image, wanted, tmp_path / "out.dcm"))
    assert result[0, 0] == 0 < result[0, 1] < result[0, 2] == 750 < 1500 < result[0, 3] < result[0, 4] < 4095
    assert result[0, 5] == 4095
    inside = (wanted >= 0) & (wanted <= 1)
    np.testing.assert_array_equal(result[inside], np.rint(500 + 1000 * wanted[inside]))


def test_padding_is_copied_through(tmp_path: Path) -> None:
    path = changed(tmp_path / "in.dcm", PixelPaddingValue=int(stored(shipped("CT_small.dcm"))[5, 6]))
    padded = stored(path) == stored(path)[5, 6]
    image = read(path)
    result = stored(write(image, image.pixels + np.float32(0.1), tmp_path / "out.dcm"))
    np.testing.assert_array_equal(result[padded], stored(path)[padded])
    assert (result[~padded] != stored(path)[~padded]).all()


def test_multi_frame_and_colour_shapes() -> None:
    colour = read(FOLDER / "SC_rgb_rle_16bit_2frame.dcm")
    assert (colour.pixels.shape, colour.frames, colour.channels) == ((2, 100, 100, 3), True, 3)
    ultrasound = read(FOLDER / "examples_rgb_color.dcm")
    assert (ultrasound.pixels.shape[-1], ultrasound.frames, ultrasound.modality) == (3, False, "ultrasound")


def test_each_frame_follows_its_own_window(tmp_path: Path) -> None:
    image = read(two_frames(tmp_path / "in.dcm"))

    np.testing.assert_allclose(image.pixels[0] - image.pixels[1], 600 / 499, rtol=1e-5)
    result = write(image, image.pixels, tmp_path / "out.dcm")
    np.testing.assert_array_equal(stored(result), stored(tmp_path / "in.dcm"))
    np.testing.assert_array_equal(read(result).pixels, image.pixels)


@pytest.mark.parametrize(
    ("modality", "meaning"),
    [
        *[(xray, "xray") for xray in ("CR", "DX", "MG", "RG", "XA", "RF", "PX", "IO")],
        ("US", "ultrasound"),
        ("ES", "endoscopy"),
        ("OP", "fundus"),
        *[(other, None) for other in ("CT", "MR", "OT")],
    ],
)
def test_modality_is_named_where_it_is_unambiguous(modality: str, meaning: str | None, tmp_path: Path) -> None:
    assert read(changed(tmp_path / "in.dcm", Modality=modality)).modality == meaning


def test_the_result_says_that_it_is_derived_and_from_what(tmp_path: Path) -> None:
    before = pydicom.dcmread(shipped("CT_small.dcm"))
    image = read(shipped("CT_small.dcm"))
    result = write(image, image.pixels * 0.9, tmp_path / "out.dcm", derivation="gain 0.9")
    after = pydicom.dcmread(result)
    assert list(after.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    assert list(after.ImageType[2:]) == list(before.ImageType[2:])
    assert after.DerivationDescription == "gain 0.9"
    assert after.SeriesDescription.endswith("enhanced")
    assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert after.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert after.ContributingEquipmentSequence[-1].PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert after.SOPClassUID == before.SOPClassUID
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID != before.SOPInstanceUID
    assert after.SeriesInstanceUID != before.SeriesInstanceUID
    assert after.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    for keyword in ("StudyInstanceUID", "PatientID", "PixelSpacing", "ImagePositionPatient", "FrameOfReferenceUID"):
        assert after[keyword].value == before[keyword].value
    assert not [element for element in after if element.tag.is_private]


def test_uids_repeat_for_the_same_result_and_differ_for_another(tmp_path: Path) -> None:
    image = read(shipped("CT_small.dcm"))

    def uids(pixels: np.ndarray, derivation: str) -> tuple[str, str]:
        dataset = pydicom.dcmread(write(image, pixels, tmp_path / "out.dcm", derivation=derivation))
        assert dataset.SOPInstanceUID.is_valid
        assert dataset.SeriesInstanceUID.is_valid
        return dataset.SOPInstanceUID, dataset.SeriesInstanceUID

    first = uids(image.pixels * 0.9, "gain 0.9")
    assert uids(image.pixels * 0.9, "gain 0.9") == first
    other_pixels = uids(image.pixels * 0.8, "gain 0.9")
    assert other_pixels[0] != first[0]
    assert other_pixels[1] == first[1]  # one run over a series stays one series
    other_parameters = uids(image.pixels * 0.9, "gain 0.9, twice")
    assert other_parameters[0] != first[0]
    assert other_parameters[1] != first[1]


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    image = read(shipped("CT_small.dcm"))
    one = write(image, image.pixels, tmp_path / "one.dcm").read_bytes()
    assert write(image, image.pixels, tmp_path / "two.dcm").read_bytes() == one


def test_what_was_lost_in_compression_is_not_denied(tmp_path: Path) -> None:
    image = read(FOLDER / "SC_rgb_jpeg_dcmtk.dcm")
    result = pydicom.dcmread(write(image, image.pixels, tmp_path / "out.dcm"))
    assert result.LossyImageCompression == "01"
    assert result.PhotometricInterpretation == "RGB"


@pytest.mark.parametrize("name", ["reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm", "rtdose.dcm"])
def test_objects_without_a_picture_are_no_images(name: str) -> None:
    with pytest.raises(NotAnImageError, match=rf"{name}: is a DICOM object "):
        read(FOLDER / name)


def test_pixels_that_cannot_be_handled_are_refused() -> None:
    with pytest.raises(InputError, match=r"SC_rgb_rle_32bit\.dcm: stores 32 bits a pixel; convert it"):
        read(FOLDER / "SC_rgb_rle_32bit.dcm")
    with pytest.raises(InputError, match=r"12-bit JPEG Extended, for which the decoder pylibjpeg-libjpeg is missing; "):
        read(FOLDER / "JPGExtended.dcm")
    with pytest.raises(InputError, match=r"MR_truncated\.dcm: is damaged or incomplete"):
        read(FOLDER / "MR_truncated.dcm")


def test_a_frame_that_contradicts_its_file_is_refused_before_a_decoder_sees_it() -> None:
    with pytest.raises(InputError, match=r"declares 256 x 1024 pixels, but its compressed frame 1 says 3722445056 x"):
        read(FOLDER / "JPEG2000-embedded-sequence-delimiter.dcm")


@pytest.mark.parametrize("name", ["nested_priv_SQ.dcm"])
def test_pixel_data_without_its_description_is_named_as_damage(name: str) -> None:
    with pytest.raises(InputError) as caught:
        read(FOLDER / name)
    assert not isinstance(caught.value, NotAnImageError)
    missing = "it has pixel data but no Rows, Columns, Bits Allocated (no SOP class)"
    assert str(caught.value) == f"{FOLDER / name}: is damaged: {missing}; export it again"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_empty_element_is_missing_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is damaged: it has pixel data but no Columns \(CT Image Storage\)"):
        read(changed(tmp_path / "in.dcm", Columns=""))


def test_a_name_without_suffix_is_welcome(tmp_path: Path) -> None:
    image = read(shipped("CT_small.dcm"))
    assert read(write(image, image.pixels, tmp_path / "IM000001")).kind == "dicom"


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_dcmtk.dcm", "examples_ybr_color.dcm"])
def test_the_quantisation_tables_of_jpeg_inside_are_handed_on(name: str) -> None:
    tables = read(shipped(name)).quantisation
    assert tables is not None
    assert all(len(table) == 64 and min(table) >= 1 for table in tables.values())
    assert 0 in tables


@pytest.mark.parametrize("name", ["CT_small.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_gdcm.dcm"])
def test_other_transfer_syntaxes_have_no_quantisation_tables(name: str) -> None:
    assert read(shipped(name)).quantisation is None


def test_padding_is_told_from_image(tmp_path: Path) -> None:
    assert read(shipped("CT_small.dcm")).valid is None
    value = int(stored(shipped("CT_small.dcm"))[0, 0])
    valid = read(changed(tmp_path / "padded.dcm", PixelPaddingValue=value)).valid
    assert valid is not None
    np.testing.assert_array_equal(valid, stored(shipped("CT_small.dcm")) != value)
