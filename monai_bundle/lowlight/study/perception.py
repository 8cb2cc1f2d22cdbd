"""What can be seen in a picture: a model of contrast sensitivity and noise masking, for simulated readers.

The picture is shown on a display of 1 to 400 cd/m2 (gamma 2.2) with pixels of 0.2 mm seen from 0.5 m. In four bands an
octave apart, contrast is taken relative to the local mean luminance (Peli, J. Opt. Soc. Am. A 7, 1990) and weighted by
the contrast sensitivity of Mannos and Sakrison (IEEE Trans. Inf. Theory 20, 1974). White noise, measured in the finest
band, is taken off the contrast of each band and raises its threshold: the energy at threshold grows linearly with that
of the noise (Pelli, Effects of visual noise, 1981). The model is a coarse one; it ranks versions of an image plausibly
and is no substitute for a reader.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

DARKEST, BRIGHTEST, GAMMA = 1.0, 400.0, 2.2
"""Luminance of the display in cd/m2, and its gamma."""

DEGREES_PER_PIXEL = float(np.degrees(0.2 / 500))
SCALES = (1.0, 2.0, 4.0, 8.0)
"""Standard deviation in pixels of the finer Gaussian of each band."""

EQUIVALENT_NOISE = 0.02
"""Contrast of external noise that doubles the energy at threshold: what the eye has of its own."""

LONGEST_SIDE = 512
"""Larger pictures are judged at this size, as they are when they fit a screen."""


@dataclass(frozen=True)
class Seen:
    """What a picture offers.

    Attributes:
        structure: natural logarithm of the visible contrast of structures, in units of the threshold.
        noise: natural logarithm of 1 + the visible contrast of noise in the same units.
        brightness: mean of the natural logarithm of luminance in cd/m2.
    """

    structure: float
    noise: float
    brightness: float


def see(picture: NDArray[np.unsignedinteger]) -> Seen:
    """Judge a picture (H, W) or (H, W, 3), uint8 or uint16, as it is displayed."""
    shown = picture.astype(np.float64) / np.iinfo(picture.dtype).max
    grey = shown if shown.ndim == 2 else shown @ np.array([0.299, 0.587, 0.114])
    factor = max(1, -(-max(grey.shape) // LONGEST_SIDE))
    height, width = (max(1, side // factor) for side in grey.shape)
    grey = grey[: height * factor, : width * factor].reshape(height, factor, width, factor).mean((1, 3))
    luminance = DARKEST + (BRIGHTEST - DARKEST) * grey**GAMMA
    blurred = [gaussian_filter(luminance, scale) for scale in (*SCALES, 2 * SCALES[-1])]
    bands = [(fine - coarse) / coarse for fine, coarse in zip([luminance, *blurred[:-1]], blurred, strict=True)]
    noise_finest = float(np.median(np.abs(bands[0]))) / 0.6745
    structure = noise = 0.0
    for scale, band in zip(SCALES, bands[1:], strict=True):
        # White noise of unit variance has so much left in a difference of Gaussians an octave apart.
        passed = np.sqrt(1 / (4 * np.pi * scale**2) + 1 / (16 * np.pi * scale**2) - 2 / (10 * np.pi * scale**2))
        masking = noise_finest * passed
        sensitivity = contrast_sensitivity(0.19 / scale / DEGREES_PER_PIXEL)
        signal = max(float(np.mean(band**2)) - masking**2, 0.0)
        structure += signal * sensitivity**2 / (1 + (masking / EQUIVALENT_NOISE) ** 2)
        noise += (masking * sensitivity) ** 2
    return Seen(
        float(np.log(np.sqrt(structure) / EQUIVALENT_NOISE + 1e-3)),
        float(np.log1p(np.sqrt(noise) / EQUIVALENT_NOISE)),
        float(np.log(luminance).mean()),
    )


def contrast_sensitivity(cycles_per_degree: float) -> float:
    """Relative sensitivity to a spatial frequency (Mannos and Sakrison 1974), about 1 at its peak near 8 per degree."""
    scaled = 0.114 * cycles_per_degree
    return float(2.6 * (0.0192 + scaled) * np.exp(-(scaled**1.1)))
