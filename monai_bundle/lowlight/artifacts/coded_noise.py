"""The noise that an image had before JPEG took most of it.

`estimate_noise` looks at the highest frequencies of a block, and these are what JPEG rounds away first. How much of
white noise is left there depends on its strength and on the steps of the quantisation table alone, so it can be
tabulated once (benchmarks/fit_coded_noise.py made the table below: noise on mid grey, libjpeg's luminance table) and
looked up backwards. Where next to nothing is left, any noise up to a bound looks alike, and that is what is said then.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lowlight.artifacts.measurement import Measurement
from lowlight.artifacts.noise import RANGE, SLOPE, Noise

QUALITIES = (20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
SIGMAS = (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12)
SEEN = (
    (0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00062, 0.00481, 0.00899, 0.02509),
    (0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00102, 0.00325, 0.00799, 0.01701, 0.05842),
    (0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00238, 0.00460, 0.01249, 0.02935, 0.09900),
    (0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00105, 0.00309, 0.00627, 0.02015, 0.04856, 0.12232),
    (0.00000, 0.00000, 0.00000, 0.00000, 0.00000, 0.00165, 0.00418, 0.00903, 0.03252, 0.06993, 0.13439),
    (0.00000, 0.00000, 0.00000, 0.00000, 0.00124, 0.00241, 0.00677, 0.01643, 0.05275, 0.08713, 0.13497),
    (0.00000, 0.00000, 0.00000, 0.00000, 0.00162, 0.00310, 0.00987, 0.02434, 0.06113, 0.09055, 0.13108),
    (0.00000, 0.00000, 0.00000, 0.00067, 0.00211, 0.00469, 0.01655, 0.03513, 0.06697, 0.08993, 0.12834),
    (0.00000, 0.00000, 0.00042, 0.00125, 0.00343, 0.00809, 0.02595, 0.04391, 0.06735, 0.08642, 0.12494),
    (0.00000, 0.00001, 0.00114, 0.00244, 0.00834, 0.01762, 0.03342, 0.04494, 0.06437, 0.08363, 0.12237),
    (0.00000, 0.00124, 0.00435, 0.00914, 0.01694, 0.02273, 0.03216, 0.04183, 0.06139, 0.08097, 0.12090),
)
"""What is seen of each sigma (column) after compression with each quality (row), of range."""

LEAST_SEEN = 0.001
"""Below this, of range, texture and rounding weigh as much as what is left of the noise."""


def noise_before_coding(seen: Noise, quality: Measurement) -> Noise:
    """The noise before compression, for noise that was measured after it.

    Args:
        seen: what `lowlight.artifacts.noise.estimate_noise` says of the pixels as they are.
        quality: JPEG quality 1 to 100; missing: the image carries no trace of JPEG, and the noise is what it seems.

    Returns:
        Sigma looked up in the table, read noise and slope scaled with it; or, where JPEG left nothing to see, the
        reason, which names the strongest noise that would look the same.
    """
    if quality.value is None or seen.sigma.value is None:
        return seen
    left = _left(quality.value)
    if seen.sigma.value < LEAST_SEEN:
        return _hidden(quality.value, float(np.interp(LEAST_SEEN, left, _sigmas())))
    sigma = _looked_up(seen.sigma.value, left)
    ratio = sigma / seen.sigma.value
    return Noise(
        replace(seen.sigma, value=sigma), _scaled(seen.read_sigma, ratio), _scaled(seen.poisson_slope, ratio**2)
    )


def _sigmas() -> np.ndarray:
    return np.array((0.0, *SIGMAS))


def _left(quality: float) -> np.ndarray:
    """What is seen of no noise and of each of `SIGMAS`; beyond the table, up to 100, it nears the truth."""
    rows = np.vstack([SEEN, SIGMAS])
    row = [np.interp(quality, (*QUALITIES, 100), column) for column in rows.T]
    # Where everything is rounded away the table is flat: a tiny slope keeps it invertible.
    return np.maximum.accumulate(np.array([0.0, *row])) + 1e-9 * np.arange(len(row) + 1)


def _looked_up(seen: float, left: np.ndarray) -> float:
    sigmas = _sigmas()
    if seen >= left[-1]:
        return float(seen * sigmas[-1] / left[-1])
    return float(np.interp(seen, left, sigmas))


def _scaled(number: Measurement, ratio: float) -> Measurement:
    return number if number.value is None else replace(number, value=number.value * ratio)


def _hidden(quality: float, bound: float) -> Noise:
    reason = f"JPEG of quality {quality:.0f} hides noise below {100 * bound:.2g} % of the range"
    missing = Measurement.missing(RANGE, reason)
    return Noise(missing, missing, Measurement.missing(SLOPE, reason))
