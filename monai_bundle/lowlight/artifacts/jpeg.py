"""JPEG damage: how visible the grid of 8 x 8 blocks is, and the quality at which the image was last compressed.

Quality from pixels: a decoder puts every coefficient of a block's cosine transform on a multiple of the step in the
quantisation table; rounding the pixels to 8 bit moves it by a standard deviation of 0.29 from there, no more. So the
coefficients of each frequency are compared with the lattice of each possible step, and the quality whose whole table
explains them best is taken (the likelihood approach of Fan and de Queiroz, IEEE Transactions on Image Processing 12(2),
2003, with the joint use of all frequencies of one scaled table). Darkness does not matter, only that the compression
came last: what resamples, filters or stretches a decoded image wipes the lattice out, and then there is no trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.cosines import cosine_transform
from lowlight.artifacts.measurement import Measurement

BLOCK = 8
QUALITIES = np.arange(1, 101)

# ITU-T T.81, table K.1: what quality 50 of libjpeg stands for.
LUMINANCE_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)

_LEVELS = 255.0
_ROUNDING = 0.29  # standard deviation that rounding to whole levels gives a coefficient of an orthonormal transform
_DISTURBED = 1.0  # the same where a colour was clipped, which a luminance does not show
_OFF_LATTICE = (0.02, 0.2, 0.6)  # shares of disturbed coefficients tried for each frequency
_LEAST = 1.0  # below this a coefficient is rounding, and fits every step
_BINS_PER_LEVEL = 4
_LARGEST = 256.0
_BINS = int(_LARGEST * _BINS_PER_LEVEL) + 1
_MOST_BLOCKS = 4096
_FEWEST_BLOCKS = 4
_EVIDENCE = 25.0  # nats by which a table must beat "no lattice"
_EVIDENCE_EACH = 0.02  # and by coefficient: nearby coefficients are not independent, so that chance grows with them
_PLACES_TRIED = 2
_MOST_LINES = 256


@dataclass(frozen=True)
class Jpeg:
    """JPEG damage of an image.

    Attributes:
        blockiness: share in [-1, 1] by which steps across the block grid exceed the steps beside it; 0: no grid is
            seen, 0.33: twice as large. Free of brightness and contrast.
        quality: 1 to 100 on libjpeg's scale of the last compression; missing, with the reason, where the pixels carry
            no trace of one: never compressed, at a quality so high (about 97 and more) that nothing is lost, or changed
            since.
        source: ``file`` if the quality is that of the file's own tables, ``pixels`` if it was estimated.
    """

    blockiness: Measurement
    quality: Measurement
    source: Literal["file", "pixels"]


def estimate_jpeg(
    luminance: NDArray[np.floating],
    valid: NDArray[np.bool_] | None = None,
    tables: Mapping[int, Sequence[int]] | None = None,
    unclipped: NDArray[np.bool_] | None = None,
) -> Jpeg:
    """How much JPEG damaged an image.

    Args:
        luminance: (H, W), 0 black and 1 white, in steps of 1/255 where it was 8 bit. Of colour, the luminance that JPEG
            codes (0.299 R + 0.587 G + 0.114 B): in any other mixture the coarser colour coefficients blur the lattice.
        valid: (H, W), False where pixels are not to be judged; a block counts if all of it is valid.
        tables: the file's quantisation tables by number, 64 steps each, row by row (Pillow's ``Image.quantization``);
            number 0 is that of the luminance. The nearest table of libjpeg gives the quality.
        unclipped: (H, W), of colour: True where no channel is at 0 or 1. A clipped channel moves the luminance off the
            lattice without showing in it; where all blocks together carry no trace, those without one are asked alone.

    Returns:
        Blockiness and quality. The grid may start anywhere, as after cropping; one that starts at the corner is
        preferred.
    """
    levels = np.asarray(luminance, np.float32) * np.float32(_LEVELS)
    judged = np.ones(levels.shape, bool) if valid is None else np.asarray(valid, bool)
    steps = _grid_steps(levels, judged)
    quality = None if tables is None else quality_of_tables(tables)
    if quality is not None:
        return Jpeg(_blockiness(steps, (0, 0)), Measurement(quality, "quality"), "file")
    found, corner = _quality_of_pixels(levels, judged, steps)
    if not found.measurable and unclipped is not None:
        found, corner = _quality_of_pixels(levels, judged & unclipped, steps)
    return Jpeg(_blockiness(steps, corner), found, "pixels")


@cache
def scaled_tables() -> NDArray[np.int64]:
    """libjpeg's luminance tables of quality 1 to 100: (100, 64), row by row."""
    scale = np.where(QUALITIES < 50, 5000 // QUALITIES, 200 - 2 * QUALITIES)
    return np.clip((LUMINANCE_TABLE.ravel() * scale[:, None] + 50) // 100, 1, 255)


def quality_of_tables(tables: Mapping[int, Sequence[int]]) -> float | None:
    """The quality whose luminance table is nearest (mean ratio of steps) to table 0; None if that is no table."""
    table = np.asarray(tables.get(0, ()), float).ravel()
    if table.size != BLOCK**2 or not np.all(table > 0):
        return None
    return float(QUALITIES[np.abs(np.log(table / scaled_tables())).mean(1).argmin()])


def _grid_steps(levels: NDArray[np.float32], judged: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean step between neighbours by place in the grid, (2, 8): down and across; [0] lies between 7 and 8. NaN: none.

    A step is the part of a difference that its two neighbours do not lead to expect, so that slopes do not count.
    """
    return np.stack([_steps_by_place(levels, judged), _steps_by_place(levels.T, judged.T)])


def _steps_by_place(pixels: NDArray[np.float32], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean step down the columns, by the row of the grid that it leads to; of many columns, some."""
    if len(pixels) < 4 or not pixels.shape[1]:
        return np.full(BLOCK, np.nan)
    every = -(-pixels.shape[1] // _MOST_LINES)
    pixels, good = np.ascontiguousarray(pixels[:, ::every]), good[:, ::every]
    change = np.diff(pixels, axis=0)
    step = np.abs(change[1:-1] - np.float32(0.5) * (change[:-2] + change[2:]))
    usable = good[:-3] & good[1:-2] & good[2:-1] & good[3:]
    # Row r of `step` leads from line r + 1 to line r + 2.
    place = (np.arange(len(step)) + 2) % BLOCK
    sums = np.bincount(place, (step * usable).sum(1), BLOCK)
    counts = np.bincount(place, usable.sum(1), BLOCK)
    return np.divide(sums, counts, out=np.full(BLOCK, np.nan), where=counts > 0)


def _blockiness(steps: NDArray[np.float64], corner: tuple[int, int]) -> Measurement:
    if np.isnan(steps).any():
        return Measurement.missing("share", "smaller than two blocks of 8 x 8 pixels")
    # Three places beside the border on either side: its direct neighbours share a pixel difference with it.
    border = sum(steps[axis, corner[axis]] for axis in (0, 1))
    inside = sum(steps[axis, (corner[axis] + np.arange(2, BLOCK - 1)) % BLOCK].mean() for axis in (0, 1))
    if border + inside == 0:
        return Measurement.missing("share", "no two neighbours differ")
    return Measurement(float((border - inside) / (border + inside)), "share")


def _quality_of_pixels(
    levels: NDArray[np.float32], judged: NDArray[np.bool_], steps: NDArray[np.float64]
) -> tuple[Measurement, tuple[int, int]]:
    """The quality and the corner of the grid that it was found on."""
    enough_blocks = False
    for corner in _corners(steps):
        coefficients = _block_transforms(levels, judged, corner)
        enough_blocks |= len(coefficients) >= _FEWEST_BLOCKS
        quality = _most_likely_quality(coefficients)
        if quality is not None:
            return Measurement(float(quality), "quality"), corner
    reason = (
        "no trace of JPEG compression"
        if enough_blocks
        else "fewer than four different unclipped blocks of 8 x 8 pixels"
    )
    return Measurement.missing("quality", reason), (0, 0)


def _corners(steps: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Where the grid may start: at the corner, then where the steps are largest."""
    corners = [(0, 0)]
    if not np.isnan(steps).any():
        order = np.argsort(-(steps[0][:, None] + steps[1][None]), axis=None)[:_PLACES_TRIED]
        corners += [(int(place // BLOCK), int(place % BLOCK)) for place in order]
    return list(dict.fromkeys(corners))


def _block_transforms(
    levels: NDArray[np.float32], judged: NDArray[np.bool_], corner: tuple[int, int]
) -> NDArray[np.float32]:
    """Cosine transforms of the valid, unclipped blocks that are not flat, each pattern once: (blocks, 64)."""
    rows, columns = ((length - start) // BLOCK for length, start in zip(levels.shape, corner, strict=True))
    if rows <= 0 or columns <= 0:
        return np.zeros((0, BLOCK**2), np.float32)
    window = tuple(slice(start, start + count * BLOCK) for start, count in zip(corner, (rows, columns), strict=True))
    blocks = _blocks_of(levels[window], rows, columns)
    low, high = blocks.min(1), blocks.max(1)
    # Clipping moves coefficients off the lattice. A flat block has one coefficient, and that a multiple of 8 anyway.
    usable = (low > 0) & (high < _LEVELS) & (high > low) & _blocks_of(judged[window], rows, columns).all(1)
    chosen = np.flatnonzero(usable)
    if len(chosen) > _MOST_BLOCKS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _MOST_BLOCKS).astype(int)]
    return _distinct((blocks[chosen] - np.float32(128)) @ _transform())


def _distinct(coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
    """One of those blocks that differ in brightness alone: drawn patterns repeat, and repeated evidence is no more."""
    directions = np.random.default_rng(0).standard_normal(BLOCK**2 - 1).astype(np.float32)
    keys = np.rint(coefficients[:, 1:] @ directions * np.float32(20)).astype(np.int64)
    return coefficients[np.sort(np.unique(keys, return_index=True)[1])]


def _blocks_of(pixels: NDArray, rows: int, columns: int) -> NDArray:
    return pixels.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK**2)


@cache
def _transform() -> NDArray[np.float32]:
    """The orthonormal cosine transform of a block laid out row by row, as one matrix: (64 pixels, 64 frequencies)."""
    one_axis = cosine_transform(BLOCK)
    return np.kron(one_axis, one_axis).T.astype(np.float32)


def _most_likely_quality(coefficients: NDArray[np.float32]) -> int | None:
    """The quality whose table explains the coefficients best; None if no table does better than none."""
    if len(coefficients) < _FEWEST_BLOCKS:
        return None
    bins = np.rint(np.abs(coefficients) * np.float32(_BINS_PER_LEVEL)).astype(np.int32)
    np.minimum(bins, _BINS - 1, out=bins)
    bins += np.arange(BLOCK**2, dtype=np.int32) * _BINS
    counts = np.bincount(bins.ravel(), minlength=BLOCK**2 * _BINS)
    histogram = counts.reshape(BLOCK**2, _BINS).astype(np.float32)
    # Each frequency chooses the share of disturbed coefficients that suits a step best: clipped colours disturb the low
    # frequencies most, and must not outvote the others.
    evidence = np.max([histogram @ weights for weights in _lattice_evidence()], axis=0)
    by_quality = evidence[np.arange(BLOCK**2), scaled_tables() - 1].sum(1)
    best = int(by_quality.argmax())
    telling = histogram[:, int(_LEAST * _BINS_PER_LEVEL) : -1].sum()
    if by_quality[best] < max(_EVIDENCE, _EVIDENCE_EACH * telling):
        return None
    return int(QUALITIES[best])


@cache
def _lattice_evidence() -> tuple[NDArray[np.float32], ...]:
    """By how many nats a coefficient of this size (rows: bins) speaks for a step (columns: 1 to 255).

    The logarithm of its density on the lattice, smeared by rounding, over its density without one; one array for each
    share of disturbed coefficients.
    """
    size = (np.arange(_BINS) / _BINS_PER_LEVEL)[:, None]
    step = np.arange(1, 256)[None]

    nearest = np.rint(size / step)

    def on_lattice(deviation: float) -> NDArray[np.float64]:
        away = [(size - step * (nearest + shift)) / deviation for shift in (-1, 0, 1)]
        return step * sum(np.exp(-0.5 * distance**2) for distance in away) / (deviation * np.sqrt(2 * np.pi))

    close, disturbed = on_lattice(_ROUNDING), (1 + on_lattice(_DISTURBED)) / 2
    # Small coefficients are frequent without any lattice: that they are near zero is no evidence for a large step.
    disturbed[nearest == 0] = 1
    silent = (size < _LEAST) | (size >= _LARGEST) | (step == 1)  # every whole number is a multiple of 1
    return tuple(
        np.where(silent, 0, np.log((1 - share) * close + share * disturbed)).astype(np.float32)
        for share in _OFF_LATTICE
    )
