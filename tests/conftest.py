"""What all tests share: real images that ship with installed packages, and where the bundle lies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from published_bundle import Published, published

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell that starts the tests in the background has them ignore Ctrl-C, and their child processes with them.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests share a small machine: libraries that spin up a thread a core would slow each other down.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Default strengths of whoever runs the tests must not decide what they find.
os.environ["LOWLIGHT_SETTINGS"] = os.devnull

REPOSITORY = Path(__file__).resolve().parent.parent
BUNDLE = REPOSITORY / "monai_bundle"


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundle folder of this checkout."""
    return BUNDLE


@pytest.fixture(scope="session")
def retina() -> np.ndarray:
    """A colour fundus photograph (scikit-image, public domain): uint8 (353, 353, 3)."""
    from skimage import data

    return data.retina()[::4, ::4]


@pytest.fixture(scope="session")
def radiograph_like() -> np.ndarray:
    """A real grey medical slice (CT_small.dcm of pydicom), scaled to its soft-tissue window: uint8 (128, 128)."""
    from pydicom import dcmread
    from pydicom.data import get_testdata_file

    dataset = dcmread(get_testdata_file("CT_small.dcm"))
    values = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return np.clip((values + 600) / 1600 * 255, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def enhancer():
    """The shipped bundle on the CPU, loaded once."""
    from lowlight import Enhancer

    return Enhancer(device="cpu")


@pytest.fixture(scope="session")
def own_bundle(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A copy of the bundle with weights of its own and the model.onnx exported from them; not to be changed."""
    return published(BUNDLE, tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The image collection that acceptance checks use; `make acceptance` names it."""
    folder = Path(os.environ["LOWLIGHT_SHARED"])
    assert (folder / "bench" / "clean").is_dir(), f"no benchmark at {folder}"
    return folder
