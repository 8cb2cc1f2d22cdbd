"""Whether an image is dark beyond doubt: the quick look that spares it the long one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.exposure import BORDER_TOLERANCE, display_of, level_of_border, luminance_of, thinned
from lowlight.artifacts.severity import too_dark_to_be_undamaged


def surely_too_dark(
    pixels: NDArray[Any], value_range: tuple[float, float], valid: NDArray[np.bool_] | None = None
) -> bool:
    """Whether an image is so dark that `quantify` cannot judge it undamaged, whatever else it measures.

    A tenth of the work of `quantify`, and SciPy is not loaded for it. Where it says False, nothing is known yet.

    Args:
        pixels, value_range, valid: as for `quantify`.
    """
    luminance = luminance_of(display_of(pixels, value_range))
    border = level_of_border(luminance) if valid is None else None
    if border is not None:
        # Leaving out every pixel as dark as the border, not those alone that belong to it, makes the rest brighter.
        valid = np.abs(luminance - border) > BORDER_TOLERANCE
    judged = thinned(luminance, valid)
    if not judged.size:
        return False
    mean = float(judged.mean(dtype=np.float64))
    if border is not None and border > mean:
        return False
    return too_dark_to_be_undamaged(float(np.percentile(judged, 99)), mean)
