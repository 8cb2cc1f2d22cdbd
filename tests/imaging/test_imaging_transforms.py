"""Images as tensors for MONAI pipelines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage
import tifffile
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from PIL import Image

from lowlight.errors import InputError
from lowlight.imaging import read, write_png
from lowlight.imaging.transforms import ReadImage, ReadImaged

PICTURES = Path(skimage.__file__).parent / "data"


def test_a_colour_photograph_is_channel_first_with_white_at_1() -> None:
    tensor = ReadImage()(PICTURES / "retina.jpg")
    stored = np.asarray(Image.open(PICTURES / "retina.jpg"))
    assert isinstance(tensor, MetaTensor)
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor.numpy(), np.moveaxis(stored, -1, 0) / 255, atol=1e-7)
    assert tensor.max() <= 1


def test_what_is_known_travels_with_the_tensor() -> None:
    item = ReadImaged(keys=["image"])({"image": str(PICTURES / "camera.png"), "label": 3})
    assert item["label"] == 3
    meta = item["image"].meta
    assert meta["filename"] == meta["filename_or_obj"] == str(PICTURES / "camera.png")
    assert (meta["modality"], meta["value_range"]) == ("", (0.0, 255.0))


def test_channels_are_as_in_the_file_or_as_asked() -> None:
    grey, colour = PICTURES / "camera.png", PICTURES / "astronaut.png"
    assert ReadImage()(grey).shape[0] == 1
    assert ReadImage()(colour).shape[0] == 3
    replicated = ReadImage(channels=3)(grey)
    assert replicated.shape[0] == 3
    assert (replicated == replicated[:1]).all()
    luma = ReadImage(channels=1)(colour)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    torch.testing.assert_close(luma.as_tensor()[0], (ReadImage()(colour).as_tensor() * weights).sum(0))


def test_one_frame_of_several_is_taken(tmp_path: Path) -> None:
    stack = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 6, 7), np.uint8) * 10
    tifffile.imwrite(tmp_path / "in.tif", stack, photometric="minisblack")
    assert ReadImage()(tmp_path / "in.tif").unique().tolist() == pytest.approx([0])
    assert ReadImage(frame="middle")(tmp_path / "in.tif").unique().tolist() == pytest.approx([20 / 255])


def test_a_16_bit_image_is_as_dark_as_it_is_unless_the_collection_lost_its_range(tmp_path: Path) -> None:
    write_png(np.array([[0, 1000, 2000]], np.uint16), tmp_path / "dark.png")
    np.testing.assert_allclose(ReadImage()(tmp_path / "dark.png")[0], [[0, 1000 / 65535, 2000 / 65535]], atol=1e-7)
    rescaled = ReadImage(full_range_16bit="own_maximum")(tmp_path / "dark.png")
    np.testing.assert_allclose(rescaled[0], [[0, 0.5, 1]])
    assert rescaled.meta["value_range"] == (0.0, 2000.0)
    write_png(np.array([[0, 100, 200]], np.uint8), tmp_path / "eight.png")
    assert ReadImage(full_range_16bit="own_maximum")(tmp_path / "eight.png").max() < 0.8
    write_png(np.zeros((2, 3), np.uint16), tmp_path / "black.png")
    assert ReadImage(full_range_16bit="own_maximum")(tmp_path / "black.png").max() == 0


def test_a_stated_range_applies_to_every_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.array([[-100, 400]], np.float32), photometric="minisblack")
    np.testing.assert_allclose(ReadImage(value_range=(-100, 400))(tmp_path / "in.tif")[0], [[0, 1]])


def test_normalisation_is_the_same_as_the_readers_own() -> None:
    for name in ("camera.png", "retina.jpg"):
        image = read(PICTURES / name)
        planes = image.normalised()[None] if image.channels == 1 else np.moveaxis(image.normalised(), -1, 0)
        np.testing.assert_allclose(ReadImage()(PICTURES / name).numpy(), planes, atol=1e-7)


def test_a_loader_collates_what_is_read() -> None:
    files = [{"image": PICTURES / name} for name in ("grass.png", "gravel.png")]
    batch = next(iter(DataLoader(Dataset(files, ReadImaged("image")), batch_size=2, num_workers=0)))
    assert batch["image"].shape == (2, 1, 512, 512)


def test_unknown_options_are_named() -> None:
    for options in ({"channels": 2}, {"frame": "last"}, {"full_range_16bit": "guess"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            ReadImage(**options)  # type: ignore[arg-type]


def test_a_bad_file_is_refused_in_the_readers_words(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"a\.png: is empty"):
        ReadImage()(tmp_path / "a.png")


def test_reading_files_loads_neither_torch_nor_monai() -> None:
    script = (
        "import sys\n"
        "from lowlight.imaging import read, write\n"
        "read(sys.argv[1])\n"
        "print([name for name in ('torch', 'monai', 'nibabel', 'SimpleITK', 'pydicom') if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(PICTURES / "camera.png")], capture_output=True, text=True)
    assert ran.stdout == "[]\n", ran.stderr
