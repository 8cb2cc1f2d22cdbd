"""Light that falls unevenly: vignetting, a light guide that points aside, a shadow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from monai.config import KeysCollection

from lowlight.degradation.base import (
    Degradation,
    DictionaryForm,
    RandomDegradation,
    RandomDictionaryForm,
    checked_seed,
    draw_seed,
    generator,
)
from lowlight.degradation.ranges import Range, checked, one_of

FALLOFF = (0.0, 1.0)
CENTRE = (-1.0, 2.0)
RADIUS = (0.05, 10.0)
KINDS = ("radial", "linear", "smooth")
_WAVES = 3  # a smooth field has at most one full period across the frame: light, not texture


def _unit(field: np.ndarray) -> np.ndarray:
    """The field stretched to [0, 1]; zero if it is constant."""
    field = field - field.min()
    peak = field.max()
    return field / peak if peak > 0 else field


@dataclass(frozen=True)
class UnevenIllumination(Degradation):
    """Multiplies by a smooth field, ``y = x * (1 - falloff * s)``, s from 0 (brightest) to 1 (darkest) over the frame.

    Args:
        falloff: 0 to 1, share of the light that is missing at the darkest place.
        kind: ``radial``, s grows as ``1 - exp(-d^2 / (2 radius^2))`` with the distance d from ``centre``: a light guide
            or a vignette, close to the cos^4 law inside the field of view; ``linear``, s grows along ``angle``: light
            from the side, attenuation with depth; ``smooth``, a random sum of cosines of at most one period: shadow.
        centre: (row, column) of the brightest place as a share of height and width; may lie outside the frame.
        radius: of ``radial``, in half diagonals of the frame; d is measured in the same unit.
        angle: of ``linear``, direction in which it becomes darker, degrees, 0 to the right, 90 downwards.
        seed: of ``smooth``.

    Example:
        >>> white = np.ones((1, 64, 64), np.float32)
        >>> UnevenIllumination(falloff=0.5, kind="linear")(white)[0, 0, [0, 63]].tolist()
        [1.0, 0.5]
    """

    falloff: float
    kind: str = "radial"
    centre: tuple[float, float] = (0.5, 0.5)
    radius: float = 0.7
    angle: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "falloff", checked("falloff", self.falloff, *FALLOFF))
        one_of("kind", self.kind, KINDS)
        if isinstance(self.centre, str) or len(self.centre) != 2:
            raise ValueError(f"centre must be (row, column), got {self.centre!r}")
        object.__setattr__(self, "centre", tuple(checked("centre", value, *CENTRE) for value in self.centre))
        object.__setattr__(self, "radius", checked("radius", self.radius, *RADIUS))
        object.__setattr__(self, "angle", checked("angle", self.angle))
        object.__setattr__(self, "seed", checked_seed(self.seed))

    def field(self, height: int, width: int) -> np.ndarray:
        """The light that is left, float32 (H, W) in [1 - falloff, 1]."""
        shade = getattr(self, f"_{self.kind}")(height, width)
        return (1 - self.falloff * _unit(shade)).astype(np.float32)

    def _radial(self, height: int, width: int) -> np.ndarray:
        half_diagonal = math.hypot(height, width) / 2
        rows = (np.arange(height) + 0.5 - self.centre[0] * height) / (half_diagonal * self.radius)
        columns = (np.arange(width) + 0.5 - self.centre[1] * width) / (half_diagonal * self.radius)
        return -np.outer(np.exp(-(rows**2) / 2), np.exp(-(columns**2) / 2))

    def _linear(self, height: int, width: int) -> np.ndarray:
        # Along an axis the sine of 180 degrees must be 0, not 1e-16, or a 1 x N frame would be shaded by rounding.
        down, right = round(math.sin(math.radians(self.angle)), 9), round(math.cos(math.radians(self.angle)), 9)
        return np.add.outer(down * np.arange(height), right * np.arange(width))

    def _smooth(self, height: int, width: int) -> np.ndarray:
        weights = generator(self.seed).standard_normal((_WAVES, _WAVES))
        weights[0, 0] = 0
        waves = np.arange(_WAVES)
        rows = np.cos(np.pi * np.outer((np.arange(height) + 0.5) / height, waves))
        columns = np.cos(np.pi * np.outer((np.arange(width) + 0.5) / width, waves))
        return rows @ weights @ columns.T

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        return pixels * self.field(*pixels.shape[1:])


class RandUnevenIllumination(RandomDegradation):
    """:class:`UnevenIllumination` with drawn parameters.

    Args:
        falloff, radius: a number or a range (low, high).
        kinds: drawn from these, each as likely as the others.
        centre: range of both coordinates of the brightest place.
        angle: range of the direction, degrees.
        prob: share of the images that are degraded.
    """

    def __init__(
        self,
        falloff: float | Sequence[float] | Range = (0.1, 0.7),
        kinds: Sequence[str] = KINDS,
        centre: float | Sequence[float] | Range = (0.1, 0.9),
        radius: float | Sequence[float] | Range = (0.4, 1.2),
        angle: float | Sequence[float] | Range = (0.0, 360.0),
        prob: float = 1.0,
    ) -> None:
        super().__init__(prob)
        self.falloff = Range.parse("falloff", falloff, *FALLOFF)
        self.kinds = tuple(one_of("kinds", kind, KINDS) for kind in kinds)
        if not self.kinds:
            raise ValueError(f"kinds must name at least one of {', '.join(KINDS)}")
        self.centre = Range.parse("centre", centre, *CENTRE)
        self.radius = Range.parse("radius", radius, *RADIUS)
        self.angle = Range.parse("angle", angle)

    def draw(self, random: np.random.RandomState) -> UnevenIllumination:
        return UnevenIllumination(
            falloff=self.falloff.draw(random),
            kind=self.kinds[random.randint(len(self.kinds))],
            centre=(self.centre.draw(random), self.centre.draw(random)),
            radius=self.radius.draw(random),
            angle=self.angle.draw(random),
            seed=draw_seed(random),
        )


class UnevenIlluminationd(DictionaryForm):
    """Dictionary form of :class:`UnevenIllumination`."""

    def __init__(
        self,
        keys: KeysCollection,
        falloff: float,
        kind: str = "radial",
        centre: tuple[float, float] = (0.5, 0.5),
        radius: float = 0.7,
        angle: float = 0.0,
        seed: int = 0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, UnevenIllumination(falloff, kind, centre, radius, angle, seed), allow_missing_keys)


class RandUnevenIlluminationd(RandomDictionaryForm):
    """Dictionary form of :class:`RandUnevenIllumination`."""

    def __init__(
        self,
        keys: KeysCollection,
        falloff: float | Sequence[float] | Range = (0.1, 0.7),
        kinds: Sequence[str] = KINDS,
        centre: float | Sequence[float] | Range = (0.1, 0.9),
        radius: float | Sequence[float] | Range = (0.4, 1.2),
        angle: float | Sequence[float] | Range = (0.0, 360.0),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        transform = RandUnevenIllumination(falloff, kinds, centre, radius, angle, prob)
        super().__init__(keys, transform, allow_missing_keys)
