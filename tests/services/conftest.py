"""One warm worker for all tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from worker_runs import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """A running worker; each test leaves it ready for the next."""
    with Worker() as running:
        running.hello()
        yield running


@pytest.fixture(scope="session")
def dark(radiograph_like: np.ndarray) -> np.ndarray:
    """A real grey slice with a quarter of its light: uint8 (128, 128)."""
    return np.rint(255 * 0.25 * (radiograph_like / 255) ** 1.5).astype(np.uint8)


@pytest.fixture(scope="session")
def dark_colour(retina: np.ndarray) -> np.ndarray:
    """A real colour photograph with a quarter of its light: uint8 (353, 353, 3)."""
    return np.rint(255 * 0.25 * (retina / 255) ** 1.5).astype(np.uint8)
