"""PNG in, PNG out: every depth and colour type, with profile, resolution, alpha and orientation."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import skimage
from PIL import Image, ImageCms, PngImagePlugin

from lowlight.imaging import read, write, write_png

PICTURES = Path(skimage.__file__).parent / "data"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(7).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def png_bytes(header: tuple[int, ...], rows: np.ndarray, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG put together by hand, for types that Pillow does not write. Rows carry their filter byte."""

    def framed(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *header)), *extra, (b"IDAT", zlib.compress(rows.tobytes()))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed(*chunk) for chunk in [*chunks, (b"IEND", b"")])


def write_by_hand(path: Path, samples: np.ndarray, colour: int, *extra: tuple[bytes, bytes]) -> None:
    depth = samples.dtype.itemsize * 8
    height, width = samples.shape[:2]
    rows = samples.astype(samples.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    path.write_bytes(png_bytes((width, height, depth, colour, 0, 0, 0), filtered, *extra))


def assert_comes_back(source: Path, target: Path) -> None:
    """Written unchanged and read again, an image has the same pixels, alpha, type and range."""
    image = read(source)
    again = read(write(image, image.pixels, target))
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert again.pixels.dtype == image.pixels.dtype
    assert again.value_range == image.value_range
    assert (again.alpha is None) == (image.alpha is None)
    if image.alpha is not None:
        np.testing.assert_array_equal(again.alpha, image.alpha)


@pytest.mark.parametrize("name", ["camera", "astronaut", "retina", "microaneurysms", "chelsea", "logo", "horse"])
def test_real_pictures_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    found = [path for path in PICTURES.glob(f"{name}.*") if path.suffix in (".png", ".jpg")]
    assert_comes_back(found[0], tmp_path / "out.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("colour", "samples"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_every_depth_and_colour_type_keeps_all_of_its_bits(
    dtype: type, colour: int, samples: int, tmp_path: Path
) -> None:
    stored = noise(23, 31, samples, dtype=dtype)
    write_by_hand(tmp_path / "in.png", stored, colour)

    image = read(tmp_path / "in.png")

    colours = stored[..., 0] if samples < 3 else stored[..., :3]
    np.testing.assert_array_equal(image.pixels, colours)
    assert image.pixels.dtype == dtype
    assert image.value_range == (0, np.iinfo(dtype).max)
    if samples in (2, 4):
        np.testing.assert_array_equal(image.alpha, stored[..., -1])
    else:
        assert image.alpha is None
    assert_comes_back(tmp_path / "in.png", tmp_path / "out.png")


@pytest.mark.parametrize("samples", [3, 4])
def test_16_bit_colour_agrees_with_simpleitk_both_ways(samples: int, tmp_path: Path) -> None:
    smooth = np.cumsum(noise(40, 50, samples, dtype=np.uint16) // 512, axis=1).astype(np.uint16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(smooth, isVector=True), str(tmp_path / "in.png"))
    image = read(tmp_path / "in.png")
    np.testing.assert_array_equal(image.pixels, smooth[..., :3])

    write(image, image.pixels, tmp_path / "out.png")

    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out.png")))
    np.testing.assert_array_equal(theirs, smooth)


def test_a_transposed_view_of_16_bit_colour_is_written_as_it_looks(tmp_path: Path) -> None:
    transposed = noise(7, 9, 3, dtype=np.uint16).swapaxes(0, 1)
    write_png(transposed, tmp_path / "out.png")
    np.testing.assert_array_equal(read(tmp_path / "out.png").pixels, transposed)


def test_1_bit_is_expanded_to_black_and_white(tmp_path: Path) -> None:
    shape = noise(9, 13) > 127
    Image.fromarray(shape).save(tmp_path / "in.png")
    image = read(tmp_path / "in.png")
    np.testing.assert_array_equal(image.pixels, np.where(shape, 255, 0))
    assert image.pixels.dtype == np.uint8


def test_colour_palette_is_expanded_to_rgb(tmp_path: Path) -> None:
    picture = Image.open(PICTURES / "astronaut.png").resize((40, 30)).quantize(32)
    picture.save(tmp_path / "in.png")
    assert read(tmp_path / "in.png").pixels.shape == (30, 40, 3)
    np.testing.assert_array_equal(read(tmp_path / "in.png").pixels, np.asarray(picture.convert("RGB")))


def test_grey_palette_is_expanded_to_grey(tmp_path: Path) -> None:
    grey = np.asarray(Image.open(PICTURES / "camera.png").resize((40, 30)))
    picture = Image.fromarray(255 - grey).convert("P")
    picture.putpalette([value for level in range(255, -1, -1) for value in (level, level, level)])
    picture.save(tmp_path / "in.png")
    np.testing.assert_array_equal(read(tmp_path / "in.png").pixels, np.asarray(picture.convert("RGB"))[..., 0])


def test_palette_with_transparency_keeps_it_as_alpha(tmp_path: Path) -> None:
    picture = Image.open(PICTURES / "astronaut.png").resize((40, 30)).quantize(16)
    picture.save(tmp_path / "in.png", transparency=3)
    image = read(tmp_path / "in.png")
    np.testing.assert_array_equal(image.alpha, np.where(np.asarray(picture) == 3, 0, 255))
    assert_comes_back(tmp_path / "in.png", tmp_path / "out.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_transparent_colour_becomes_alpha(dtype: type, tmp_path: Path) -> None:
    stored = np.full((6, 7, 3), (1, 2, np.iinfo(dtype).max), dtype)
    stored[2, 3] = (9, 8, 7)
    write_by_hand(tmp_path / "in.png", stored, 2, (b"tRNS", struct.pack(">HHH", 9, 8, 7)))
    expected = np.full((6, 7), np.iinfo(dtype).max)
    expected[2, 3] = 0
    np.testing.assert_array_equal(read(tmp_path / "in.png").alpha, expected)


@pytest.mark.parametrize("shape", [(25, 31), (25, 31, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_profile_gamma_and_resolution_are_kept(shape: tuple[int, ...], dtype: type, tmp_path: Path) -> None:
    chunks = [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"pHYs", struct.pack(">IIB", 5000, 7000, 1)),
        (b"iCCP", b"sRGB\x00\x00" + zlib.compress(PROFILE)),
    ]
    write_by_hand(tmp_path / "in.png", noise(*shape, dtype=dtype), 0 if len(shape) == 2 else 2, *chunks)
    image = read(tmp_path / "in.png")
    with Image.open(write(image, image.pixels, tmp_path / "out.png")) as result:
        assert result.info["icc_profile"] == PROFILE
        assert result.info["gamma"] == pytest.approx(0.45455)
        assert result.info["dpi"] == pytest.approx((127.0, 177.8))


def test_place_camera_and_comments_are_left_behind(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[1] = "N"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "Jane Roe, born 1970")
    Image.fromarray(noise(8, 9)).save(tmp_path / "in.png", exif=exif, pnginfo=text)
    image = read(tmp_path / "in.png")
    content = write(image, image.pixels, tmp_path / "out.png").read_bytes()
    assert b"Jane" not in content
    assert b"camera" not in content
    assert b"eXIf" not in content


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation: int, tmp_path: Path) -> None:
    picture = Image.open(PICTURES / "coffee.png").resize((30, 20))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "in.png", exif=exif, dpi=(100, 200))
    from PIL import ImageOps

    upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "in.png")))

    image = read(tmp_path / "in.png")
    np.testing.assert_array_equal(image.pixels, upright)
    again = read(write(image, image.pixels, tmp_path / "out.png"))
    np.testing.assert_array_equal(again.pixels, upright)
    with Image.open(tmp_path / "out.png") as result:
        expected = (200, 100) if orientation > 4 else (100, 200)
        assert result.info["dpi"] == pytest.approx(expected, abs=0.1)


def test_interlaced_16_bit_colour_is_decoded(tmp_path: Path) -> None:
    # Adam7 by hand: seven passes over an 8 x 8 image, each row behind a filter byte of 0.
    stored = noise(8, 8, 3, dtype=np.uint16)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    content = b""
    for top, left, rows, columns in passes:
        for row in stored[top::rows, left::columns].astype(">u2"):
            content += b"\x00" + row.tobytes()
    packed = np.frombuffer(content, np.uint8)
    (tmp_path / "in.png").write_bytes(png_bytes((8, 8, 16, 2, 0, 0, 1), packed))
    np.testing.assert_array_equal(read(tmp_path / "in.png").pixels, stored)


def test_results_are_rounded_and_clipped_to_the_stored_type(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((1, 5), np.uint8)).save(tmp_path / "in.png")
    image = read(tmp_path / "in.png")
    result = np.array([[-3.0, 0.4, 127.6, 255.4, 300.0]], np.float32)
    np.testing.assert_array_equal(read(write(image, result, tmp_path / "out.png")).pixels, [[0, 0, 128, 255, 255]])


@pytest.mark.parametrize("shape", [(1, 1), (3, 20000), (20000, 3), (1, 1, 3), (3, 20000, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_extreme_shapes_come_back(shape: tuple[int, ...], dtype: type, tmp_path: Path) -> None:
    write_png(noise(*shape, dtype=dtype), tmp_path / "in.png")
    np.testing.assert_array_equal(read(tmp_path / "in.png").pixels, noise(*shape, dtype=dtype))
    assert_comes_back(tmp_path / "in.png", tmp_path / "out.png")


@pytest.mark.parametrize("value", [0, 77, 255])
def test_constant_images_keep_the_range_of_their_type(value: int, tmp_path: Path) -> None:
    write_png(np.full((12, 13), value, np.uint8), tmp_path / "in.png")
    image = read(tmp_path / "in.png")
    assert image.value_range == (0, 255)
    assert_comes_back(tmp_path / "in.png", tmp_path / "out.png")


def test_a_stated_range_is_believed(tmp_path: Path) -> None:
    write_png(np.array([[0, 4095]], np.uint16), tmp_path / "in.png")
    image = read(tmp_path / "in.png", value_range=(0, 4095))
    assert image.value_range == (0, 4095)
    np.testing.assert_array_equal(image.normalised(), [[0, 1]])


def test_a_result_carries_no_bytes_behind_its_end(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(noise(5, 6)).save(content, "PNG")
    (tmp_path / "in.png").write_bytes(content.getvalue() + b"hidden")
    image = read(tmp_path / "in.png")
    assert write(image, image.pixels, tmp_path / "out.png").read_bytes().endswith(b"IEND\xaeB`\x82")


def test_what_was_done_is_said_in_the_file_where_it_is_stated(tmp_path: Path) -> None:
    image = read(PICTURES / "astronaut.png")
    plain = write(image, image.pixels, tmp_path / "plain.png").read_bytes()
    for text, chunk in (("Enhanced: heller \u00fc", b"tEXt"), ("Enhanced: \u660e\u308b\u304f", b"iTXt")):
        result = write(image, image.pixels, tmp_path / "out.png", derivation=text)
        assert chunk + b"Description" in result.read_bytes()
        with Image.open(result) as picture:
            assert picture.text == {"Description": text}  # type: ignore[attr-defined]
        np.testing.assert_array_equal(read(result).pixels, image.pixels)
        assert write(read(result), image.pixels, tmp_path / "again.png").read_bytes() == plain
    assert b"Description" not in plain
