"""TIFF in, TIFF out: depths, colour, pages, floats, alpha, resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
import skimage
import tifffile
from PIL import Image, ImageCms

from lowlight.errors import InputError
from lowlight.imaging import read, write

PICTURES = Path(skimage.__file__).parent / "data"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY: dict[str, Any] = {"photometric": "minisblack"}
COLOUR: dict[str, Any] = {"photometric": "rgb"}


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.random.default_rng(5).integers(limits.min, limits.max, shape, dtype, endpoint=True)


def round_trip(source: Path, target: Path, **options: Any) -> tuple[Any, Any]:
    image = read(source, **options)
    again = read(write(image, image.pixels, target), **options)
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert again.pixels.dtype == image.pixels.dtype
    assert (again.value_range, again.frames) == (image.value_range, image.frames)
    if image.alpha is not None:
        np.testing.assert_array_equal(again.alpha, image.alpha)
    return image, again


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
@pytest.mark.parametrize("shape", [(21, 33), (21, 33, 3), (4, 21, 33), (4, 21, 33, 3), (3, 3), (3, 3, 3)])
def test_every_depth_colour_and_stack_comes_back(dtype: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    colour = shape[-1] == 3 and len(shape) > 2 and shape != (3, 3)
    tifffile.imwrite(tmp_path / "in.tif", noise(*shape, dtype=dtype), **(COLOUR if colour else GREY))
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    np.testing.assert_array_equal(image.pixels, noise(*shape, dtype=dtype))
    assert image.value_range == (np.iinfo(dtype).min, np.iinfo(dtype).max)
    assert image.frames == (len(shape) - colour == 3)


def test_real_stacks_come_back_page_by_page(tmp_path: Path) -> None:
    for name in ("multipage.tif", "multipage_rgb.tif"):
        image, _ = round_trip(PICTURES / name, tmp_path / name)
        with tifffile.TiffFile(tmp_path / name) as written:
            assert len(written.pages) == len(image.pixels)


@pytest.mark.parametrize("options", [{"bigtiff": True}, {"byteorder": ">"}, {"compression": "zlib"}])
def test_layout_of_the_file_is_kept(options: dict[str, Any], tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", noise(30, 40, 3, dtype=np.uint16), **COLOUR, **options)
    round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "in.tif") as source, tifffile.TiffFile(tmp_path / "out.tif") as result:
        assert (result.is_bigtiff, result.byteorder) == (source.is_bigtiff, source.byteorder)
        assert result.pages[0].compression == source.pages[0].compression


def test_16_bit_colour_is_understood_by_another_reader(tmp_path: Path) -> None:
    stored = noise(20, 30, 3, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", stored, **COLOUR, compression="zlib", predictor=True)
    round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out.tif")))
    np.testing.assert_array_equal(theirs, stored)


def test_planes_stored_apart_are_put_together(tmp_path: Path) -> None:
    stored = noise(20, 30, 3)
    tifffile.imwrite(tmp_path / "in.tif", np.moveaxis(stored, -1, 0), **COLOUR, planarconfig="separate")
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    np.testing.assert_array_equal(image.pixels, stored)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("shape", [(9, 11, 2), (9, 11, 4), (3, 9, 11, 4)])
def test_alpha_of_every_kind_is_kept(dtype: Any, kind: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    options = {**(COLOUR if shape[-1] == 4 else GREY), "planarconfig": "contig", "extrasamples": [kind]}
    tifffile.imwrite(tmp_path / "in.tif", noise(*shape, dtype=dtype), **options)
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    np.testing.assert_array_equal(image.alpha, noise(*shape, dtype=dtype)[..., -1])
    with tifffile.TiffFile(tmp_path / "out.tif") as result:
        assert result.pages[0].extrasamples == (kind,)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_within_0_and_1_need_no_declaration(dtype: Any, tmp_path: Path) -> None:
    stored = np.random.default_rng(1).random((15, 16)).astype(dtype)
    tifffile.imwrite(tmp_path / "in.tif", stored, **GREY)
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    np.testing.assert_array_equal(image.pixels, stored)
    assert image.value_range == (0, 1)
    assert image.pixels.dtype == dtype


def test_floats_outside_0_and_1_are_refused_until_the_range_is_stated(tmp_path: Path) -> None:
    stored = np.linspace(-200, 900, 120, dtype=np.float32).reshape(10, 12)
    tifffile.imwrite(tmp_path / "in.tif", stored, **GREY)
    with pytest.raises(InputError, match=r"in\.tif: .*-200 to 900.*state the value range"):
        read(tmp_path / "in.tif")
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif", value_range=(-100, 400))
    assert image.value_range == (-100, 400)
    np.testing.assert_allclose(image.normalised(), (stored + 100) / 500, rtol=1e-6)


def test_a_range_that_the_file_declares_is_believed_and_kept(tmp_path: Path) -> None:
    stored = np.linspace(3, 900, 120, dtype=np.float32).reshape(10, 12)
    declared = [(340, 12, 1, 0.0, False), (341, 12, 1, 1000.0, False)]
    tifffile.imwrite(tmp_path / "in.tif", stored, **GREY, extratags=declared)
    image, again = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    assert image.value_range == again.value_range == (0, 1000)


@pytest.mark.parametrize("compression", [None, "group4", "tiff_lzw", "packbits"])
def test_1_bit_of_every_compression_is_expanded(compression: str | None, tmp_path: Path) -> None:
    shape = noise(16, 24) > 127
    Image.fromarray(shape).save(tmp_path / "in.tif", compression=compression)
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    np.testing.assert_array_equal(image.pixels, np.where(shape, 255, 0))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "F"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_compressed_images_decode_to_what_was_stored(mode: str, compression: str, tmp_path: Path) -> None:
    arrays = {
        "L": noise(20, 30),
        "LA": noise(20, 30, 2),
        "RGB": noise(20, 30, 3),
        "RGBA": noise(20, 30, 4),
        "I;16": noise(20, 30, dtype=np.uint16),
        "F": np.random.default_rng(2).random((20, 30)).astype(np.float32),
    }
    Image.fromarray(arrays[mode]).save(tmp_path / "in.tif", compression=compression)
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    stored = arrays[mode]
    expected = {"LA": stored[..., 0], "RGBA": stored[..., :3]}.get(mode, stored)
    np.testing.assert_array_equal(image.pixels, expected)
    if mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(image.alpha, stored[..., -1])


def test_16_bit_colour_with_lzw_keeps_its_bits(tmp_path: Path) -> None:
    stored = noise(20, 30, 3, dtype=np.uint16)
    writer = SimpleITK.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "in.tif"))
    writer.UseCompressionOn()
    writer.SetCompressor("LZW")
    writer.Execute(SimpleITK.GetImageFromArray(stored, isVector=True))
    with tifffile.TiffFile(tmp_path / "in.tif") as source:
        assert source.pages[0].compression.name == "LZW"
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    np.testing.assert_array_equal(image.pixels, stored)


def test_palette_is_expanded(tmp_path: Path) -> None:
    picture = Image.open(PICTURES / "astronaut.png").resize((40, 30)).quantize(64)
    picture.save(tmp_path / "in.tif")
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    np.testing.assert_array_equal(image.pixels, np.asarray(picture.convert("RGB")))


def test_white_at_zero_is_turned_round(tmp_path: Path) -> None:
    stored = noise(12, 14, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", stored, photometric="miniswhite")
    image, _ = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    np.testing.assert_array_equal(image.pixels, 65535 - stored)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation: int, tmp_path: Path) -> None:
    picture = Image.open(PICTURES / "coffee.png").resize((30, 20))
    picture.save(tmp_path / "in.tif", tiffinfo={274: orientation}, dpi=(100, 200))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "same.png", exif=exif)
    image, again = round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    np.testing.assert_array_equal(image.pixels, read(tmp_path / "same.png").pixels)
    expected = (200, 100) if orientation > 4 else (100, 200)
    assert tuple(n / d for n, d in again.restore.resolution) == expected


def test_resolution_and_profile_are_kept_and_descriptions_are_not(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "in.tif",
        noise(20, 30, 3),
        **COLOUR,
        resolution=((254, 10), (508, 10)),
        resolutionunit="CENTIMETER",
        iccprofile=PROFILE,
        description="Jane Roe, born 1970",
    )
    round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as result:
        tags = result.pages[0].tags
        assert (tags[282].value, tags[283].value, tags[296].value) == ((127, 5), (254, 5), 3)
        assert result.pages[0].iccprofile == PROFILE
    assert b"Jane" not in (tmp_path / "out.tif").read_bytes()


def test_pages_of_different_size_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        writer.write(noise(20, 30), **GREY)
        writer.write(noise(10, 15), **GREY)
    with pytest.raises(InputError, match=r"in\.tif: .*different size.*split it"):
        read(tmp_path / "in.tif")


def test_a_thumbnail_page_is_no_frame(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "in.tif") as writer:
        writer.write(noise(20, 30), **GREY)
        writer.write(noise(10, 15), **GREY, subfiletype=1)
    image = read(tmp_path / "in.tif")
    assert (image.pixels.shape, image.frames) == ((20, 30), False)


def test_cmyk_and_complex_values_are_refused(tmp_path: Path) -> None:
    Image.fromarray(noise(8, 9, 3)).convert("CMYK").save(tmp_path / "print.tif")
    with pytest.raises(InputError, match=r"print\.tif: .*CMYK.*save it as RGB"):
        read(tmp_path / "print.tif")
    tifffile.imwrite(tmp_path / "waves.tif", np.ones((8, 9), np.complex64), **GREY)
    with pytest.raises(InputError, match=r"waves\.tif: .*complex64; convert them"):
        read(tmp_path / "waves.tif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_extreme_shapes_come_back(dtype: Any, tmp_path: Path) -> None:
    for number, shape in enumerate([(1, 1), (3, 20000), (20000, 3), (1, 1, 3)]):
        stored = np.zeros(shape, dtype)
        colour = shape == (1, 1, 3)
        tifffile.imwrite(tmp_path / f"{number}.tif", stored, **(COLOUR if colour else GREY))
        image, _ = round_trip(tmp_path / f"{number}.tif", tmp_path / f"out{number}.tif")
        assert image.pixels.shape == shape


def first_tags(path: Path) -> dict[int, Any]:
    with tifffile.TiffFile(path) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags}  # type: ignore[union-attr]


def test_resolution_without_unit_stays_without_unit(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", noise(20, 30), **GREY, resolution=(300, 300), resolutionunit="NONE")
    round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    assert first_tags(tmp_path / "out.tif")[296] == 1


IMAGEJ: dict[str, Any] = {"imagej": True, "resolution": (5, 5)}
OME: dict[str, Any] = {"ome": True, "compression": "zlib"}
IN_MICRONS = {"unit": "\\u00B5m", "spacing": 2.5, "Info": "Jane Roe, born 1970"}
SIZES = {"PhysicalSizeX": 0.2, "PhysicalSizeZ": 2.5, "PhysicalSizeZUnit": "\u00b5m", "Name": "Jane Roe"}
STACKS = [((6, 20, 30), "ZYX", np.uint16), ((3, 2, 20, 30), "ZCYX", np.float32), ((4, 20, 30, 3), "ZYXS", np.uint8)]


def stack(path: Path, shape: tuple[int, ...], axes: str, dtype: Any, metadata: dict[str, Any], **options: Any) -> Any:
    """Write a stack as ImageJ or OME TIFF; what is in it."""
    stored = np.linspace(0, 1 if dtype is np.float32 else 200, int(np.prod(shape))).reshape(shape).astype(dtype)
    colours = "rgb" if axes.endswith("S") else "minisblack"
    tifffile.imwrite(path, stored, photometric=colours, metadata={**metadata, "axes": axes}, **options)
    return stored


@pytest.mark.parametrize(("shape", "axes", "dtype"), STACKS)
def test_imagej_keeps_axes_spacing_and_unit(shape: tuple[int, ...], axes: str, dtype: Any, tmp_path: Path) -> None:
    stored = stack(tmp_path / "in.tif", shape, axes, dtype, IN_MICRONS, **IMAGEJ)
    round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as result:
        assert (result.series[0].axes, result.series[0].shape) == (axes, shape)
        np.testing.assert_array_equal(result.asarray(), stored)
        metadata = result.imagej_metadata or {}
        assert (metadata["unit"], metadata["spacing"]) == ("\\u00B5m", 2.5)
    # ImageJ finds the planes by counting on from the first one, not by their directory entries.
    assert tifffile.memmap(tmp_path / "out.tif", mode="r").shape == shape
    tags = first_tags(tmp_path / "out.tif")
    assert (tags[282], tags[296]) == ((5, 1), 1)
    assert b"Jane" not in (tmp_path / "out.tif").read_bytes()


@pytest.mark.parametrize(("shape", "axes", "dtype"), STACKS)
def test_ome_keeps_axes_and_physical_size(shape: tuple[int, ...], axes: str, dtype: Any, tmp_path: Path) -> None:
    stored = stack(tmp_path / "in.tif", shape, axes, dtype, SIZES, **OME)
    round_trip(tmp_path / "in.tif", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as result:
        assert (result.series[0].axes, result.series[0].shape) == (axes, shape)
        np.testing.assert_array_equal(result.asarray(), stored)
        pixels = tifffile.xml2dict(str(result.ome_metadata))["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeZ"], pixels["PhysicalSizeZUnit"]) == (0.2, 2.5, "\u00b5m")
    assert b"Jane" not in (tmp_path / "out.tif").read_bytes()


def described(path: Path, description: str) -> Path:
    tifffile.imwrite(path, noise(2, 20, 30), **GREY, metadata=None, description=description.encode())
    return path


def test_planes_that_imagej_counts_wrongly_are_not_claimed_but_the_unit_is(tmp_path: Path) -> None:
    source = described(tmp_path / "in.tif", "ImageJ=1.54f\nimages=1\nslices=1\nunit=\u00b5m\nmin=3\nmax=90\n")
    round_trip(source, tmp_path / "out.tif")
    assert first_tags(tmp_path / "out.tif")[270].split() == ["ImageJ=1.54f", "unit=\\u00B5m"]


OME_XML = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">{extra}'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="{type}" SizeX="30" SizeY="20" SizeZ="{slices}" SizeC="1" '
    'SizeT="1" PhysicalSizeX="0.2">{parts}</Pixels></Image></OME>'
)
FILES = "".join(f'<TiffData IFD="0"><UUID FileName="{name}.tif">urn:uuid:1</UUID></TiffData>' for name in "ab")


@pytest.mark.parametrize(
    "description",
    [
        OME_XML.format(extra="", type="uint8", slices=3, parts=""),
        OME_XML.format(extra="", type="uint8", slices="two", parts=""),
        OME_XML.format(extra="", type="bit", slices=2, parts=""),
        OME_XML.format(extra="", type="uint8", slices=2, parts=FILES),
        OME_XML.format(extra="</Image><Image>", type="uint8", slices=2, parts=""),
        '<!DOCTYPE OME [<!ENTITY a "b">]>' + OME_XML.format(extra="", type="uint8", slices=2, parts=""),
        "<OME not closed OME>",
    ],
)
def test_an_ome_description_that_is_not_true_of_the_result_is_left_out(description: str, tmp_path: Path) -> None:
    round_trip(described(tmp_path / "in.tif", description), tmp_path / "out.tif")
    assert 270 not in first_tags(tmp_path / "out.tif")
    # The same with nothing wrong is kept.
    fine = OME_XML.format(extra="", type="uint8", slices=2, parts='<TiffData IFD="0" PlaneCount="2"/>')
    round_trip(described(tmp_path / "fine.tif", fine), tmp_path / "out.tif")
    assert 'PhysicalSizeX="0.2"' in first_tags(tmp_path / "out.tif")[270]


def test_what_was_done_is_said_in_the_file_where_it_is_stated(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", noise(2, 20, 30), **GREY)
    tifffile.imwrite(tmp_path / "imagej.tif", noise(2, 20, 30), **IMAGEJ, metadata=IN_MICRONS)
    plain, imagej = read(tmp_path / "in.tif"), read(tmp_path / "imagej.tif")
    unmarked = write(plain, plain.pixels, tmp_path / "unmarked.tif")
    assert not {270, 305} & first_tags(unmarked).keys()
    assert 305 not in first_tags(write(imagej, imagej.pixels, tmp_path / "out.tif"))

    result = write(plain, plain.pixels, tmp_path / "out.tif", derivation="Enhanced: heller \u00fc")
    assert first_tags(result)[270] == "Enhanced: heller \u00fc"
    again = write(read(result), plain.pixels, tmp_path / "again.tif")
    assert again.read_bytes() == unmarked.read_bytes()

    tags = first_tags(write(imagej, imagej.pixels, tmp_path / "out.tif", derivation="Enhanced"))
    assert "spacing=2.5" in tags[270]
    assert tags[305] == "Enhanced"
