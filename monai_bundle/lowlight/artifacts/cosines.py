"""The cosine transform that JPEG codes blocks by, as a matrix. SciPy has it too, but takes a third of a second to load,
for which whoever enhances one image waits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cosine_transform(size: int) -> NDArray[np.float64]:
    """The orthonormal discrete cosine transform of type II of `size` values: (size frequencies, size places).

    Of a square block B it gives C B C^T (ITU-T T.81, A.3.3).
    """
    frequencies, places = np.mgrid[:size, :size]
    rows: NDArray[np.float64] = np.sqrt(2 / size) * np.cos(np.pi * frequencies * (2 * places + 1) / (2 * size))
    rows[0] = np.sqrt(1 / size)
    return rows
