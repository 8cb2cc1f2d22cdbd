"""JPEG in, PNG out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image, ImageCms, ImageOps

from lowlight.errors import InputError, OutputError
from lowlight.imaging import read, write

RETINA = Path(skimage.__file__).parent / "data" / "retina.jpg"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def retina(size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.open(RETINA).resize(size)


def test_a_photograph_comes_out_as_png_with_the_decoded_pixels(tmp_path: Path) -> None:
    image = read(RETINA)
    assert (image.kind, image.value_range, image.frames, image.alpha) == ("jpeg", (0, 255), False, None)
    result = write(image, image.pixels, tmp_path / "retina.png")
    with Image.open(result) as picture, Image.open(RETINA) as source:
        assert picture.format == "PNG"
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(source))


def test_no_jpeg_is_compressed_twice(tmp_path: Path) -> None:
    image = read(RETINA)
    with pytest.raises(OutputError, match=r"retina\.jpg: .*PNG.*end it in \.png"):
        write(image, image.pixels, tmp_path / "retina.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_grey_jpeg_stays_grey(tmp_path: Path) -> None:
    retina().convert("L").save(tmp_path / "grey.jpg")
    image = read(tmp_path / "grey.jpg")
    assert image.pixels.shape == (40, 60)
    assert image.channels == 1
    assert read(write(image, image.pixels, tmp_path / "grey.png")).pixels.shape == (40, 60)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_not_written_again(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    retina().save(tmp_path / "in.jpg", exif=exif, dpi=(72, 144))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "in.jpg")))
    image = read(tmp_path / "in.jpg")
    np.testing.assert_array_equal(image.pixels, upright)
    with Image.open(write(image, image.pixels, tmp_path / "out.png")) as result:
        np.testing.assert_array_equal(np.asarray(result), upright)
        assert 0x0112 not in result.getexif()
        assert result.info["dpi"] == pytest.approx((144, 72) if orientation > 4 else (72, 144), abs=0.1)


def test_profile_and_resolution_are_kept_and_place_is_dropped(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 0.0)
    retina().save(tmp_path / "in.jpg", exif=exif, icc_profile=PROFILE, dpi=(300, 300))
    image = read(tmp_path / "in.jpg")
    result = write(image, image.pixels, tmp_path / "out.png")
    with Image.open(result) as picture:
        assert picture.info["icc_profile"] == PROFILE
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert not picture.getexif()
    assert b"A camera" not in result.read_bytes()


def test_cmyk_is_refused_in_plain_words(tmp_path: Path) -> None:
    retina().convert("CMYK").save(tmp_path / "print.jpg")
    with pytest.raises(InputError, match=r"print\.jpg: .*CMYK.*printing; save it as RGB"):
        read(tmp_path / "print.jpg")


def test_the_kind_is_found_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(RETINA.read_bytes())
    assert read(tmp_path / "photo.png").kind == "jpeg"


def test_the_quantisation_tables_of_the_file_are_handed_on(tmp_path: Path) -> None:
    retina().save(tmp_path / "in.jpg", quality=50)
    with Image.open(tmp_path / "in.jpg") as picture:
        expected = {number: list(table) for number, table in picture.quantization.items()}
    tables = read(tmp_path / "in.jpg").quantisation
    assert tables == expected
    assert tables[0][0] == 16, "the step that ITU-T T.81 gives as an example for the mean of a block"
    retina().save(tmp_path / "in.png")
    assert read(tmp_path / "in.png").quantisation is None
