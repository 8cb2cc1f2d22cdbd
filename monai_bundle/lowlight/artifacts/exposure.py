"""How an image is exposed: brightness, use of the range, clipping, and how evenly the light falls.

Mean, percentiles and clipped shares are those of the histogram, as in any textbook (Gonzalez and Woods, "Digital Image
Processing", 4th edition, 2018, chapter 3). The lighting is taken for a slow factor on the scene, as in homomorphic
filtering (Oppenheim, Schafer and Stockham, "Nonlinear filtering of multiplied and convolved signals", Proceedings of
the IEEE 56(8), 1968), whose logarithm is a surface of second order, the usual model of shading in microscopes (Likar,
Maintz, Viergever and Pernus, "Retrospective shading correction based on entropy minimization", Journal of Microscopy
197(3), 2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.measurement import Measurement

PERCENTILES = (1, 5, 50, 95, 99)

HALF_LEVEL = 0.5 / 255
"""Half a level of an 8-bit display: what lies closer to black or white than this is shown as black or white."""

MANY_PIXELS = 2**20
"""Above this many pixels percentiles come from every second, third, ... row and column: which moves them by < 1e-3."""

CELLS = 24
"""Cells along the longer side of the grid on which the lighting is fitted."""

LEAST_CELLS = 24
"""Cells with enough signal that a fit of six parameters needs at least."""

LEAST_SIGNAL = 0.01
"""Signal below which a cell says nothing of the light that fell on it: two to three levels of an 8-bit display."""

PIXELS_A_SIDE = 16
"""Pixels that are read along the side of a cell, at least."""

REFITS, TUKEY = 4, 4.685
"""Rounds of the robust fit, and residuals, in standard deviations, at which it lets a cell go."""

LEAST_EDGE, MOST_BORDER = 0.1, 0.95
"""Share of the edge that must show one level to be a border, and share of the image above which nothing is left."""

BORDER_TOLERANCE = 1.5 / 255
"""How far the pixels of a border may lie from its level."""

SOLID = 5
"""Side of the squares that a border is made of, px."""

NOTHING = "no pixel is left to judge"


@dataclass(frozen=True)
class Exposure:
    """Exposure of the judged pixels, in display space (0 black, 1 white).

    Attributes:
        mean: mean of the pixels, "of range".
        percentiles: the 1st, 5th, 50th, 95th and 99th, "of range", by percent.
        used_range: distance of the 1st and 99th percentile that lies within the range, "of range".
        clipped_low, clipped_high: "share" of the pixels that a display shows as full black or full white.
        unevenness: "share" of the brightness that the darkest region of the image lacks against the brightest, both
            read off a smooth surface: 0 even, 0.75 a quarter of the brightness. Lighting cannot be told from a scene
            that itself darkens slowly to one side.
    """

    mean: Measurement
    percentiles: Mapping[int, Measurement]
    used_range: Measurement
    clipped_low: Measurement
    clipped_high: Measurement
    unevenness: Measurement

    @property
    def numbers(self) -> dict[str, Measurement]:
        """All of them by name, percentiles as "p1", "p5", ..."""
        return {
            "mean": self.mean,
            **{f"p{percent}": number for percent, number in self.percentiles.items()},
            "used_range": self.used_range,
            "clipped_low": self.clipped_low,
            "clipped_high": self.clipped_high,
            "unevenness": self.unevenness,
        }


def display_of(pixels: NDArray[Any], value_range: tuple[float, float]) -> NDArray[np.float32]:
    """Pixels in display space, 0 black and 1 white, in their own shape."""
    black, white = value_range
    # Up to 16 bit float32 holds every value; differences of longer ones are taken in double.
    exact = np.dtype(np.float32 if pixels.dtype.itemsize <= 2 else np.float64)
    span = exact.type(white - black)
    return ((pixels.astype(exact) - exact.type(black)) / span).astype(np.float32)


def luminance_of(display: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is judged of an image (H, W) or (H, W, 3) in display space: (H, W), the mean of its channels."""
    luminance: NDArray[np.float32] = display if display.ndim == 2 else display.mean(2)
    return luminance


def judged_pixels(luminance: NDArray[np.floating], valid: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """bool (H, W), True where a pixel is judged: as given, or all but a uniform border; None: everywhere."""
    if valid is not None:
        return valid
    border = uniform_border(luminance)
    return ~border if border.any() else None


def measure_exposure(luminance: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> Exposure:
    """Measure the exposure of an image as displayed; methods and sources stand at the head of the module.

    Args:
        luminance: (H, W), 0 black, 1 white; values outside are shown as black or white.
        valid: bool (H, W), False where a pixel is not to be judged (padding, scope border); None: judge all.

    Returns:
        The numbers; without any pixel to judge, the reason in place of each.
    """
    pixels = thinned(luminance, valid)
    if not pixels.size:
        return Exposure(
            mean=Measurement.missing("of range", NOTHING),
            percentiles={percent: Measurement.missing("of range", NOTHING) for percent in PERCENTILES},
            used_range=Measurement.missing("of range", NOTHING),
            clipped_low=Measurement.missing("share", NOTHING),
            clipped_high=Measurement.missing("share", NOTHING),
            unevenness=Measurement.missing("share", NOTHING),
        )
    values = np.percentile(pixels, PERCENTILES)
    low, high = np.clip(values[[0, -1]], 0, 1)
    return Exposure(
        mean=Measurement(float(pixels.mean(dtype=np.float64)), "of range"),
        percentiles={
            percent: Measurement(float(value), "of range") for percent, value in zip(PERCENTILES, values, strict=True)
        },
        used_range=Measurement(float(high - low), "of range"),
        clipped_low=Measurement(float(np.mean(pixels <= HALF_LEVEL)), "share"),
        clipped_high=Measurement(float(np.mean(pixels >= 1 - HALF_LEVEL)), "share"),
        unevenness=_unevenness(luminance, valid),
    )


def level_of_border(luminance: NDArray[np.floating]) -> float | None:
    """The level that a uniform border of an image (H, W) would have; None if too little of its edge shows one level."""
    edge = np.concatenate([luminance[0], luminance[-1], luminance[:, 0], luminance[:, -1]])
    levels, counts = np.unique(np.rint(edge * 255), return_counts=True)
    return None if counts.max() < LEAST_EDGE * edge.size else float(levels[counts.argmax()] / 255)


def uniform_border(luminance: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Find padding or the black surround of a scope: pixels that hold one value and reach the edge of the image.

    Only what is uniform to within one and a half levels of an 8-bit display counts, so a noisy border is taken for part
    of the image, as a dark background of the scene must be. The regions are connected components of the eroded plane
    (Serra, "Image Analysis and Mathematical Morphology", 1982), grown back by the same square.

    Args:
        luminance: (H, W), 0 black, 1 white.

    Returns:
        bool (H, W), True on the border: its complement is the `valid` of the estimators. All False where no border is
        found, or where next to nothing would be left of the image.
    """
    none = np.zeros(luminance.shape, bool)
    level = level_of_border(luminance)
    if level is None:
        return none
    alike = np.abs(luminance - level) <= BORDER_TOLERANCE
    sides = (alike, alike[::-1], alike.T, alike.T[::-1])
    if not any(_is_solid(side[: SOLID // 2 + 1]) for side in sides):
        return none
    # SciPy takes a while to load, and most images have no border.
    from scipy import ndimage

    # Noise around one level, clipped at black, hangs together too, but is nowhere solid.
    solid = ndimage.minimum_filter(alike.view(np.uint8), SOLID, mode="nearest")
    regions, count = ndimage.label(solid)
    reaches_edge = np.zeros(count + 1, bool)
    for side in (regions[0], regions[-1], regions[:, 0], regions[:, -1]):
        reaches_edge[side] = True
    reaches_edge[0] = False
    border = ndimage.maximum_filter(reaches_edge[regions].view(np.uint8), SOLID, mode="nearest").view(bool)
    return none if border.mean() > MOST_BORDER else border


def _is_solid(strip: NDArray[np.bool_]) -> bool:
    """Whether the rows of a strip along the edge are all alike at neighbouring places, as they are in a border."""
    whole = np.logical_and.reduce(strip, axis=0)
    reach = SOLID // 2 + 1
    runs = np.lib.stride_tricks.sliding_window_view(whole, min(reach, whole.size))
    return bool(runs.all(axis=1).any())


def thinned(luminance: NDArray[np.floating], valid: NDArray[np.bool_] | None) -> NDArray[np.floating]:
    """The judged pixels in one row, of a large image an even selection."""
    step = int(np.ceil(np.sqrt(luminance.size / MANY_PIXELS)))
    pixels = luminance[::step, ::step]
    return pixels.ravel() if valid is None else pixels[valid[::step, ::step]]


def _unevenness(luminance: NDArray[np.floating], valid: NDArray[np.bool_] | None) -> Measurement:
    """From a second-order surface through the logarithm of the brightness of cells.

    A cell's brightness is the upper quartile of its pixels: what the scene absorbs pulls it down, nothing pulls it up
    but highlights. The fit is repeated with weights that let go of cells far off the surface (Tukey's biweight; Holland
    and Welsch, "Robust regression using iteratively reweighted least-squares", Communications in Statistics 6(9),
    1977), so that objects matter less than the slow change on which they lie. What a scene itself changes
    slowly from side to side (a chest between its lungs) cannot be told from light, and counts.
    """
    brightness, rows, columns = _cells(luminance, valid)
    if brightness.size < LEAST_CELLS or np.ptp(rows) < 0.5 or np.ptp(columns) < 0.5:
        return Measurement.missing("share", "too little of the image has a signal to tell the lighting by")
    y, x = rows, columns
    surface = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    target = np.log(brightness)
    weights = np.ones_like(target)
    for _ in range(REFITS):
        root = np.sqrt(weights)[:, None]
        # Keeps the surface finite where the cells lie in a line or a cluster.
        coefficients = np.linalg.lstsq(surface * root, target * root[:, 0], rcond=1e-6)[0]
        residual = target - surface @ coefficients
        scale = max(1.4826 * float(np.median(np.abs(residual))), 1e-6)
        weights = np.clip(1 - (residual / (TUKEY * scale)) ** 2, 0, 1) ** 2
    low, high = np.percentile(surface @ coefficients, [2, 98])
    return Measurement(float(1 - np.exp(low - high)), "share")


def _cells(
    luminance: NDArray[np.floating], valid: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Brightness of the cells that have a signal, and where they lie: rows and columns from -1 to 1."""
    side = max(1, -(-max(luminance.shape) // CELLS))
    # A cell of a large image is told as well by some hundred of its pixels.
    step = max(1, side // PIXELS_A_SIDE)
    side = side // step
    pixels = luminance[::step, ::step]
    height, width = (length // side for length in pixels.shape)
    if not height * width:
        return np.empty(0), np.empty(0), np.empty(0)

    def blocks(plane: NDArray[np.generic]) -> NDArray[np.generic]:
        cut = plane[: height * side, : width * side].reshape(height, side, width, side)
        return cut.swapaxes(1, 2).reshape(height, width, side * side)

    upper = 3 * side * side // 4
    brightness = np.partition(blocks(pixels), upper, axis=2)[..., upper].astype(np.float64)
    useful = (brightness > LEAST_SIGNAL) & (brightness < 1 - HALF_LEVEL)
    if valid is not None:
        useful &= blocks(valid[::step, ::step]).all(axis=2)
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return brightness[useful], rows[useful], columns[useful]
