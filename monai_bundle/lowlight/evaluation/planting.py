"""What must not get lost: small details planted into clean images, and what became of them.

Averages over an image do not notice whether a microcalcification is still there. Here dots, lines and lesions of known
place and contrast are drawn into a clean image before it is degraded and enhanced; afterwards each is looked up, and
what looks like one where there was none is counted.

    planting = plant(clean, np.random.RandomState(1))
    observed = degrade(planting.image)
    enhanced = enhance(observed)
    for detail in planting.details:
        if contrast_to_noise(observed, detail) > VISIBLE:
            print(detail.kind, recovered(enhanced, detail))
    print(len(false_details(enhanced, planting.image)))

Images are (H, W) or (H, W, 3), float, black 0 and white 1. What is measured is measured on the mean of the channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, label, maximum_filter, uniform_filter

from lowlight.model.details import fit_brightness

VISIBLE = 3.0
"""Contrast-to-noise ratio above which a detail counts as visible."""

KEPT = 0.7
"""Share of its true contrast that a detail must have to count as kept."""

CONTRAST = (0.06, 0.35)
"""Contrasts that are planted, as shares of black to white, drawn evenly in their logarithm."""

LEAST_LIGHT = 0.05
"""Mean brightness below which nothing is planted: the borders of scopes and plates show nothing of a patient."""

TRIES = 200
"""Places that are looked at for one detail before it is given up: not every image has room."""

GAP, RING = 2, 6
"""px from a detail's edge to where its surroundings begin and end; what lies between takes up its blur."""


class Kind(StrEnum):
    """What is planted."""

    DOT = "dot"
    """2 to 6 px across, like a microcalcification."""

    LINE = "line"
    """Hair-thin: 1 to 1.6 px wide, 20 to 60 px long, gently bent."""

    LESION = "lesion"
    """10 to 24 px across, oval, with a soft edge."""


EACH = {Kind.DOT: 4, Kind.LINE: 4, Kind.LESION: 4}
"""How many of each kind are planted unless told otherwise."""


@dataclass(frozen=True, eq=False)
class PlantedDetail:
    """One planted detail.

    Attributes:
        kind: what it is.
        contrast: true local contrast as a share of black to white, negative where it is darker than its surroundings.
        background: local contrast that the clean image has there without it.
        where: rows and columns of the window that holds it and its surroundings.
        core, ring: bool masks of that window: the detail, and its surroundings.
    """

    kind: Kind
    contrast: float
    background: float
    where: tuple[slice, slice]
    core: NDArray[np.bool_]
    ring: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Planting:
    """A clean image with planted details.

    Attributes:
        image: the clean image with the details, of its shape, float64.
        details: what was planted; fewer than asked for where the image has no room.
        labels: int (H, W); 0 nothing, k the core of ``details[k - 1]``.
    """

    image: NDArray[np.float64]
    details: list[PlantedDetail]
    labels: NDArray[np.int64]


def plant(clean: NDArray[Any], random: np.random.RandomState, each: Mapping[Kind, int] | None = None) -> Planting:
    """Draw bright and dark details into a clean image where they can be seen.

    A place is taken if it is not black (`LEAST_LIGHT`), the detail fits in without clipping, apart from the others, and
    stands out there from the clean image itself with a contrast-to-noise ratio above `VISIBLE`. Colours keep the hue of
    their surroundings.

    Args:
        clean: the image.
        random: what kinds, places, sizes and contrasts are drawn from.
        each: how many of each kind; None: `EACH`.
    """
    image = np.array(clean, np.float64)
    grey = _grey(image)
    labels = np.zeros(grey.shape, np.int64)
    taken = np.zeros(grey.shape, bool)
    details: list[PlantedDetail] = []
    for kind, count in (EACH if each is None else each).items():
        for _ in range(count):
            detail = _plant_one(kind, image, grey, taken, random)
            if detail is not None:
                details.append(detail)
                labels[detail.where][detail.core] = len(details)
    return Planting(image, details, labels)


def local_contrast_of(image: NDArray[Any], detail: PlantedDetail) -> float:
    """Median of a detail's core minus that of its surroundings: impulses move neither."""
    window = _grey(image[detail.where])
    return float(np.median(window[detail.core]) - np.median(window[detail.ring]))


def contrast_to_noise(image: NDArray[Any], detail: PlantedDetail) -> float:
    """Local contrast in the detail's true direction over the standard deviation of its surroundings.

    The deviation leaves out the lowest and highest twentieth, where impulses are (and is scaled to be right for normal
    noise). It is at least half a level of 8 bits: on a background that rounding made flat, one level is no structure.
    """
    around = np.sort(_grey(image[detail.where])[detail.ring])
    cut = len(around) // 20
    spread = float(np.std(around[cut : len(around) - cut])) / 0.789
    return float(np.sign(detail.contrast)) * local_contrast_of(image, detail) / max(spread, 0.5 / 255)


def recovered(image: NDArray[Any], detail: PlantedDetail) -> float:
    """Share of its true contrast that a detail has: 1 all, 0 gone, negative inverted, above 1 exaggerated."""
    return (local_contrast_of(image, detail) - detail.background) / detail.contrast


def false_details(output: NDArray[Any], truth: NDArray[Any], least: float = CONTRAST[0]) -> NDArray[np.int64]:
    """Find what looks like a planted detail where the truth has nothing like it.

    The output is brightness-fitted to the truth (`lowlight.model.details.fit_brightness`), so that contrast is
    measured in the truth's units. A place is a false detail if a disc of 3, 6 or 12 px there stands out from what is
    around it by the contrast `least` and by three standard deviations of how such discs stand out nearby, while within
    2 px the truth has less than half of that contrast in that direction. Places that touch are one detail.

    Args:
        output: the enhanced image.
        truth: the clean image with what was planted, of the same height and width.
        least: contrast as a share of black to white; unless told otherwise the least that is planted.

    Returns:
        Rows and columns of their middles, int (N, 2).
    """
    wanted = _grey(np.asarray(truth, np.float64))
    given = np.clip(fit_brightness(_grey(np.asarray(output, np.float64)), wanted), 0, 1)
    places = []
    for direction in (1, -1):
        found = np.zeros(wanted.shape, bool)
        for diameter in (3, 6, 12):
            found |= _unfounded(direction * given, direction * wanted, diameter, least)
        numbered, count = label(binary_dilation(found))
        places += [np.argwhere(numbered == number + 1).mean(0).round().astype(np.int64) for number in range(count)]
    return np.array(places, np.int64).reshape(-1, 2)


def _unfounded(
    given: NDArray[np.float64], wanted: NDArray[np.float64], diameter: int, least: float
) -> NDArray[np.bool_]:
    """Where bright discs of one size stand out of one image and not of the other."""
    response, true_response = _disc_contrast(given, diameter), _disc_contrast(wanted, diameter)
    # The window holds some fifty discs; one that stands out hardly widens its own limit.
    energy = uniform_filter(response * response, 8 * diameter, mode="nearest")
    spread = np.sqrt(np.maximum(energy, 0))  # a running sum can end just below 0
    conspicuous = (response >= least) & (response >= VISIBLE * spread)
    return conspicuous & (maximum_filter(true_response, 5, mode="nearest") < response / 2)


def _disc_contrast(image: NDArray[np.float64], diameter: int) -> NDArray[np.float64]:
    """Contrast of a disc around each pixel: a difference of Gaussians that gives 1 in the middle of a disc of 1."""
    inner, outer = diameter / 4, diameter

    def difference(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        return gaussian_filter(pixels, inner, mode="nearest") - gaussian_filter(pixels, outer, mode="nearest")

    reach = 5 * diameter
    unit = _disc(2 * reach + 1, diameter / 2, 1.0, (0.0, 0.0))
    return difference(image) / difference(unit)[reach, reach]


def _plant_one(
    kind: Kind,
    image: NDArray[np.float64],
    grey: NDArray[np.float64],
    taken: NDArray[np.bool_],
    random: np.random.RandomState,
) -> PlantedDetail | None:
    """Draw one detail into the image where there is room; None if none was found."""
    for _ in range(TRIES):
        shape = draw_shape(kind, random)
        amount = float(np.exp(random.uniform(*np.log(CONTRAST)))) * (1 if random.rand() < 0.5 else -1)
        free = [side - reach for side, reach in zip(grey.shape, shape.shape, strict=True)]
        if min(free) < 1:
            continue
        top, left = (int(random.randint(room)) for room in free)
        where = (slice(top, top + shape.shape[0]), slice(left, left + shape.shape[1]))
        core, ring = _core_and_ring(shape)
        if taken[where].any() or not _stands_out(grey[where], ring, amount):
            continue
        around = image[where][ring].mean(0)
        # Every channel by its share of the brightness: the hue of the surroundings stays.
        added = shape[..., None] * amount * (around / around.mean()) if image.ndim == 3 else shape * amount
        drawn = image[where] + added
        if drawn.min() < 0 or drawn.max() > 1:
            continue
        before = float(np.median(grey[where][core]) - np.median(grey[where][ring]))
        image[where] = drawn
        after = _grey(drawn)
        contrast = float(np.median(after[core]) - np.median(after[ring])) - before
        taken[where] = True
        return PlantedDetail(kind, contrast, before, where, core, ring)
    return None


def _stands_out(grey: NDArray[np.float64], ring: NDArray[np.bool_], amount: float) -> bool:
    around = grey[ring]
    return float(around.mean()) >= LEAST_LIGHT and abs(amount) > VISIBLE * float(np.std(around))


def _core_and_ring(shape: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    drawn = shape > 0
    near = binary_dilation(drawn, iterations=GAP)
    return shape >= 0.6 * shape.max(), binary_dilation(drawn, iterations=RING) & ~near


def draw_shape(kind: Kind, random: np.random.RandomState) -> NDArray[np.float64]:
    """A detail of height 1 in a window with room for its surroundings, (rows, columns)."""
    offset = (random.uniform(-0.5, 0.5), random.uniform(-0.5, 0.5))
    if kind is Kind.DOT:
        diameter = random.uniform(2, 6)
        return _disc(_window(diameter), diameter / 2, 1.0, offset)
    if kind is Kind.LESION:
        diameter, soft = random.uniform(10, 24), random.uniform(1.5, 3)
        oval, turn = random.uniform(0.7, 1), random.uniform(0, np.pi)
        return _disc(_window(diameter + soft), diameter / 2, soft, offset, oval, turn)
    width, length = random.uniform(1, 1.6), random.uniform(20, 60)
    return _line(width, length, random.uniform(-0.15, 0.15) * length, random.uniform(0, np.pi))


def _window(extent: float) -> int:
    return 2 * (int(np.ceil(extent / 2)) + RING + 2) + 1


def _disc(
    side: int, radius: float, soft: float, offset: tuple[float, float], oval: float = 1.0, turn: float = 0.0
) -> NDArray[np.float64]:
    """An ellipse whose edge falls from 1 to 0 over `soft` px."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    rows, columns = rows - offset[0], columns - offset[1]
    along = columns * np.cos(turn) + rows * np.sin(turn)
    across = (rows * np.cos(turn) - columns * np.sin(turn)) / oval
    return np.clip((radius - np.hypot(along, across)) / soft + 0.5, 0, 1)


def _line(width: float, length: float, bend: float, turn: float) -> NDArray[np.float64]:
    """An arc of parabola with a height of `bend` px, turned, in the smallest window with room for its surroundings."""
    along = np.linspace(-0.5, 0.5, 4 * int(length))
    across = bend * (1 - 4 * along**2) - bend / 2
    points = np.stack(
        [along * length * np.sin(turn) + across * np.cos(turn), along * length * np.cos(turn) - across * np.sin(turn)]
    )
    reach = np.ceil(np.abs(points).max(1)).astype(int) + RING + 3
    rows, columns = np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    distance = np.hypot(rows[..., None] - points[0], columns[..., None] - points[1]).min(-1)
    return np.clip(width / 2 + 0.5 - distance, 0, 1)


def _grey(image: NDArray[Any]) -> NDArray[np.float64]:
    values = np.asarray(image, np.float64)
    return values.mean(-1) if values.ndim == 3 else values
