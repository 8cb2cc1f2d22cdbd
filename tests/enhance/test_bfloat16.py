"""The denoise path in numbers of 16 bits: nearly the same image, under the same tone, and it says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from lowlight import Enhancer
from lowlight.enhance import loading, torch_engine
from lowlight.errors import BundleError
from lowlight.model.precision import has_bfloat16

ENGINE = "torch-bfloat16"


@pytest.fixture(autouse=True)
def units(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were units for it: without, torch computes the same, only slowly."""
    monkeypatch.setattr(torch_engine, "has_bfloat16", lambda device: True)


def dark(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return np.clip(255 * 0.25 * (image / 255) ** 1.3 + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", ["default", "fast"])
@pytest.mark.parametrize("colour", [True, False])
def test_the_image_is_nearly_the_same(size: str, colour: bool) -> None:
    image = dark(data.retina()[300:513, 300:550] if colour else data.camera()[:213, :250])
    full, short = (Enhancer(device="cpu", engine=engine, size=size)(image) for engine in ("torch", ENGINE))
    steps = np.abs(full.image.astype(int) - short.image)
    assert 0 < steps.max() <= 3
    assert steps.mean() < 1 / 3
    # What decides on the brightness keeps its digits.
    np.testing.assert_allclose(short.predictions[0].log_gain, full.predictions[0].log_gain, atol=1e-6)
    assert short.predictions[0].log_error.dtype == np.float32
    np.testing.assert_allclose(short.uncertainty, full.uncertainty, rtol=0.1)


def test_grey_stays_grey() -> None:
    grey = np.repeat(dark(data.camera()[:96, :80])[..., None], 3, axis=-1)
    out = Enhancer(device="cpu", engine=ENGINE)(grey).image
    assert np.array_equal(out[..., 0], out[..., 1])
    assert np.array_equal(out[..., 0], out[..., 2])


def test_it_says_so() -> None:
    result = Enhancer(device="cpu", engine=ENGINE, size="fast")(dark(data.camera()[:64, :64]))
    assert result.report["engine"] == ENGINE
    assert "(size fast, precision bfloat16, weights " in result.derivation


def test_without_units_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "has_bfloat16", lambda device: False)
    with pytest.raises(BundleError, match='"cpu" has no units for bfloat16 that torch tells of; use the engine "auto"'):
        Enhancer(device="cpu", engine=ENGINE)


def test_its_memory_cannot_be_bounded() -> None:
    with pytest.raises(BundleError, match='with the engine "onnx"'):
        Enhancer(device="cpu", engine=ENGINE, max_memory=10**9)


def test_it_is_never_chosen_by_itself() -> None:
    assert Enhancer(device="cpu").engine.name == "onnx"
    assert ENGINE in loading.ENGINES


def test_units_are_asked_of_torch() -> None:
    # What a processor has cannot be stated here; other devices than those known have none.
    assert isinstance(has_bfloat16(torch.device("cpu")), bool)
    assert not has_bfloat16(torch.device("meta"))
