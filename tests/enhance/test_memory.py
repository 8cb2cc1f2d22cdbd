"""Memory can be bounded: smaller tiles, the same result, and plain words where there are none small enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measured_process import Measured, measured
from skimage import data

from lowlight import Enhancer
from lowlight.enhance.tiling import Tiling
from lowlight.errors import BundleError
from lowlight.imaging import read, write_png


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph of 1800 x 1800 pixels with a fifth of its light, 16 bits."""
    scene = np.pad(data.retina()[..., 1], 200, mode="reflect")[:1800, :1800]
    path = tmp_path_factory.mktemp("dark") / "dark.png"
    return write_png((scene / 255 * 0.2 * 65535).astype(np.uint16), path)


def enhanced(image: Path, out: Path, *options: str) -> Measured:
    """`lowlight enhance`, whatever the image is judged to be."""
    return measured("enhance", str(image), "-o", str(out), "--force", *options)


def test_a_process_keeps_within_its_memory_and_makes_the_same(dark: Path, tmp_path: Path) -> None:
    free = enhanced(dark, tmp_path / "free.png").most
    bounded = enhanced(dark, tmp_path / "bounded.png", "--max-memory", "350MB").most
    assert bounded < 350e6 < free
    # As 16-bit values; engines and tiles agree to 1e-4 of the range.
    first, second = (read(tmp_path / f"{name}.png").pixels.astype(np.float64) for name in ("free", "bounded"))
    assert np.abs(first - second).max() <= 1e-4 * np.iinfo(np.uint16).max + 1


def test_an_image_that_is_too_large_for_it_is_refused_in_words(dark: Path, tmp_path: Path) -> None:
    told = enhanced(dark, tmp_path / "out.png", "--max-memory", "200MB").told
    assert "needs 0.3 GB of memory" in told
    assert "Traceback" not in told
    assert not (tmp_path / "out.png").exists()


def test_what_is_no_size_is_told_at_once(dark: Path, tmp_path: Path) -> None:
    told = enhanced(dark, tmp_path / "out.png", "--max-memory", "much").told
    assert "much is not a number" in " ".join(told.split())


@pytest.mark.parametrize("options", [{"engine": "torch"}, {"device": "cuda"}])
def test_only_what_can_be_bounded_is(options: dict[str, str]) -> None:
    with pytest.raises(BundleError, match="can be bounded"):
        Enhancer(max_memory=10**9, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("bound", ["800MB", 0, -1, 1.5, True])
def test_what_is_no_number_of_bytes_is_refused(bound: object) -> None:
    with pytest.raises(ValueError, match="positive whole number of bytes"):
        Enhancer(max_memory=bound)  # type: ignore[arg-type]


def test_tiles_grow_with_what_is_allowed() -> None:
    tiling = Tiling()
    assert tiling.fitting(10**9) == tiling
    assert tiling.fitting(1000 * 1000).tile == 768
    assert tiling.fitting(0) == tiling.frugal
