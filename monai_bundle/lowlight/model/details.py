"""Fine detail of an image against the truth: how much of it is there, and how much was invented.

Fidelity measures that average squared differences hardly notice fine detail: it holds a small share of an image's
energy. A method that draws pretty texture where the truth has other texture loses little PSNR, one that smooths
everything away even gains. These two numbers tell both apart.

**Bands.** Detail is what lies between Gaussians of standard deviation `INNER` and `OUTER` = 0.6 and 4.8 px, in three
octaves (0.6 to 1.2, 1.2 to 2.4, 2.4 to 4.8 px). They answer to structures of about 1.5 to 12 px across: hairs, vessels,
microcalcifications, trabeculae, pores. Finer is the noise of single pixels, coarser is shape and shading, which PSNR
and SSIM judge well.

**Brightness fit.** Before, the output is put through the one increasing curve that gives its low frequencies
(Gaussian of 4.8 px) the distribution of the truth's: exact histogram specification at `KNOTS` quantiles, joined by a
monotone cubic. So a mere difference of brightness, contrast or gamma costs nothing; `contrast` and PSNR judge that.

**Detail fidelity** is Pearson's correlation of the whole band, ``sum(o t) / sqrt(sum(o^2) sum(t^2))`` with o the detail
of the fitted output and t that of the truth: 1 all of it and nothing else, 0 unrelated, negative inverted.

**Spurious detail** is ``sum of (o_k - b_k t_k)^2 over octaves k, by sum of t_k^2``: the energy that the truth does not
explain, over the truth's. The gain ``b_k >= 0`` is fitted in each octave and around each pixel (in a square with a side
of `WINDOW` times the octave's outer standard deviation), because detail that was weakened or strengthened, in one place
or everywhere, is not invented; so blur leaves it near 0. Inverted detail is invented. There is no upper bound: noise of
twice the detail's energy gives about 2.

Both are computed on the mean of the channels. The truth's own noise counts as its detail. To model a band of the result
as a local gain on the reference plus something unrelated is the idea of Sheikh and Bovik's visual information fidelity
(2006); here the unrelated part is not weighed against the eye but reported.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter, uniform_filter

INNER, OUTER = 0.6, 4.8
"""Standard deviations in px of the Gaussians that bound the band of detail."""

OCTAVES = 3
KNOTS = 33
WINDOW = 14
"""Side of the square in which an octave's gain is fitted, over the octave's outer standard deviation."""

LEAST_DETAIL = 0.25 / 255
"""Root mean square of the truth's detail below which it counts as having none: what rounding to 8 bits leaves."""


class Detail(NamedTuple):
    """What became of the truth's detail.

    Attributes:
        fidelity: correlation, -1 to 1; 1 restored.
        spurious: unexplained energy over that of the truth, >= 0; 0 nothing invented.
    """

    fidelity: float
    spurious: float


def compare_detail(output: NDArray[Any], truth: NDArray[Any]) -> Detail | None:
    """Measure the detail of an output against that of the truth.

    Args:
        output, truth: (H, W) or (H, W, 3), float, black 0 and white 1, of one height and width.

    Returns:
        The two numbers; None where the truth has no detail (`LEAST_DETAIL`), of which nothing can be kept.
    """
    wanted, given = _grey(truth), _grey(output)
    true_octaves = octaves(wanted)
    energy = sum(float(np.square(octave).sum()) for octave in true_octaves)
    whole = np.sum(true_octaves, axis=0)
    if np.sqrt(np.square(whole).mean()) < LEAST_DETAIL:
        return None
    octaves_found = octaves(fit_brightness(given, wanted))
    found = np.sum(octaves_found, axis=0)
    norm = float(np.sqrt(np.square(found).sum() * np.square(whole).sum()))
    # What rounding leaves of a flat output would correlate by chance.
    flat = np.abs(found).max() < 1e-9
    fidelity = 0.0 if flat else float((found * whole).sum()) / norm
    unexplained = sum(
        float(np.square(_unexplained(mine, theirs, round(WINDOW * scale))).sum())
        for mine, theirs, scale in zip(octaves_found, true_octaves, _scales()[1:], strict=True)
    )
    return Detail(fidelity, unexplained / energy)


def octaves(image: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The detail of a grey image (H, W), from fine to coarse; its sum is the whole band."""
    smoothed = [gaussian_filter(image, scale, mode="nearest") for scale in _scales()]
    return [fine - coarse for fine, coarse in pairwise(smoothed)]


def fit_brightness(output: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """A grey output (H, W) put through the increasing curve that gives its low frequencies the truth's distribution."""
    shares = np.linspace(0, 1, KNOTS)
    given = np.quantile(gaussian_filter(output, OUTER, mode="nearest"), shares)
    wanted = np.quantile(gaussian_filter(truth, OUTER, mode="nearest"), shares)
    # Equal quantiles (a black border, white clipping) are one point of the curve.
    where = np.unique(np.round(given, 4), return_inverse=True)[1]
    levels, targets = (np.bincount(where, values) / np.bincount(where) for values in (given, wanted))
    if len(levels) < 2:
        return output - levels[0] + targets[0]
    curve = PchipInterpolator(levels, targets)
    inside = curve(np.clip(output, levels[0], levels[-1]))
    # Beyond what low frequencies reach, the mean slope: a cubic's end would be arbitrary.
    slope = (targets[-1] - targets[0]) / (levels[-1] - levels[0])
    return inside + slope * (output - np.clip(output, levels[0], levels[-1]))


def _unexplained(mine: NDArray[np.float64], theirs: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """What is left of one octave once the other, with its best gain >= 0 around each pixel, is taken away."""
    shared = uniform_filter(mine * theirs, side, mode="nearest")
    energy = uniform_filter(theirs * theirs, side, mode="nearest")
    gain = np.maximum(shared, 0) / np.maximum(energy, 1e-12)
    return mine - gain * theirs


def _scales() -> list[float]:
    return [INNER * (OUTER / INNER) ** (step / OCTAVES) for step in range(OCTAVES + 1)]


def _grey(image: NDArray[Any]) -> NDArray[np.float64]:
    values = np.asarray(image, np.float64)
    return values.mean(-1) if values.ndim == 3 else values
