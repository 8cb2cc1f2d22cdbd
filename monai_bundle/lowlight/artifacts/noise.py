"""Sensor noise, told from texture and from darkness.

White noise has the same energy at every frequency of an 8 x 8 block; what lenses, resampling and earlier compression
leave of a scene has next to none at the highest diagonal ones. So the blocks with the least energy at low frequencies
are picked, and the noise is read off their highest frequencies: the two are independent for white noise, so the pick
does not bias the reading (Ponomarenko, Lukin, Zriakhov, Kaarna and Astola, "An automatic approach to lossy compression
of AVIRIS images", IGARSS 2007). Blocks are grouped by brightness, each group gives one point of the noise level
function ``variance = read^2 + slope * signal``, and a line with non-negative coefficients goes through the points (Foi,
Trimeche, Katkovnik and Egiazarian, IEEE Transactions on Image Processing 17(10), 2008). Groups next to black or white
lose part of their noise to clipping; the part follows from how far they lie from it (Foi, Signal Processing 89(12),
2009).

What is measured is the white part of the noise. JPEG and any smoothing remove it at exactly the frequencies looked at,
so after them the number says how much noise is left there: of sigma 0.02 in grey two fifths after quality 85 and a
tenth after 60; above 90 the steps of the coding leave about as much as they take. `lowlight.artifacts.coded_noise`
looks up what was there before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.cosines import cosine_transform
from lowlight.artifacts.measurement import SINGLE_VALUE, Measurement, single_valued

RANGE = "of range"
SLOPE = "of range per unit of signal"

BLOCK = 8
# Overlapping blocks repeat themselves; beyond this many, an image says nothing new.
MOST_BLOCKS = 16384
FEWEST_BLOCKS = 32
GROUPS = 12
# The share of each group's blocks taken for flat: fewer make the reading unsteady, more let texture in. Images smaller
# than this side have fewer to choose from and take more.
FLAT_SHARE = 0.1
MOST_FLAT_SHARE = 0.5
SMALL_SIDE = 256
FEWEST_FLAT = 8
# Blocks nearer to black or white than this share of the exposed range are border or blown out, and say nothing.
MARGIN_SHARE = 0.05
SMALLEST_MARGIN = 0.004
# A signal less than this many standard deviations (as clipped) from black or white leaves too little of the noise.
NEAREST = 1.0
# A group this many of its standard errors above the line is textured throughout; how often the line is drawn anew.
TOO_HIGH = 2.5
REDRAWN = 4
# Of the signal: a narrower span does not tell a slope from a constant.
NARROWEST_SPAN = 0.02
MAP_RADIUS_BLOCKS = 3.0


@dataclass(frozen=True)
class Noise:
    """How noisy an image is, in units of its range (black to white = 1); of a colour image, the mean of its channels.

    Attributes:
        sigma: standard deviation of the noise at the typical (median) signal of the unclipped part, "of range".
        read_sigma: the part that is there without any signal, as a standard deviation, "of range".
        poisson_slope: variance per unit of signal, the photon noise; its inverse is the photons that white stands for.
    """

    sigma: Measurement
    read_sigma: Measurement
    poisson_slope: Measurement


@dataclass(frozen=True)
class _Blocks:
    """What is known of each block: mean signal, noise variance at the highest frequencies, mean energy at the low."""

    signal: NDArray[np.float32]
    variance: NDArray[np.float32]
    texture: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.signal)

    def __getitem__(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> _Blocks:
        return _Blocks(self.signal[chosen], self.variance[chosen], self.texture[chosen])


@dataclass(frozen=True)
class _Levels:
    """Points of the noise level function, how far each is to be trusted, and their relative standard errors."""

    signal: NDArray[np.float64]
    variance: NDArray[np.float64]
    weight: NDArray[np.float64]
    error: NDArray[np.float64]


def estimate_noise(
    luminance: NDArray[np.floating],
    valid: NDArray[np.bool_] | None = None,
    impulses: NDArray[np.bool_] | None = None,
) -> Noise:
    """Read noise, photon noise and the two together, from one image.

    Args:
        luminance: (H, W), display space: 0 black, 1 white, values outside possible; finite. Of a colour image
            `lowlight.artifacts.quantify` gives the mean of the channels, so the noise is that of the mean: where the
            channels' noise is independent, a single channel has up to sqrt(3) = 1.7 times as much.
        valid: (H, W), False where a pixel is not to be judged (padding, scope border); None: all are.
        impulses: (H, W), True where a pixel is known to be salt or pepper (`lowlight.artifacts.impulse`): it says
            nothing about the noise and is passed over. Without it impulses count as noise where they lie densely.

    Returns:
        The three numbers, or why they cannot be told: a constant image, in which noise was either never there or taken
        away; fewer than 32 blocks of 8 x 8 px that are valid and away from black and white; for the two parts, all
        signal at one level. The variance that rounding to the steps of the file adds (step^2 / 12) is taken off. Noise
        of neighbouring pixels that is correlated (JPEG, resampling, demosaicing) is underestimated.

    Example:
        >>> ramp = np.tile(np.linspace(0.2, 0.8, 128), (128, 1))
        >>> noise = estimate_noise(ramp + 0.02 * np.random.default_rng(0).standard_normal(ramp.shape))
        >>> f"{noise.sigma.value:.3f}"
        '0.020'
    """
    if single_valued(luminance, valid):
        return _none(SINGLE_VALUE)
    # A filled pixel carries next to no noise; the others then stand for it.
    filled_share = 0.0 if impulses is None else float(impulses.mean())
    repaired = luminance if impulses is None or not filled_share else _filled(luminance, impulses)
    stride = _stride(luminance.shape)
    blocks, _ = _measure_blocks(repaired, valid, stride)
    blocks = blocks[_exposed(blocks.signal)]
    if len(blocks) < FEWEST_BLOCKS:
        reason = f"fewer than {FEWEST_BLOCKS} blocks of {BLOCK} x {BLOCK} px lie between black and white"
        return _none(reason)
    levels = _noise_levels(blocks, min(1.0, (stride / BLOCK) ** 2))
    if not len(levels.signal):
        return _none("all of the image lies within the noise of black or white")
    read, slope = (number / (1 - filled_share) for number in _line(levels))
    typical = float(np.median(blocks.signal))
    rounding = _rounding_variance(luminance)
    sigma = Measurement(_root(read + slope * typical - rounding), RANGE)
    if np.ptp(levels.signal) < NARROWEST_SPAN:
        reason = "the signal lies at one level"
        return Noise(sigma, Measurement.missing(RANGE, reason), Measurement.missing(SLOPE, reason))
    return Noise(sigma, Measurement(_root(read - rounding), RANGE), Measurement(slope, SLOPE))


def noise_map(luminance: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """The noise from place to place, for display.

    Args:
        luminance: (H, W), display space, finite.
        valid: (H, W), False where a pixel is not to be judged; None: all are.

    Returns:
        (H, W) float32: standard deviation of the noise, of range, smooth over about 50 px and led by the flatter
        blocks; 0 in an image smaller than a block. Neither clipping nor rounding is accounted for: next to black and
        white the map shows what is left of the noise.
    """
    height, width = luminance.shape
    if min(height, width) < BLOCK:
        return np.zeros((height, width), np.float32)
    # SciPy takes a while to load, and few ask for maps.
    from scipy.ndimage import gaussian_filter, zoom

    blocks, kept = _measure_blocks(luminance, valid, BLOCK)
    weight = np.zeros(kept.shape)
    variance = np.zeros(kept.shape)
    weight[kept] = 1 / _energy(blocks) ** 2
    variance[kept] = blocks.variance
    total = gaussian_filter(weight, MAP_RADIUS_BLOCKS, mode="constant")
    spread = gaussian_filter(weight * variance, MAP_RADIUS_BLOCKS, mode="constant")
    local = np.sqrt(np.divide(spread, total, out=np.zeros_like(total), where=total > 0)).astype(np.float32)
    rows, columns = kept.shape
    grown: NDArray[np.float32] = zoom(
        local, (height / rows, width / columns), order=1, mode="nearest", grid_mode=True
    ).astype(np.float32)
    return grown


def _none(reason: str) -> Noise:
    missing = Measurement.missing(RANGE, reason)
    return Noise(missing, missing, Measurement.missing(SLOPE, reason))


def _root(variance: float) -> float:
    return float(np.sqrt(max(variance, 0.0)))


def _filled(luminance: NDArray[np.floating], holes: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The image with each hole filled by the mean of those of its 8 neighbours that are none."""
    filled = luminance.astype(np.float32)
    rows, columns = np.nonzero(holes)
    total, count = np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)
    for down, across in np.ndindex(3, 3):
        row = np.clip(rows + down - 1, 0, holes.shape[0] - 1)
        column = np.clip(columns + across - 1, 0, holes.shape[1] - 1)
        sound = ~holes[row, column]
        total += luminance[row, column] * sound
        count += sound
    known = count > 0
    filled[rows[known], columns[known]] = total[known] / count[known]
    return filled


def _stride(shape: tuple[int, ...]) -> int:
    """Pixels from block to block: half a block, less in small images, more in large ones."""
    area = shape[0] * shape[1]
    return int(np.ceil(np.sqrt(area / MOST_BLOCKS)))


def _basis(chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Rows that turn a flattened block into the chosen coefficients (row, column frequency) of its orthonormal DCT."""
    one = cosine_transform(BLOCK)
    return np.kron(one, one)[chosen.ravel()].astype(np.float32)


_ROW, _COLUMN = np.mgrid[:BLOCK, :BLOCK]
_HIGHEST = _basis((_ROW >= BLOCK - 2) & (_COLUMN >= BLOCK - 2))
_LOW = _basis((_ROW + _COLUMN > 0) & (_ROW + _COLUMN < 6))


def _measure_blocks(
    luminance: NDArray[np.floating], valid: NDArray[np.bool_] | None, stride: int
) -> tuple[_Blocks, NDArray[np.bool_]]:
    """The blocks at every ``stride`` pixels that are valid throughout, and where on that grid they lie."""
    if min(luminance.shape) < BLOCK:
        none = np.zeros(0, np.float32)
        return _Blocks(none, none, none), np.zeros((0, 0), bool)
    windows = np.lib.stride_tricks.sliding_window_view(luminance.astype(np.float32, copy=False), (BLOCK, BLOCK))
    windows = windows[::stride, ::stride]
    if valid is None:
        kept = np.ones(windows.shape[:2], bool)
    else:
        whole = np.lib.stride_tricks.sliding_window_view(valid, (BLOCK, BLOCK))[::stride, ::stride]
        kept = np.asarray(whole.all(axis=(2, 3)))
    pixels = (windows.reshape(-1, BLOCK**2) if kept.all() else windows[kept].reshape(-1, BLOCK**2)).astype(np.float32)
    signal = pixels.mean(axis=1)
    variance = np.square(pixels @ _HIGHEST.T).mean(axis=1)
    texture = np.square(pixels @ _LOW.T).mean(axis=1)
    return _Blocks(signal, variance, texture), kept


def _exposed(signal: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Blocks whose mean is neither black nor white, as seen from the range that the image uses."""
    if not len(signal):
        return np.zeros(0, bool)
    low, high = np.percentile(signal, (5, 95))
    black = max(SMALLEST_MARGIN, MARGIN_SHARE * high)
    white = 1 - max(SMALLEST_MARGIN, MARGIN_SHARE * (1 - low))
    chosen: NDArray[np.bool_] = (signal > black) & (signal < white)
    return chosen


def _energy(blocks: _Blocks) -> NDArray[np.float32]:
    """Energy of texture and noise, at least that of one part in 10^5 of the range, so that it can divide."""
    return np.maximum(np.maximum(blocks.texture, blocks.variance), np.float32(1e-10))


def _noise_levels(blocks: _Blocks, own_share: float) -> _Levels:
    """Signal and noise variance of the flattest blocks of each brightness; a block shares the rest of its pixels."""
    covered = len(blocks) * own_share * BLOCK**2
    share = min(FLAT_SHARE * max(SMALL_SIDE / np.sqrt(covered), 1), MOST_FLAT_SHARE)
    points = []
    for group in np.array_split(np.argsort(blocks.signal), GROUPS):
        count = max(FEWEST_FLAT, int(share * len(group)))
        flat = blocks[group[np.argsort(blocks.texture[group])[:count]]]
        points.append((flat.signal.mean(), flat.variance.mean(), _energy(flat).mean(), len(flat)))
    signal, variance, energy, count = np.array(points, np.float64).T
    distance = np.minimum(signal, 1 - signal) / np.sqrt(np.maximum(variance, 1e-12))
    kept_share = np.interp(distance, _CLIPPED_DISTANCE, _CLIPPED_VARIANCE)
    # A reading's error grows with the energy it was told from, and with what clipping has taken.
    weight = count * (kept_share / energy) ** 2
    usable = distance > NEAREST
    error = np.sqrt(2 / (len(_HIGHEST) * own_share * count))
    return _Levels(signal[usable], (variance / kept_share)[usable], weight[usable], error[usable])


def _clipping() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of unit normal noise clipped at black: mean over standard deviation, and variance, from 0 to 8 sigma above it."""
    height = np.linspace(0, 8, 401)
    density = np.exp(-(height**2) / 2) / np.sqrt(2 * np.pi)
    below = np.array([(1 + math.erf(each / math.sqrt(2))) / 2 for each in height])
    mean = density + height * below
    variance = (1 + height**2) * below + height * density - mean**2
    return mean / np.sqrt(variance), variance


_CLIPPED_DISTANCE, _CLIPPED_VARIANCE = _clipping()


def _line(levels: _Levels) -> tuple[float, float]:
    """Intercept and slope of the line through the noise levels; texture only adds, so what lies far above is let go."""
    weight = levels.weight
    read, slope = _weighted_line(levels.signal, levels.variance, weight)
    for _ in range(REDRAWN):
        model = np.maximum(read + slope * levels.signal, 1e-12)
        excess = np.maximum(levels.variance / model - 1, 0) / (TOO_HIGH * levels.error)
        read, slope = _weighted_line(levels.signal, levels.variance, weight / (1 + excess**4))
    return read, slope


def _weighted_line(
    signals: NDArray[np.float64], variances: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Intercept and slope, neither below 0, of the least-squares line."""
    weight = weights / weights.sum()
    signal, variance = weight @ signals, weight @ variances
    offset = signals - signal
    spread = weight @ offset**2
    slope = float(weight @ (offset * variances) / spread) if spread > 0 else 0.0
    # Where one coefficient would be negative the other alone fits best.
    if slope <= 0:
        return float(variance), 0.0
    if variance < slope * signal:
        return 0.0, float(weight @ (signals * variances) / (weight @ signals**2))
    return float(variance - slope * signal), slope


def _rounding_variance(luminance: NDArray[np.floating]) -> float:
    """What rounding to the file's steps has added, from the smallest step between values that occur."""
    sample = luminance.ravel()[:: max(1, luminance.size // 4096)]
    steps = np.diff(np.unique(sample))
    # Anything finer is the rounding of the arithmetic, not of the file, and too small to matter.
    steps = steps[steps > 1e-5]
    return float(steps.min()) ** 2 / 12 if len(steps) else 0.0
