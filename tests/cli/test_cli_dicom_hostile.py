"""What is said of DICOM files that cannot be enhanced: damaged, hostile, of other kinds."""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from cli_runs import Ended, lowlight, names
from dicom_files import changed, deflate_bomb, every_percent, grey_clip, nested, rle_bomb, shipped
from pydicom.data import get_charset_files

from lowlight.errors import InputError, LimitError
from lowlight.imaging import collect, isolation
from lowlight.imaging.dicom_series import arrange
from lowlight.imaging.limits import DicomReading, Limits

Run = Callable[..., Ended]


@pytest.fixture
def enhance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `lowlight enhance` on paths, with --brightness 0 so that no network decides what the test is about."""

    def run(*paths: Path, output: Path = tmp_path / "out") -> Ended:
        ended = lowlight(capsys, "enhance", *paths, "-o", output, "--brightness", "0", "--denoise", "0")
        assert "Traceback" not in ended.out + ended.err
        return ended

    return run


def refused(ended: Ended, path: Path, fault: str) -> None:
    """One line that names the file and the fault, exit code 1."""
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith(f"refused: {path}: "), line
    assert fault in line
    assert "; " in line, "says what to do"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("MR_truncated.dcm", "ends in the middle of an element"),
        ("meta_missing_tsyntax.dcm", "does not say in which transfer syntax it is written"),
        ("no_meta.dcm", "named .dcm but holds something else"),
        ("ExplVR_LitEndNoMeta.dcm", "no DICOM preamble and file meta information"),
        ("badVR.dcm", "its Number of Frames is not a whole number"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "its compressed frame 1 says 3722445056 x 1024"),
        ("JPEG-lossy.dcm", "the decoder pylibjpeg-libjpeg is missing"),
        ("nested_priv_SQ.dcm", "pixel data but no Rows, Columns, Bits Allocated"),
        ("SC_rgb_rle_32bit.dcm", "stores 32 bits a pixel"),
        ("CT_small.dcm", "is a CT image: its values are measured"),
        ("MR_small.dcm", "is a MR image: its values are measured"),
        ("693_J2KI.dcm", "insist with --any-modality"),
    ],
)
def test_a_shipped_file_is_refused_in_one_line(name: str, fault: str, enhance: Run, tmp_path: Path) -> None:
    refused(enhance(shipped(name)), shipped(name), fault)
    assert names(tmp_path) == []


def test_an_image_without_pixels_is_damaged(enhance: Run, tmp_path: Path) -> None:
    path = Path(get_charset_files("chrJapMulti.dcm")[0])
    refused(enhance(path), path, "no pixel data (Computed Radiography Image Storage)")
    assert names(tmp_path) == []


def test_what_comes_with_images_is_skipped_even_if_it_was_named(enhance: Run, tmp_path: Path) -> None:
    ended = enhance(shipped("README.txt"), shipped("zipMR.gz"))
    assert ended.code == 0
    assert [line.partition(": ")[0] for line in ended.err.splitlines()] == ["skipped", "skipped"]
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm", "liver_1frame.dcm", "rtdose.dcm"])
def test_what_is_no_image_is_skipped_even_if_it_was_named(name: str, enhance: Run, tmp_path: Path) -> None:
    ended = enhance(shipped(name))
    assert ended.code == 0
    (line,) = ended.err.splitlines()
    assert line.startswith(f"skipped: {shipped(name)}: is a DICOM object ")
    assert names(tmp_path) == []


def test_a_directory_without_its_files_a_readme_and_an_archive_are_skipped(enhance: Run, tmp_path: Path) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    shutil.copy(shipped("DICOMDIR"), folder / "DICOMDIR")
    (folder / "README").write_text("How to look at these images.\n")
    shutil.copy(shipped("zipMR.gz"), folder / "zipMR.gz")
    for paths in ([folder], sorted(folder.iterdir())):
        ended = enhance(*paths)
        assert ended.code == 0
        directory, readme, archive = ended.err.splitlines()
        assert directory.startswith(f"skipped: {folder / 'DICOMDIR'}: is the directory of a DICOM medium, and ")
        assert "that it lists are not there; copy the whole medium" in directory
        assert readme.startswith(f"skipped: {folder / 'README'}: is of an unsupported type")
        assert archive.startswith(f"skipped: {folder / 'zipMR.gz'}: is of an unsupported type")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "make", "fault"),
    [
        (
            "rows",
            lambda path: changed(path, "SC_rgb_jpeg_dcmtk.dcm", Rows=50),
            "declares 100 x 50 pixels, but its compressed frame 1 says 100 x 100",
        ),
        ("rle", rle_bomb, "declares 60000 x 60000 pixels, over the limit"),
        ("deflate", deflate_bomb, "a deflate bomb"),
        ("uid", lambda path: changed(path, SOPInstanceUID="../../etc/evil"), "its SOPInstanceUID is no valid UID"),
        ("nested", nested, "nests sequences deeper than 32 levels"),
        ("frames", lambda path: changed(path, NumberOfFrames=1_000_000), "declares 1000000 frames, over the limit"),
        ("few", lambda path: changed(path, NumberOfFrames=3), "declares 691200 bytes of pixels and holds 230400"),
        ("empty", lambda path: (path.touch(), path)[1], "is empty"),
        ("no rows", lambda path: changed(path, Rows=0), "declares an empty image (320 x 0)"),
        ("no frames", lambda path: changed(path, NumberOfFrames=-1), "declares -1 frames"),
        ("no bits", lambda path: changed(path, BitsStored=0), "it stores 0 bits in 8"),
        ("uids", lambda path: changed(path, SOPInstanceUID=["1.2", "1.3"]), "its SOPInstanceUID has several values"),
        ("modalities", lambda path: changed(path, Modality=["CT", "US"]), "it names several modalities"),
        ("samples", lambda path: changed(path, SamplesPerPixel=1), "RGB has 3 samples a pixel, it declares 1"),
        ("bits", lambda path: changed(path, BitsStored=12), "it stores 12 bits in 8"),
        (
            "colours",
            lambda path: changed(path, PhotometricInterpretation="DOE^JOHN"),
            "unknown photometric interpretation",
        ),
    ],
)
def test_a_hostile_file_is_refused_in_one_line(
    name: str, make: Callable[[Path], Path], fault: str, enhance: Run, tmp_path: Path
) -> None:
    path = make(tmp_path / f"{name}.dcm")
    refused(enhance(path), path, fault)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("elements", "fault"),
    [
        ({"WindowCenter": "1e300", "WindowWidth": "1e308"}, "its rescale, window or lookup table makes no sense"),
        ({"WindowCenter": 500, "WindowWidth": "1e12"}, "its rescale, window or lookup table makes no sense"),
        ({"RescaleSlope": "nan", "RescaleIntercept": 0}, "its rescale, window or lookup table makes no sense"),
        ({"PixelPaddingValue": [1, 2]}, "its Pixel Padding Value is not a whole number"),
    ],
)
def test_grey_values_that_could_not_be_told_apart_are_refused(
    elements: dict[str, object], fault: str, enhance: Run, tmp_path: Path
) -> None:
    with pydicom.config.disable_value_validation():
        (path,) = grey_clip(tmp_path, 1, **elements)
    refused(enhance(path), path, fault)
    assert names(tmp_path) == [path.name]


MODALITY, HIGH_BIT = b"\x08\x00\x60\x00CS\x02\x00US", b"\x28\x00\x02\x01US\x02\x00\x07\x00"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (MODALITY, b"\x18" + MODALITY[1:], "element (0008,0070) stands behind (0018,0060), out of order"),
        (MODALITY, MODALITY + MODALITY[:-2] + b"MG", "element (0008,0060) stands there twice, with different values"),
        (HIGH_BIT, HIGH_BIT.replace(b"US", b"DS"), "element (0028,0102) is written as DS instead of US"),
        (HIGH_BIT, HIGH_BIT.replace(b"US", b"UL"), "element (0028,0102) has 2 bytes, which is no whole number of val"),
        (HIGH_BIT, HIGH_BIT.replace(b"US", b"Z\xff"), "element (0028,0102) has an unknown value representation"),
        (b"\x02\x00\x00\x00UL", b"\x02\x00\x00\x00DA", "element (0002,0000) is written as DA instead of UL"),
        (b"\x02\x00\x10\x00UI", b"\x02\x00\x10\x00Q\xff", "element (0002,0010) has an unknown value representation"),
        (HIGH_BIT, bytes(4000) + HIGH_BIT, "element (0000,0000) does not belong into a file"),
    ],
)
def test_an_element_that_cannot_be_what_it_says_is_refused(
    old: bytes, new: bytes, fault: str, enhance: Run, tmp_path: Path
) -> None:
    content = shipped("examples_rgb_color.dcm").read_bytes()
    assert content.count(old) == 1
    path = tmp_path / "in.dcm"
    path.write_bytes(content.replace(old, new))
    refused(enhance(path), path, fault)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["SC_rgb_small_odd.dcm", "MR_small_RLE.dcm", "image_dfl.dcm"])
def test_a_file_cut_anywhere_is_refused(name: str, enhance: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for percent, content in enumerate(every_percent(shipped(name))):
        (folder / f"{percent:02}.dcm").write_bytes(content)
    ended = enhance(folder)
    assert ended.code == 1
    lines = ended.err.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["refused", str(path)] for path in sorted(folder.iterdir())]
    assert not (tmp_path / "out").exists()


def test_a_limit_can_be_raised_and_lowered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = shipped("SC_rgb_rle_2frame.dcm")
    command = ("enhance", source, "-o", tmp_path, "--brightness", "0", "--denoise", "0")
    assert "declares 2 frames, over the limit of 1; if the file is to be trusted, raise the limit: --limit frames" in (
        lowlight(capsys, *command, "--limit", "frames=1").err
    )
    assert "over the limit of 0.1 MB" in lowlight(capsys, *command, "--limit", "memory=100KB").err
    assert lowlight(capsys, *command, "--limit", "frames=2", "--limit", "memory=1GB").code == 0
    for wrong in ("frames", "frames=many", "frames=0", "colour=3"):
        assert lowlight(capsys, *command, "--limit", wrong).code == 2


def test_a_file_that_takes_too_long_costs_itself_alone() -> None:
    with pytest.raises(InputError, match=r"takes longer than 0 s to decode; .* --limit seconds=NUMBER"):
        isolation.decode(shipped("examples_ybr_color.dcm"), Limits(seconds=0), True)
    assert isolation.decode(shipped("MR_small.dcm"), Limits(), True).stored.shape == (64, 64)


@pytest.mark.skipif(sys.platform == "win32", reason="there, the clock alone counts")
def test_a_file_that_keeps_the_processor_busy_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "in.dcm"
    content = shipped("MR_small.dcm").read_bytes()
    with path.open("wb") as stream:
        stream.write(content[: content.rindex(b"\xfc\xff\xfc\xff")])
        for group in range(0xFFE1, 0xFFFB, 2):
            for element in range(0x1000, 0xFFFF):
                stream.write(struct.pack("<HH2sHI", group, element, b"UN", 0, 0))
    with pytest.raises(LimitError, match="takes longer than 1 s to decode"):
        isolation.decode(path, Limits(seconds=1, elements=10_000_000), True)


def test_a_file_that_was_too_slow_once_is_not_tried_again() -> None:
    found = list(collect([shipped("MR_small.dcm")]))
    ((item,),) = arrange(found, Limits(seconds=0), hashed=True)
    with pytest.raises(LimitError, match="takes longer than 0 s"):
        item.read(dicom=DicomReading())


def test_a_file_that_takes_too_much_memory_costs_itself_alone(tmp_path: Path) -> None:
    path = Path(shutil.copy(shipped("MR_small.dcm"), tmp_path))
    # Padding of 500 MB that takes no room on the disk.
    with path.open("r+b") as stream:
        stream.seek(0, 2)
        stream.write(b"\xfc\xff\xfc\xffOB\0\0" + (500_000_000).to_bytes(4, "little"))
        stream.truncate(stream.tell() + 500_000_000)
    with pytest.raises(InputError, match=r"needs more than 20 MB to be decoded; .* --limit memory=NUMBER"):
        isolation.decode(path, Limits(memory=20_000_000), True)
    assert isolation.decode(shipped("MR_small.dcm"), Limits(), True).stored.shape == (64, 64)


def test_nothing_of_the_file_is_in_the_message(enhance: Run, tmp_path: Path) -> None:
    names = {"PatientName": "Quixote^Alonso", "PatientID": "Quixote", "StudyDescription": "Quixote"}
    path = changed(tmp_path / "in.dcm", PhotometricInterpretation="Quixote", **names)
    ended = enhance(path)
    assert ended.code == 1
    assert "Quixote" not in ended.err


@pytest.mark.parametrize("name", ["SC_rgb_small_odd.dcm", "examples_ybr_color.dcm", "JPEGLSNearLossless_16.dcm"])
def test_odd_files_that_are_sound_come_out(name: str, enhance: Run, tmp_path: Path) -> None:
    assert enhance(shipped(name)).code == 0
    (result,) = (tmp_path / "out").rglob("*.dcm")
    assert pydicom.dcmread(result).pixel_array.shape == pydicom.dcmread(shipped(name)).pixel_array.shape
