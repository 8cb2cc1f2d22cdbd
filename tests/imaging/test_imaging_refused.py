"""What is refused, and in which words: one line with the file, the fault and the way out."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
import skimage
import tifffile
from PIL import Image

from lowlight.errors import InputError, NotAnImageError, OutputError
from lowlight.imaging import collect, read, write, write_png

ASTRONAUT = Path(skimage.__file__).parent / "data" / "astronaut.png"
CT = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert caught.value.remedy
    return message.removeprefix(f"{path}: ")


def test_a_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.png") == "does not exist; check the path"


@pytest.mark.parametrize("name", ["empty.png", "empty.jpg", "empty.tif", "empty.nii", "empty.dcm", "empty"])
def test_an_empty_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert refusal(tmp_path / name) == "is empty; export or copy it again"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff", ".nii", ".nii.gz", ".dcm"])
def test_text_under_the_name_of_an_image(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"note{suffix}"
    path.write_text("Überweisung: see the attached picture.\n" * 40, encoding="utf-8")
    assert refusal(path).startswith(f"is named {suffix} but holds text; ")


def test_other_bytes_under_the_name_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(bytes(range(256)) * 4)
    assert refusal(tmp_path / "scan.png").startswith("is named .png but holds something else; ")


@pytest.mark.parametrize("name", ["slides.pdf", "movie.mp4", "README", "table.csv"])
def test_an_unsupported_type_is_no_image(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("%PDF-1.7 or whatever\n" * 20)
    with pytest.raises(NotAnImageError, match="unsupported type; convert it to one of PNG, JPEG, TIFF, NIfTI"):
        read(tmp_path / name)


def test_an_unsupported_type_is_skipped_in_a_folder_and_refused_when_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (in_folder,) = collect([tmp_path])
    with pytest.raises(NotAnImageError):
        in_folder.read()
    (named,) = collect([tmp_path / "notes.txt"])
    with pytest.raises(InputError) as caught:
        named.read()
    assert not isinstance(caught.value, NotAnImageError)


def test_an_image_type_that_is_not_supported(tmp_path: Path) -> None:
    Image.open(ASTRONAUT).save(tmp_path / "a.bmp")
    Image.open(ASTRONAUT).save(tmp_path / "a.webp")
    for name in ("a.bmp", "a.webp"):
        assert "unsupported type" in refusal(tmp_path / name)


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "is a folder, not an image; name the files in it"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in refusal(tmp_path / "pipe.png")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(value: float, tmp_path: Path) -> None:
    pixels = np.full((6, 7), 0.5, np.float32)
    pixels[2, 3] = value
    tifffile.imwrite(tmp_path / "in.tif", pixels, photometric="minisblack")
    assert refusal(tmp_path / "in.tif").startswith("holds 1 value that is NaN or infinite; replace it by a number")
    # A stated range says what is black and white; it does not make NaN a number.
    assert "NaN" in refusal(tmp_path / "in.tif", value_range=(0, 2))


def test_several_nan(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.full((1, 2), np.nan, np.float32), photometric="minisblack")
    assert refusal(tmp_path / "in.tif").startswith("holds 2 values that are NaN or infinite; replace them by numbers")


def test_floats_without_a_range_name_the_option_and_the_argument(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.full((6, 7), 40, np.float32), photometric="minisblack")
    remedy = "; state the value range: --value-range BLACK WHITE, or value_range= in Python"
    assert refusal(tmp_path / "in.tif").endswith(remedy)


@pytest.mark.parametrize("value_range", [(1, 1), (0, float("nan")), (float("-inf"), 0)])
def test_a_range_that_is_none(value_range: tuple[float, float]) -> None:
    assert "holds no values; state black and white" in refusal(ASTRONAUT, value_range=value_range)


def images(folder: Path) -> list[Path]:
    """One real image in each supported format."""
    import nibabel

    picture = Image.open(ASTRONAUT).resize((96, 80))
    picture.save(folder / "a.png")
    picture.save(folder / "a.jpg")
    pixels = np.asarray(picture)
    write_png(pixels.astype(np.uint16) * 257, folder / "deep.png")
    tifffile.imwrite(folder / "a.tif", pixels, photometric="rgb")
    tifffile.imwrite(folder / "zip.tif", pixels, photometric="rgb", compression="zlib")
    picture.save(folder / "lzw.tif", compression="tiff_lzw")
    nibabel.save(nibabel.Nifti1Image(pixels[..., 0], np.eye(4)), folder / "a.nii")
    nibabel.save(nibabel.Nifti1Image(pixels[..., 0], np.eye(4)), folder / "a.nii.gz")
    (folder / "a.dcm").write_bytes(CT.read_bytes())
    return sorted(folder.iterdir())


def test_a_truncated_file_of_any_kind_and_length_is_refused_in_one_line(tmp_path: Path) -> None:
    for path in images(tmp_path):
        content = path.read_bytes()
        for share in (0.02, 0.3, 0.6, 0.9):
            path.write_bytes(content[: int(len(content) * share)])
            assert refusal(path), f"{path.name} at {share:.0%}"


def test_damage_anywhere_gives_an_image_or_one_line(tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    for path in images(tmp_path):
        content = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(15):
            damaged = content.copy()
            where = random.integers(0, min(len(content), 2000), 6)
            damaged[where] = random.integers(0, 256, 6)
            path.write_bytes(damaged.tobytes())
            try:
                read(path)
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017 - either outcome is right, a traceback is not


def bomb(width: int, height: int) -> bytes:
    def framed(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + framed(b"IHDR", header) + framed(b"IDAT", zlib.compress(b"")) + framed(b"IEND", b"")


@pytest.mark.parametrize("size", [(13_000, 12_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(bomb(*size))
    message = refusal(tmp_path / "bomb.png")
    assert message == f"declares {size[0]} x {size[1]} pixels, over the limit of 150 million; crop it or scale it down"


def test_bombs_in_other_formats(tmp_path: Path) -> None:
    header = bytearray(348)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 30000, 30000, 30000, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\x00"
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(bytes(header) + bytes(100)))
    assert "over the limit" in refusal(tmp_path / "bomb.nii.gz")

    dataset = pydicom.dcmread(CT)
    dataset.Rows = dataset.Columns = 60000
    dataset.save_as(tmp_path / "bomb.dcm")
    assert "over the limit" in refusal(tmp_path / "bomb.dcm")
    dataset.Rows = dataset.Columns = 1000
    dataset.NumberOfFrames = 10_000
    dataset.save_as(tmp_path / "bomb.dcm")
    assert refusal(tmp_path / "bomb.dcm").startswith("declares 10000 frames of 1000 x 1000 pixels, over the limit")

    # A TIFF directory by hand: 60000 x 60000, uncompressed, one strip of one byte.
    tags = [(256, 60000), (257, 60000), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 60000), (279, 1)]
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags)
    content = b"II*\x00" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)
    (tmp_path / "bomb.tif").write_bytes(content)
    assert "over the limit" in refusal(tmp_path / "bomb.tif")


def test_an_animated_png_is_refused_rather_than_cut_to_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 9), level, np.uint8)) for level in (0, 100, 200)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert refusal(tmp_path / "a.png").startswith("is an animated PNG; ")


def test_results_with_nan_are_not_written(tmp_path: Path) -> None:
    image = read(ASTRONAUT)
    result = image.pixels.astype(np.float32)
    result[3, 4, 0] = np.nan
    with pytest.raises(OutputError, match=r"out\.png: the result holds NaN"):
        write(image, result, tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


def test_results_of_another_shape_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    image = read(ASTRONAUT)
    with pytest.raises(ValueError, match="cannot replace"):
        write(image, image.pixels[..., 0], tmp_path / "out.png")


def test_a_file_that_may_not_be_read() -> None:
    # In a child process of a user without rights: this one may be root, who may read everything.
    script = (
        "import os, sys\n"
        "from lowlight.errors import InputError\n"
        "from lowlight.imaging import read\n"
        "import lowlight.imaging.png\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "os.chdir(sys.argv[1])\n"
        "try: read('secret.png')\n"
        "except InputError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copy(ASTRONAUT, Path(folder, "secret.png"))
        Path(folder, "secret.png").chmod(0)
        told = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True)
    assert told.stdout == "secret.png: may not be read; check its permissions\n", told.stderr
