"""Blur: how wide it is, and whether the image was out of focus or moved.

The gradient energy of an image is measured in six bands, from the finest that pixels hold to structures of some 5 px.
Scenes share a law, a power spectrum that falls as a power of the frequency (Field, Journal of the Optical Society of
America A 4(12), 1987); a blur multiplies it by a bell, and white noise adds a floor. Light only scales the whole. So

    energy of band l = A * mean over f of H_l(f) |f|^-alpha exp(-4 pi^2 sigma^2 |f|^2)  +  v * mean over f of H_l(f)

is fitted to the six energies. Contrast A and noise variance v (known roughly) are linear and solved for; width sigma
and exponent alpha are tried on a grid, and the width reported is the mean over all that fits, weighted by how well. A
band in which noise drowns the scene loses its say by itself, so the width stays when an image darkens; where too few
bands are left, the width is spread over much of the grid and said to be untold. That energies of differently smoothed
copies tell a width whatever the contrast is the idea behind re-blurring (Zhuo and Sim, Pattern Recognition 44(9),
2011), here for the whole image instead of single edges.

The same fit to the energies along six directions tells motion from defocus: motion blurs along one of them only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.measurement import Measurement
from lowlight.artifacts.noise import Noise, estimate_noise

Kind = Literal["none", "defocus", "motion", "unknown"]
Floats = NDArray[np.float64]
Pixels = NDArray[np.float32]

SHARP = 0.6
"""Below this width (px) an image counts as sharp: what lens, pixel and resampling leave in a good image."""

SMALLEST_SIDE = 24

WIDTHS = np.concatenate([np.arange(0.0, 4.0, 0.1), np.arange(4.0, 8.01, 0.25)])
EXPONENTS = np.arange(1.2, 4.01, 0.2)
DIRECTIONS = np.arange(0.0, 180.0, 30.0)

# Fitted on undamaged images blurred by known widths: how exponents are spread, and how well the law holds in a band.
_EXPONENT = 2.7
_EXPONENT_SPREAD = 0.55
_MISFIT = 0.07
_NOISE_DOUBT = 0.15  # relative error of a noise variance that was estimated
_ROUNDING = 1 / 12 / 255**2
_LEAST_SPREAD, _LARGEST_SPREAD = 0.45, 0.55  # px, and share of the width: a wider posterior says nothing
# Noise that impulses or compression coloured breaks the law, and would pass for detail that no blur has touched. Beyond
# these lie 1 in 12 undamaged images and 6 in 7 of those with every damage at medium severity.
_LARGEST_MISFIT = 15.0
_SMALLEST_EXPONENT = 1.4
_FEWEST_PLACES = 100
_MARGIN = 0.95  # share of valid pixels around a place (standard deviation 4 px) for it to count
_MOVED, _ROUND = 0.4, 0.3  # share of the variance that depends on direction: more is motion, less is defocus
_TILE, _MOST_TILES = 512, 3


@dataclass(frozen=True)
class Blur:
    """How blurred an image is.

    Attributes:
        width: standard deviation of the Gaussian that blurs as much, px, 0 to 8; of a motion of length L, L / sqrt(24).
            It is that of the whole picture, so a soft scene counts too. Missing where noise or lack of structure hides
            it, and where impulses or compressed noise make the fine structure another than a scene's.
        kind: ``none`` (sharp), ``defocus`` (the same in all directions), ``motion``, or ``unknown``: between the two,
            or no width.
        direction: of the motion, degrees in [0, 180): 0 along the rows, 90 along the columns (downwards); missing
            unless the kind is ``motion``.
    """

    width: Measurement
    kind: Kind
    direction: Measurement


def estimate_blur(
    luminance: NDArray[np.floating], valid: NDArray[np.bool_] | None = None, noise: Noise | None = None
) -> Blur:
    """How wide the blur of an image is, of which kind, and along which direction.

    Args:
        luminance: (H, W), 0 black and 1 white; only contrasts count.
        valid: (H, W), False where pixels are not to be judged: borders, and single pixels such as impulses, which are
            filled in from their neighbours. Impulses that are not marked look like sharp detail.
        noise: that of the image; estimated if not given.

    Returns:
        The width, or why it cannot be told: smaller than 24 px a side, no structure, too much noise, or noise that
        impulses or compression coloured.

    Example:
        >>> from scipy.ndimage import gaussian_filter
        >>> from skimage.data import camera
        >>> blur = estimate_blur(gaussian_filter(camera() / 255, 2.0))
        >>> f"{blur.width.value:.0f} {blur.width.unit}, {blur.kind}"
        '2 px, defocus'
    """
    pixels = np.asarray(luminance, np.float32)
    if min(pixels.shape) < SMALLEST_SIDE:
        return _untold(f"smaller than {SMALLEST_SIDE} px a side")
    tensors, signal = _tensors_of_tiles(pixels, None if valid is None or np.all(valid) else np.asarray(valid, bool))
    if tensors is None:
        return _untold("too few valid pixels away from the border")
    variance = _mean_variance(noise if noise is not None else estimate_noise(luminance, valid), signal)
    if not _stands_out(tensors, variance):
        return _untold("no structure stands out from the noise")
    fit = fit_directions(tensors, variance)
    if not fit.lawful:
        return _untold("noise, impulses or compression cover the fine structure")
    if fit.spread > max(_LEAST_SPREAD, _LARGEST_SPREAD * fit.width):
        return _untold("noise hides the fine structure that would tell")
    kind = _kind_of(fit)
    direction = Measurement(fit.direction, "degrees") if kind == "motion" else _no_direction()
    return Blur(Measurement(fit.width, "px"), kind, direction)


def _untold(reason: str) -> Blur:
    return Blur(Measurement.missing("px", reason), "unknown", _no_direction())


def _no_direction() -> Measurement:
    return Measurement.missing("degrees", "no motion was found")


def _mean_variance(noise: Noise, mean: float) -> float:
    """Variance of the noise and of rounding to 8 bit, over the whole image; without an estimate, of rounding alone."""
    variance = _ROUNDING
    if noise.read_sigma.value is not None and noise.poisson_slope.value is not None:
        variance += noise.read_sigma.value**2 + noise.poisson_slope.value * max(mean, 0)
    elif noise.sigma.value is not None:
        variance += noise.sigma.value**2
    return variance


def _stands_out(tensors: Floats, variance: float) -> bool:
    floor = variance * band_model()[1]
    return bool((_mean_energies(tensors) - floor > 2 * _NOISE_DOUBT * floor).any())


# The bands


def _tensors_of_tiles(pixels: Pixels, valid: NDArray[np.bool_] | None) -> tuple[Floats | None, float]:
    """Mean gradient products over tiles spread over the image, None if too few places count; and their mean signal."""
    total, signal, places_counted = np.zeros((6, 3)), 0.0, 0
    for rows in _spans(pixels.shape[0]):
        for columns in _spans(pixels.shape[1]):
            tile, places = np.ascontiguousarray(pixels[rows, columns]), None
            if valid is not None and not valid[rows, columns].all():
                tile, places = _filled(tile, valid[rows, columns])
            halved = tile[::2, ::2]
            counted = halved.size if places is None else int(places.sum())
            if counted:
                total += counted * band_tensors(tile, places)
                signal += float((halved if places is None else halved[places]).sum())
                places_counted += counted
    if places_counted < _FEWEST_PLACES:
        return None, 0.0
    return total / places_counted, signal / places_counted


def _spans(length: int) -> list[slice]:
    """Up to three spans of at most 512 px, evenly spread: what lies between them in a large image tells no more."""
    count = min(-(-length // _TILE), _MOST_TILES)
    starts = np.linspace(0, max(length - _TILE, 0), count).astype(int)
    return [slice(int(start), int(start) + _TILE) for start in starts]


def _mean_energies(tensors: Floats) -> Floats:
    return tensors[:, :2].mean(1)


def smooth(pixels: Pixels, spacing: int = 1) -> Pixels:
    """A binomial blur of variance spacing^2 (px^2) in each direction, edges repeated."""
    reach = 2 * spacing
    for _ in range(2):
        length = len(pixels)
        padded = np.pad(pixels, ((reach, reach), (0, 0)), mode="edge")
        blurred = padded[reach : reach + length] * np.float32(0.375)
        blurred += np.float32(0.25) * (padded[spacing : spacing + length] + padded[3 * spacing : 3 * spacing + length])
        blurred += np.float32(0.0625) * (padded[:length] + padded[4 * spacing :])
        pixels = np.ascontiguousarray(blurred.T)
    return pixels


def band_tensors(pixels: Pixels, places: NDArray[np.bool_] | None = None) -> Floats:
    """Mean products of the gradient in six bands, fine to coarse: (6, 3), down^2, across^2 and down * across.

    Args:
        pixels: (H, W).
        places: which of every second pixel both ways count, (ceil(H / 2), ceil(W / 2)); None: all.
    """
    fine = smooth(pixels)
    medium = smooth(fine)
    coarse = smooth(np.ascontiguousarray(fine[::2, ::2]))
    coarser = smooth(coarse)
    coarsest = smooth(coarse, 2)
    bands = [(pixels, 1, 2), (fine, 1, 2), (medium, 1, 2), (coarse, 1, 1), (coarser, 1, 1), (coarsest, 2, 1)]
    return np.array([_mean_products(*_differences(*band), places) for band in bands])


def _differences(pixels: Pixels, spacing: int, every: int) -> tuple[Pixels, Pixels]:
    """Differences of neighbours ``spacing`` px to either side, down and across, at every so many pixels."""
    padded = np.pad(pixels, spacing, mode="edge")
    inner, ahead, behind = slice(spacing, -spacing), slice(2 * spacing, None), slice(None, -2 * spacing)
    rows, columns = padded[:, inner], padded[inner]
    down = rows[ahead][::every, ::every] - rows[behind][::every, ::every]
    across = columns[:, ahead][::every, ::every] - columns[:, behind][::every, ::every]
    return down, across


def _mean_products(down: Pixels, across: Pixels, places: NDArray[np.bool_] | None) -> tuple[float, float, float]:
    down, across = (down.ravel(), across.ravel()) if places is None else (down[places], across[places])
    products = np.dot(down, down), np.dot(across, across), np.dot(down, across)
    return tuple(float(product) / len(down) for product in products)  # type: ignore[return-value]


def _filled(pixels: Pixels, valid: NDArray[np.bool_]) -> tuple[Pixels, NDArray[np.bool_]]:
    """The image with invalid pixels filled in from around them, and the places (of every second) that count."""
    weight = valid.astype(np.float32)
    share = smooth(weight)
    mean = float((pixels * weight).sum() / max(weight.sum(), 1))
    around = (smooth(pixels * weight) + np.float32(1e-3 * mean)) / (share + np.float32(1e-3))
    near = smooth(smooth(smooth(share[::2, ::2]), 2))
    return np.where(valid, pixels, around), near > _MARGIN


# The fit


@cache
def band_model() -> tuple[Floats, Floats]:
    """Energy of the bands for contrast 1, (widths, exponents, 6), and for white noise of variance 1, (6,)."""
    frequency = (np.arange(64) + 0.5) / 128
    transfer = []
    for spacings, reach in (((), 1), ((1,), 1), ((1, 1), 1), ((1, 2), 2), ((1, 2, 2), 2), ((1, 2, 4), 4)):
        passed = np.ones(64)
        for spacing in spacings:
            passed = passed * np.cos(np.pi * frequency * spacing) ** 8
        difference = 4 * np.sin(2 * np.pi * frequency * reach) ** 2
        transfer.append(np.outer(difference * passed, passed).ravel())
    square = np.add.outer(frequency**2, frequency**2).ravel()
    bell = np.exp(-4 * np.pi**2 * WIDTHS[:, None] ** 2 * square)
    scene = np.stack([(bell * square ** (-alpha / 2)) @ np.transpose(transfer) for alpha in EXPONENTS], axis=1)
    # The scale of a scene is free; numbers near 1 keep the sums below well conditioned.
    return scene / scene[0].mean(-1)[None, :, None], np.mean(transfer, axis=1)


@dataclass(frozen=True)
class BandFit:
    """Fits of the law to N sets of band energies; each attribute (N,).

    Attributes:
        width, spread: mean and standard deviation of the width over what fits, px.
        exponent: mean of the scene's exponent.
        misfit: squared distance of the best fit, in units of the errors allowed; about 2 where the law holds.
    """

    width: Floats
    spread: Floats
    exponent: Floats
    misfit: Floats


def fit_bands(energies: Floats, variance: float) -> BandFit:
    """Widths that explain band energies.

    Args:
        energies: (N, 6), of the bands.
        variance: that of the noise, within 15 % or so.
    """
    scene, white = band_model()
    floor = variance * white
    doubt = _NOISE_DOUBT * variance
    error = np.hypot(_MISFIT * np.maximum(energies - floor, 0), 0.01 * energies + 0.003 * floor)
    weight = error**-2.0
    scene_scene = np.einsum("wal,wal,nl->nwa", scene, scene, weight)
    scene_white = np.einsum("wal,l,nl->nwa", scene, white, weight)
    scene_found = np.einsum("wal,nl,nl->nwa", scene, energies, weight)
    white_white = (weight @ white**2 + doubt**-2)[:, None, None]
    white_found = ((weight * energies) @ white + variance / doubt**2)[:, None, None]
    determinant = scene_scene * white_white - scene_white**2
    contrast = np.maximum((scene_found * white_white - scene_white * white_found) / determinant, 0)
    level = np.maximum((scene_scene * white_found - scene_white * scene_found) / determinant, 0)
    misfit = contrast**2 * scene_scene + 2 * contrast * level * scene_white + level**2 * white_white
    misfit -= 2 * contrast * scene_found + 2 * level * white_found
    misfit += ((weight * energies**2).sum(1) + (variance / doubt) ** 2)[:, None, None]
    logarithm = -0.5 * misfit - 0.5 * ((EXPONENTS - _EXPONENT) / _EXPONENT_SPREAD) ** 2
    likelihood = np.exp(logarithm - logarithm.max((1, 2), keepdims=True)) * np.gradient(WIDTHS)[:, None]
    likelihood /= likelihood.sum((1, 2), keepdims=True)
    by_width = likelihood.sum(2)
    mean = by_width @ WIDTHS
    return BandFit(
        width=mean,
        spread=np.sqrt(np.maximum(by_width @ WIDTHS**2 - mean**2, 0)),
        exponent=likelihood.sum(1) @ EXPONENTS,
        misfit=misfit.min((1, 2)),
    )


# The kind


@dataclass(frozen=True)
class Fit:
    """What the bands of an image say about its blur.

    Attributes:
        width: over all directions, px; spread: its uncertainty, px.
        lawful: the energies follow the law of scenes at all.
        uneven: share of the blur's variance that depends on the direction.
        direction: of most blur, degrees in [0, 180).
    """

    width: float
    spread: float
    lawful: bool
    uneven: float
    direction: float


def fit_directions(tensors: Floats, variance: float) -> Fit:
    """The blur of an image, from its band tensors (6, 3) and the variance of its noise.

    A line of direction m adds cos^2(d - m) of its variance to that along d, so a cosine of twice the angle is fitted to
    the variances along the directions.
    """
    angle = np.radians(DIRECTIONS)
    along = tensors @ np.array([np.sin(angle) ** 2, np.cos(angle) ** 2, np.sin(2 * angle)])
    energies = np.maximum(np.vstack([_mean_energies(tensors), along.T]), 0)
    fits = fit_bands(energies, variance)
    variances = fits.width[1:] ** 2
    even, cosine, sine = (
        variances.mean(),
        2 * np.mean(variances * np.cos(2 * angle)),
        2 * np.mean(variances * np.sin(2 * angle)),
    )
    return Fit(
        width=math.sqrt(even),
        spread=float(fits.spread[0]),
        lawful=bool(fits.misfit[0] < _LARGEST_MISFIT and fits.exponent[0] > _SMALLEST_EXPONENT),
        uneven=math.hypot(cosine, sine) / max(float(even), 1e-9),
        direction=math.degrees(math.atan2(sine, cosine)) / 2 % 180,
    )


def _kind_of(fit: Fit) -> Kind:
    if fit.width < SHARP:
        return "none"
    if fit.uneven > _MOVED:
        return "motion"
    return "defocus" if fit.uneven < _ROUND else "unknown"
