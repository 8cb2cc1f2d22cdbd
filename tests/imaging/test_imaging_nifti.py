"""NIfTI in, NIfTI out: voxel order, header and scaling stay what they were."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK

from lowlight.errors import InputError
from lowlight.imaging import read, write

OBLIQUE = np.array([[0.5, 0.1, 0, -3], [-0.1, 0.6, 0, 7], [0, 0, 2.5, 11], [0, 0, 0, 1]])


def voxels(*shape: int, dtype: Any = np.int16) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.random.default_rng(3).integers(limits.min, limits.max, shape, dtype, endpoint=True)


def save(path: Path, data: np.ndarray, affine: np.ndarray = OBLIQUE, **header: Any) -> Path:
    volume = nibabel.Nifti1Image(data, affine)
    for key, value in header.items():
        volume.header[key] = value
    nibabel.save(volume, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32])
@pytest.mark.parametrize("shape", [(12, 17), (12, 17, 1), (12, 17, 5), (12, 17, 5, 3), (1, 1), (1, 1, 4)])
def test_unchanged_pixels_give_the_same_bytes(suffix: str, dtype: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    source = save(tmp_path / f"in{suffix}", voxels(*shape, dtype=dtype))
    image = read(source)
    assert image.pixels.dtype == dtype
    assert image.value_range == (np.iinfo(dtype).min, np.iinfo(dtype).max)
    assert image.frames == (np.prod(shape[2:]) > 1)
    result = write(image, image.pixels, tmp_path / f"out{suffix}")
    if suffix == ".nii":
        assert result.read_bytes() == source.read_bytes()
    else:
        assert gzip.decompress(result.read_bytes()) == gzip.decompress(source.read_bytes())


def test_slices_along_the_last_axis_are_the_frames(tmp_path: Path) -> None:
    stored = voxels(12, 17, 5)
    image = read(save(tmp_path / "in.nii", stored, np.diag([-1.0, -1.0, 1.0, 1.0])))
    # Voxels that run towards the patient's left and back are a picture as it is shown: columns, then rows.
    np.testing.assert_array_equal(image.pixels, np.transpose(stored, (2, 1, 0)))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "RPS", "PRS", "ALI", "PSR", "AIL", "RSA", "LIP", "SPL", "IRP"])
def test_slices_are_shown_upright_and_voxels_return_to_their_order(codes: str, tmp_path: Path) -> None:
    # A volume known in patient space, stored in any voxel order, gives the picture that patient space asks for.
    ornt = nibabel.orientations.axcodes2ornt(codes)
    truth = nibabel.Nifti1Image(voxels(9, 10, 11), np.diag([2.0, 3.0, 4.0, 1.0]))
    from_ras = nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), ornt)
    stored = truth.as_reoriented(from_ras)
    nibabel.save(stored, tmp_path / "in.nii")
    image = read(tmp_path / "in.nii")

    plane = {"L": "x", "R": "x", "P": "y", "A": "y", "I": "z", "S": "z"}
    columns, rows = sorted(plane[code] for code in codes[:2])
    shown = {"x": "L", "y": "P", "z": "I"}
    wanted = shown[columns] + shown[rows] + codes[2]
    turned = stored.as_reoriented(nibabel.orientations.ornt_transform(ornt, nibabel.orientations.axcodes2ornt(wanted)))
    np.testing.assert_array_equal(image.pixels, np.transpose(np.asarray(turned.dataobj), (2, 1, 0)))

    write(image, image.pixels, tmp_path / "out.nii")
    assert (tmp_path / "out.nii").read_bytes() == (tmp_path / "in.nii").read_bytes()


def test_a_change_lands_on_the_voxel_it_was_made_on(tmp_path: Path) -> None:
    source = save(tmp_path / "in.nii.gz", np.zeros((8, 9, 3), np.uint8), np.diag([1.0, -2.0, 3.0, 1.0]))
    image = read(source)
    changed = image.pixels.copy()
    changed[1, 2, 3] = 200
    result = nibabel.load(write(image, changed, tmp_path / "out.nii.gz"))
    where = np.argwhere(np.asarray(result.dataobj) == 200)
    # Columns run towards the left, so column 3 is the fourth voxel from the right end of the R axis; rows towards P.
    np.testing.assert_array_equal(where, [[8 - 1 - 3, 2, 1]])
    np.testing.assert_array_equal(result.affine, nibabel.load(source).affine)


def test_header_codes_units_and_description_are_kept(tmp_path: Path) -> None:
    data = voxels(12, 17, 5)
    volume = nibabel.Nifti1Image(data, OBLIQUE)
    volume.set_qform(OBLIQUE, 1)
    volume.set_sform(OBLIQUE, 3)
    volume.header.set_xyzt_units("mm", "sec")
    volume.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"kept"))
    nibabel.save(volume, tmp_path / "in.nii")
    image = read(tmp_path / "in.nii")
    result = nibabel.load(write(image, image.pixels // 2, tmp_path / "out.nii"))
    assert result.header == nibabel.load(tmp_path / "in.nii").header
    assert result.header.extensions[0].get_content() == b"kept"
    np.testing.assert_array_equal(np.asarray(result.dataobj), data // 2)


def test_scaled_voxels_stay_as_stored_and_the_range_follows_the_scale(tmp_path: Path) -> None:
    stored = voxels(12, 17, dtype=np.uint16)
    save(tmp_path / "in.nii", stored)
    content = bytearray((tmp_path / "in.nii").read_bytes())
    content[112:120] = np.array([0.5, -100], "<f4").tobytes()  # scl_slope, scl_inter
    (tmp_path / "in.nii").write_bytes(content)

    image = read(tmp_path / "in.nii", value_range=(-100, 400))
    assert image.value_range == (0, 1000)
    assert image.pixels.dtype == np.uint16
    result = nibabel.load(write(image, image.pixels, tmp_path / "out.nii"))
    np.testing.assert_allclose(result.get_fdata(), stored * 0.5 - 100)


def test_the_display_range_of_the_header_is_believed(tmp_path: Path) -> None:
    image = read(save(tmp_path / "in.nii", voxels(9, 8), cal_min=-50, cal_max=950))
    assert image.value_range == (-50, 950)


def test_floats_outside_0_and_1_need_a_range(tmp_path: Path) -> None:
    stored = np.linspace(0, 80, 99, dtype=np.float32).reshape(9, 11)
    save(tmp_path / "in.nii", stored)
    with pytest.raises(InputError, match=r"in\.nii: .*0 to 80.*state the value range"):
        read(tmp_path / "in.nii")
    image = read(tmp_path / "in.nii", value_range=(0, 80))
    np.testing.assert_allclose(image.normalised().max(), 1)
    save(tmp_path / "unit.nii", stored / 80)
    assert read(tmp_path / "unit.nii").value_range == (0, 1)


def test_big_endian_files_come_back_big_endian(tmp_path: Path) -> None:
    volume = nibabel.Nifti1Image(voxels(7, 9), OBLIQUE, nibabel.Nifti1Header(endianness=">"))
    volume.header.set_data_dtype(">i2")
    nibabel.save(volume, tmp_path / "in.nii")
    image = read(tmp_path / "in.nii")
    np.testing.assert_array_equal(np.sort(image.pixels, axis=None), np.sort(voxels(7, 9), axis=None))
    assert write(image, image.pixels, tmp_path / "out.nii").read_bytes() == (tmp_path / "in.nii").read_bytes()


def test_rgb_voxels_come_back_as_colour(tmp_path: Path) -> None:
    stored = voxels(6, 10, 12, 3, dtype=np.uint8)
    picture = SimpleITK.GetImageFromArray(stored, isVector=True)
    SimpleITK.WriteImage(picture, str(tmp_path / "in.nii"))
    image = read(tmp_path / "in.nii")
    np.testing.assert_array_equal(image.pixels, stored)
    assert (image.frames, image.channels) == (True, 3)
    write(image, image.pixels, tmp_path / "out.nii")
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out.nii"))), stored)


def test_nifti_2_is_read_and_written(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti2Image(voxels(7, 9, 3), OBLIQUE), tmp_path / "in.nii")
    image = read(tmp_path / "in.nii")
    assert write(image, image.pixels, tmp_path / "out.nii").read_bytes() == (tmp_path / "in.nii").read_bytes()


def test_two_file_nifti_is_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(voxels(7, 9), OBLIQUE), tmp_path / "pair.hdr")
    with pytest.raises(InputError, match=r"pair\.hdr: .*single \.nii"):
        read(tmp_path / "pair.hdr")


def test_without_nibabel_the_user_is_told_what_to_install(tmp_path: Path) -> None:
    save(tmp_path / "in.nii", voxels(7, 9))
    # A fresh interpreter in which nibabel cannot be found, as on a machine with the core install.
    script = (
        "import sys; sys.modules['nibabel'] = None\n"
        "from lowlight.errors import DependencyError\n"
        "from lowlight.imaging import read\n"
        "try: read(sys.argv[1])\n"
        "except DependencyError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", script, str(tmp_path / "in.nii")], capture_output=True, text=True)
    assert "pip install lowlight-enhance[bundle]" in told.stdout


DERIVATION = (
    "Enhanced with LowLightEnhance 0.1.0 (weights 0123456789abcdef), brightness 1, denoise 0.5: brightness, contrast "
    "and noise changed; not for quantitative use"
)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize(
    ("derivation", "stored"),
    [
        (DERIVATION, b"Enhanced with LowLightEnhance 0.1.0; not for quantitative use"),
        ("Enhanced", b"Enhanced"),
        ("brighter " * 20, b" ".join([b"brighter"] * 8)),
        ("x" * 200, b"x" * 79),
    ],
)
def test_what_was_done_stands_in_the_description_and_nowhere_else(
    derivation: str, stored: bytes, version: Any, order: str, tmp_path: Path
) -> None:
    volume = version(voxels(8, 9, 3), OBLIQUE)
    volume.header["descrip"] = b"an earlier program, with a longer text than the new one has"
    header = volume.header if order == "<" else volume.header.as_byteswapped(order)
    version(voxels(8, 9, 3), OBLIQUE, header).to_filename(tmp_path / "in.nii")
    image = read(tmp_path / "in.nii")
    result = write(image, image.pixels, tmp_path / "out.nii", derivation=derivation)
    assert nibabel.load(result).header["descrip"].item() == stored
    before = np.frombuffer((tmp_path / "in.nii").read_bytes(), np.uint8)
    after = np.frombuffer(result.read_bytes(), np.uint8)
    start = 148 if version is nibabel.Nifti1Image else 240
    changed = np.flatnonzero(before != after)
    assert start <= changed.min()
    assert changed.max() < start + 80
