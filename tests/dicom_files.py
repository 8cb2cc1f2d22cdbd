"""DICOM files that ship with pydicom, changed ones, and hostile ones."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import UltrasoundImageStorage


def shipped(name: str) -> Path:
    """A file that ships with pydicom."""
    path = get_testdata_file(name, download=False)
    assert path is not None, name
    return Path(str(path))


def changed(path: Path, name: str = "examples_rgb_color.dcm", **elements: Any) -> Path:
    """A shipped file with some elements set (None: removed), whatever pydicom thinks of the values."""
    dataset = pydicom.dcmread(shipped(name))
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            with pydicom.config.disable_value_validation():
                setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pydicom.config.disable_value_validation():
        dataset.save_as(path)
    return path


def grey_clip(folder: Path, count: int = 4, **elements: Any) -> list[Path]:
    """A clip of single frames of a real image (examples_overlay.dcm), each a little darker than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    source = pydicom.dcmread(shipped("examples_overlay.dcm"))
    frame = source.pixel_array[::4, ::4]
    paths = []
    for number in range(count):
        dataset = Dataset()
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "StudyDate"):
            dataset[keyword] = source[keyword]
        dataset.SOPClassUID, dataset.SOPInstanceUID = (
            UltrasoundImageStorage,
            f"1.2.826.0.1.3680043.8.498.7.{number + 1}",
        )
        dataset.Modality, dataset.InstanceNumber, dataset.AcquisitionNumber = "US", number + 1, 1
        dataset.Rows, dataset.Columns = frame.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.PixelData = (frame // (4 + number)).astype("<u2").tobytes()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        # Later frames come first in the folder: their order is in the files.
        path = folder / f"{count - number:02}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def rle_bomb(path: Path) -> Path:
    """An RLE image whose header claims 60000 x 60000 pixels."""
    return changed(path, "MR_small_RLE.dcm", Rows=60000, Columns=60000)


def deflate_bomb(path: Path, size: int = 1_000_000) -> Path:
    """Deflated zeros of about ``size`` bytes, which would unpack to a thousand times as much."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    # Pixel data of 2 GB, as an element says that is never read.
    header = packer.compress(b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", 2_000_000_000)) + packer.flush(
        zlib.Z_FULL_FLUSH
    )
    # After a full flush the packer forgets what came before: its output can be repeated.
    zeros = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    content = header + zeros * (size // len(zeros)) + packer.flush()
    path.write_bytes(_meta(shipped("image_dfl.dcm").read_bytes()) + content)
    return path


def nested(path: Path, depth: int = 20_000) -> Path:
    """Sequences in sequences, all of undefined length, none of them ever closed."""
    level = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(_meta(shipped("CT_small.dcm").read_bytes()) + level * depth)
    return path


def _meta(content: bytes) -> bytes:
    """Preamble and file meta information of a file."""
    (length,) = struct.unpack_from("<I", content, 140)
    return content[: 144 + length]


def every_percent(path: Path) -> list[bytes]:
    """The beginnings of a file, cut at every 1 % of its length."""
    content = path.read_bytes()
    return [content[: len(content) * percent // 100] for percent in range(100)]


def stored(path: Path) -> np.ndarray:
    """The pixels as stored."""
    return pydicom.dcmread(path).pixel_array
