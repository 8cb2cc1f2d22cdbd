"""Salt-and-pepper: single pixels at full white or full black where their surroundings say otherwise.

A dark pixel is no corrupted pixel. One counts as an impulse only if it is at the end of the range, stands alone, and
lies far from the middle of its 5 x 5 surroundings by their own robust spread, which is noise and texture together: a
rank-ordered detector in the manner of Garnett, Huegerich, Chui and He (IEEE Transactions on Image Processing 14(11),
2005). Nor does one count that hangs together with two more at its end: the tip of a stroke, the hole of a letter. So
highlights, burned-in text, clipped borders and the noise of dark regions are left alone.

Pepper on black and salt on white cannot be seen. How much of the image would show an impulse is found by asking the
detector about pixels drawn from all of it, as if each had been hit; the impulses seen are divided by that share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlight.artifacts.measurement import SINGLE_VALUE, Measurement, single_valued

SHARE = "share"

# Half a step of 8 bits: what still is full black or full white.
END = 0.5 / 255
REACH = 2
NEIGHBOURS = (2 * REACH + 1) ** 2 - 1
# Of the 8 neighbours at the same end: one may be another impulse, more are a line, a highlight or a border.
MOST_ALIKE = 1
# Pixels at the same end that hang together: two may be impulses side by side, three are a stroke.
STROKE = 3
# Ranks among the 24 sorted neighbours: quartiles, the two middle ones, and the fifth from the end that the pixel is
# at, so that four impulses more in the surroundings do no harm.
LOWER, MIDDLE, UPPER, FIFTH = 5, 11, 18, 19
SPREAD_OF_QUARTILES = 1.349
# In robust standard deviations of 24 neighbours, which themselves err by a fifth: chance alone does not get there.
FARTHEST_CHANCE = 7.5
SMALLEST_STEP = 0.08
PROBES = 2000
# Below this share of pixels that would show an impulse, too few are seen to speak for the rest.
SMALLEST_SIGHT = 0.03


@dataclass(frozen=True)
class Impulses:
    """Salt and pepper of an image.

    Attributes:
        ratio: share of the samples (pixels; in colour, pixels x channels) that are corrupted, 0 to 1, "share".
        mask: (H, W) bool, where a pixel was found corrupted, in any channel.
    """

    ratio: Measurement
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class _Plane:
    """One channel seen so that the impulses looked for are white: as it is for salt, inverted for pepper.

    ``padded`` is mirrored at the edges by the reach of the detector; ``alike`` counts white pixels in each 3 x 3, and
    ``joined`` is the most that any white pixel of the 3 x 3 counts around itself.
    """

    padded: NDArray[np.float32]
    white: NDArray[np.bool_]
    alike: NDArray[np.uint8]
    joined: NDArray[np.uint8]

    @classmethod
    def of(cls, padded: NDArray[np.float32]) -> _Plane:
        ends = (padded >= 1 - END).view(np.uint8)
        alike = _over_3_x_3(ends, np.add)
        joined = _over_3_x_3(alike * ends[1:-1, 1:-1], np.maximum)
        inner = slice(REACH - 1, 1 - REACH)
        return cls(padded, ends[REACH:-REACH, REACH:-REACH].view(bool), alike[inner, inner], joined)

    def shows(self, places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether a white pixel at each of these places (counted row by row) would stand out of its surroundings."""
        width = self.padded.shape[1]
        offsets = np.add.outer(np.arange(-REACH, REACH + 1) * width, np.arange(-REACH, REACH + 1)).ravel()
        offsets = np.delete(offsets, NEIGHBOURS // 2)
        rows, columns = np.divmod(places, self.white.shape[1])
        centre = (rows + REACH) * width + columns + REACH
        around = np.sort(np.take(self.padded, offsets[:, None] + centre), axis=0)
        middle = (around[MIDDLE] + around[MIDDLE + 1]) / 2
        spread = (around[UPPER] - around[LOWER]) / SPREAD_OF_QUARTILES
        itself = self.white[rows, columns]
        others = self.alike[rows, columns] - itself
        # A pixel that is not white yet would be one more around each of its neighbours.
        alone = (others <= MOST_ALIKE) & (self.joined[rows, columns] + ~itself < STROKE)
        stands_out: NDArray[np.bool_] = (
            alone & (1 - middle > FARTHEST_CHANCE * spread) & (1 - around[FIFTH] > SMALLEST_STEP)
        )
        return stands_out


def _over_3_x_3(plane: NDArray[np.uint8], join: np.ufunc) -> NDArray[np.uint8]:
    """What the 3 x 3 around each pixel come to; smaller by one pixel on each side."""
    rows = join(join(plane[:-2], plane[1:-1]), plane[2:])
    joined: NDArray[np.uint8] = join(join(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return joined


def estimate_impulses(pixels: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> Impulses:
    """The share of salt-and-pepper pixels, and where they are.

    Args:
        pixels: (H, W) grey or (H, W, C) colour, display space: 0 black, 1 white, values outside count as either;
            finite. In colour each channel is looked at by itself, so that a dead sub-pixel counts a third.
        valid: (H, W), False where a pixel is not to be judged; None: all are.

    Returns:
        The share over all samples of the valid image, and the mask of those found (fewer, where some hide on black
        or white). Where only one kind can be told (no pepper in a very dark image), the other is taken to be as
        frequent; if there is none (hot pixels in the dark), the share is twice the truth. Not measurable: smaller than
        5 x 5 px, nothing valid, or surroundings in which neither kind would be seen (all black or white, strong noise
        or texture), or a constant image. Impulses that went through JPEG are smeared, and the share is a lower bound
        then (of 1 %, 0.66 / 0.52 / 0.34 / 0.17 / 0.05 % after quality 95 / 90 / 80 / 60 / 40): `quantify` says so.

    Example:
        >>> grey = np.full((100, 100), 0.25)
        >>> grey[10::20, 10::20] = 1
        >>> f"{estimate_impulses(grey).ratio.value:.4f}"
        '0.0025'
    """
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), bool)
    judged = np.ones((height, width), bool) if valid is None else valid
    if single_valued(pixels, valid):
        return Impulses(Measurement.missing(SHARE, SINGLE_VALUE), mask)
    if min(height, width) <= 2 * REACH:
        return Impulses(Measurement.missing(SHARE, f"smaller than {2 * REACH + 1} x {2 * REACH + 1} px"), mask)
    if not judged.any():
        return Impulses(Measurement.missing(SHARE, "no pixel is to be judged"), mask)
    channels = np.moveaxis(pixels.reshape(height, width, -1), -1, 0).astype(np.float32, copy=False)
    padded = [np.pad(channel, REACH, mode="reflect") for channel in channels]
    shares = [
        _share([_Plane.of(channel) for channel in padded], judged, mask),
        _share([_Plane.of(1 - channel) for channel in padded], judged, mask),
    ]
    told = [share for share in shares if share is not None]
    if not told:
        reason = "nowhere would a black or white pixel stand out from its surroundings"
        return Impulses(Measurement.missing(SHARE, reason), mask)
    # A kind that cannot be told is as frequent as the other in the common model of this damage.
    both = sum(told) * len(shares) / len(told)
    return Impulses(Measurement(min(both, 1.0), SHARE), mask)


def _share(planes: list[_Plane], judged: NDArray[np.bool_], mask: NDArray[np.bool_]) -> float | None:
    """Share of one kind over the channels, None where it cannot be told; enters what it finds into the mask."""
    places = np.flatnonzero(judged)
    # Every so-many-th pixel would fall in step with a pattern; drawn ones do not.
    drawn = places[np.random.default_rng(0).integers(0, len(places), PROBES)]
    sight, hits = 0.0, 0
    for plane in planes:
        white = np.flatnonzero(plane.white & judged & (plane.alike <= MOST_ALIKE + 1))
        found = white[plane.shows(white)]
        mask.ravel()[found] = True
        hits += len(found)
        sight += float(plane.shows(drawn).mean())
    # Channels speak for each other: a channel too dark to show pepper does not dilute the others.
    return None if sight < SMALLEST_SIGHT * len(planes) else hits / len(places) / sight
