"""One server for all tests; each uses images, or readers, that the others leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import changed
from label_runs import Label, running
from PIL import Image
from skimage import data

GOOD = 10
"""Images that fine-tuning is given beside the others."""


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory, dark: np.ndarray, dark_colour: np.ndarray) -> dict[str, Path]:
    """Images of every kind by file name: dark ones, and good photographs. Two bear a patient's name."""
    folder = tmp_path_factory.mktemp("images")
    small = np.ascontiguousarray(dark_colour[::2, ::2])
    Image.fromarray(dark).save(folder / "grey.png")
    Image.fromarray((dark // 2).astype(np.uint8)).save(folder / "darkest.png")
    Image.fromarray(small).save(folder / "colour.png")
    Image.fromarray(small).save(folder / "Mustermann-Erika.png")
    radiograph = {"Modality": "CR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "PixelSpacing": [0.2, 0.3]}
    changed(folder / "radiograph.dcm", "CT_small.dcm", PatientName="Mustermann^Erika", **radiograph)
    changed(folder / "ct.dcm", "CT_small.dcm")
    stack = np.stack([dark, dark[::-1]], axis=-1).astype(np.uint16) * 257
    nibabel.save(nibabel.Nifti1Image(stack, np.diag([0.5, 0.7, 3.0, 1.0])), folder / "stack.nii.gz")
    (folder / "broken.png").write_bytes((folder / "grey.png").read_bytes()[:300])
    photograph = data.coffee()
    for number in range(GOOD):
        part = photograph[number * 15 : number * 15 + 160, number * 30 : number * 30 + 160]
        Image.fromarray(np.ascontiguousarray(part)).save(folder / f"good{number}.png")
    return {path.name: path for path in sorted(folder.iterdir())}


@pytest.fixture(scope="session")
def label(tmp_path_factory: pytest.TempPathFactory, images: dict[str, Path]) -> Iterator[Label]:
    """The server."""
    with running(tmp_path_factory.mktemp("label"), images) as server:
        yield server
