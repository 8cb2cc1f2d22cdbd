"""Which parameters low-light images have: by severity, and by modality.

A profile holds the ranges of one severity. ``COMMON`` holds the profiles that all modalities share; ``MODALITIES`` says
how each modality bends them, and why. :class:`~lowlight.degradation.LowLight` draws from the common profile most of the
time, so that every preset covers it, and from the modality's own otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lowlight.degradation.illumination import KINDS
from lowlight.degradation.ranges import Range

SEVERITIES = ("light", "medium", "heavy")

MODALITY_SHARE = 0.25
"""Share of the images drawn from the modality's own profile instead of the common one, unless told otherwise."""

WIDENED_SHARE = 0.2
"""Share of the draws from the common profile whose ranges are widened, so that nothing in use lies on an edge."""

WIDENING = 0.15
"""How much: this share of a range's width at each end."""


@dataclass(frozen=True)
class Profile:
    """The ranges of one severity. Lengths in px of the image as it is; signals in units of white.

    Args:
        gain, gamma: of :class:`Exposure`.
        photons: counts per unit of signal, of :class:`SensorNoise`.
        read: read noise at full exposure; what is applied is ``read * sqrt(gain)``, half-way between noise from before
            the amplifier, which shrinks with the gain, and noise from behind it, which stays.
        blur: standard deviation of the point spread; a motion blur has the length of equal variance.
        impulses: share of pixels that are salt or pepper.
        quality: of JPEG.
        uneven: probability that the light falls unevenly; ``falloff, kinds, centre, radius, angle`` say how.
        motion: probability that the blur is one of motion; ``disc``, that the defocus has the shape of a disc.
        rows: probability of row noise, ``row_sigma`` its standard deviation.
        per_channel: probability that impulses hit single channels.
        subsampled: probability that JPEG halves the colour resolution both ways (4:2:0).
    """

    gain: Range
    gamma: Range
    photons: Range
    read: Range
    blur: Range
    impulses: Range
    quality: Range
    uneven: float = 0.4
    falloff: Range = field(default=Range(0.1, 0.7))
    kinds: tuple[str, ...] = KINDS
    centre: Range = field(default=Range(0.1, 0.9))
    radius: Range = field(default=Range(0.4, 1.2))
    angle: Range = field(default=Range(0.0, 360.0))
    motion: float = 0.4
    disc: float = 0.2
    rows: float = 0.05
    row_sigma: Range = field(default=Range(0.001, 0.004))
    per_channel: float = 0.5
    subsampled: float = 0.85

    def widened(self) -> Profile:
        """The same with the ranges of ``LIMITS`` widened by ``WIDENING``, inside the limits."""
        wider: dict[str, Any] = {
            name: getattr(self, name).widened(WIDENING, *limits) for name, limits in LIMITS.items()
        }
        return replace(self, **wider)


LIMITS: dict[str, tuple[float, float]] = {
    "gain": (0.02, 1.0),
    "gamma": (0.5, 5.0),
    "photons": (5.0, 1e5),
    "read": (0.0, 0.1),
    "blur": (0.0, 5.0),
    "impulses": (0.0, 0.05),
    "quality": (10.0, 100.0),
}
"""What widening and a modality may not exceed."""

COMMON: dict[str, Profile] = {
    # A bad exposure that a reader would still accept.
    "light": Profile(
        gain=Range(0.45, 0.70),
        gamma=Range(1.2, 1.8),
        photons=Range(300.0, 1500.0),
        read=Range(0.004, 0.010),
        blur=Range(0.0, 0.5),
        impulses=Range(0.0, 0.001),
        quality=Range(80.0, 95.0),
    ),
    # One to two stops missing: large structures are visible, fine ones drown.
    "medium": Profile(
        gain=Range(0.22, 0.45),
        gamma=Range(1.5, 2.4),
        photons=Range(80.0, 300.0),
        read=Range(0.008, 0.020),
        blur=Range(0.3, 1.0),
        impulses=Range(0.0, 0.005),
        quality=Range(60.0, 85.0),
    ),
    # As dark as an image can be and still be worth enhancing.
    "heavy": Profile(
        gain=Range(0.10, 0.22),
        gamma=Range(1.8, 3.0),
        photons=Range(25.0, 80.0),
        read=Range(0.015, 0.035),
        blur=Range(0.6, 1.6),
        impulses=Range(0.002, 0.015),
        quality=Range(35.0, 70.0),
    ),
}


@dataclass(frozen=True)
class Modality:
    """How a modality bends the common profiles, and why.

    Args:
        reason: why its ranges are what they are.
        profile: the common profile of a severity in, the modality's own out.
    """

    reason: str
    profile: Callable[[Profile], Profile]


def _scaled(common: Profile, **factors: float) -> Profile:
    scaled: dict[str, Any] = {
        name: getattr(common, name).scaled(factor, *LIMITS[name]) for name, factor in factors.items()
    }
    return replace(common, **scaled)


def _xray(common: Profile) -> Profile:
    return replace(
        _scaled(common, photons=0.6, read=0.7, impulses=0.5, quality=1.15),
        uneven=0.5,
        falloff=Range(0.05, 0.4),
        kinds=("linear", "smooth"),
        motion=0.5,
        disc=0.0,
        rows=0.5,
    )


def _dermatology(common: Profile) -> Profile:
    return replace(
        _scaled(common, photons=0.8, blur=1.4),
        uneven=0.6,
        kinds=("smooth", "linear"),
        motion=0.75,
        disc=0.4,
        subsampled=1.0,
    )


def _endoscopy(common: Profile) -> Profile:
    return replace(
        _scaled(common, photons=0.7, blur=1.2, quality=0.85),
        uneven=0.95,
        falloff=Range(0.4, 0.9),
        kinds=("radial",),
        centre=Range(0.25, 0.75),
        radius=Range(0.35, 0.8),
        motion=0.6,
        rows=0.15,
        subsampled=1.0,
    )


def _ultrasound(common: Profile) -> Profile:
    return replace(
        _scaled(common, photons=20.0, read=1.5, impulses=0.0, gamma=0.85),
        uneven=0.7,
        falloff=Range(0.2, 0.8),
        kinds=("linear",),
        angle=Range(70.0, 110.0),
        motion=0.2,
        disc=0.0,
    )


def _fundus(common: Profile) -> Profile:
    return replace(
        _scaled(common, gain=0.8, photons=0.8, blur=1.4),
        uneven=0.95,
        falloff=Range(0.3, 0.85),
        kinds=("radial",),
        centre=Range(0.35, 0.65),
        radius=Range(0.35, 0.8),
        motion=0.2,
        disc=0.3,
        subsampled=1.0,
    )


def _natural(common: Profile) -> Profile:
    stretched: dict[str, Any] = {
        name: Range(
            getattr(common, name).scaled(0.7, *LIMITS[name]).low, getattr(common, name).scaled(1.3, *LIMITS[name]).high
        )
        for name in LIMITS
    }
    return replace(common, **stretched, uneven=0.6, falloff=Range(0.1, 0.85), rows=0.2, disc=0.4)


MODALITIES: dict[str, Modality] = {
    "xray": Modality(
        "The image is quantum-limited: at a low dose few photons are counted and the electronics add little. A flat "
        "panel adds line noise, the heel effect shades along one axis, patients breathe during the exposure, and "
        "archives compress gently.",
        _xray,
    ),
    "dermatology": Modality(
        "A smartphone in a dim room: small pixels gather few photons, the hand moves during the long exposure, the "
        "lens focuses beside the lesion, hand and phone cast smooth shadows; files are always 4:2:0.",
        _dermatology,
    ),
    "endoscopy": Modality(
        "The light comes from a guide at the tip and falls off steeply away from where it points; the tip moves; the "
        "image is a frame of strongly compressed video with halved colour resolution.",
        _endoscopy,
    ),
    "ultrasound": Modality(
        "There are no photons: a dark image means low gain. What is left is electronic noise; sound is attenuated with "
        "depth, so the image darkens from the transducer downwards; log compression keeps the gamma milder, and beam "
        "formers have no dead pixels.",
        _ultrasound,
    ),
    "fundus": Modality(
        "A small pupil lets in little light and vignettes around the middle; clouded media (cataract) blur softly; the "
        "flash is too short for motion to matter.",
        _fundus,
    ),
    "natural": Modality(
        "Photographs stand for everything not foreseen: all ranges are stretched both ways, every damage occurs.",
        _natural,
    ),
}


def specific(modality: str, severity: str) -> Profile:
    """The modality's own profile at a severity."""
    return MODALITIES[modality].profile(COMMON[severity])


def draw_profile(
    modality: str | None, severity: str, random: np.random.RandomState, modality_share: float = MODALITY_SHARE
) -> tuple[str, Profile]:
    """A profile and its name: ``common``, ``widened``, or a modality.

    Args:
        modality: one of ``MODALITIES``; None stands for any of them, all equally likely.
        severity: one of ``SEVERITIES``.
        modality_share: probability of the modality's own profile.
    """
    if random.rand() < modality_share:
        name = modality or tuple(MODALITIES)[random.randint(len(MODALITIES))]
        return name, specific(name, severity)
    if random.rand() < WIDENED_SHARE:
        return "widened", COMMON[severity].widened()
    return "common", COMMON[severity]


__all__ = ["COMMON", "LIMITS", "MODALITIES", "SEVERITIES", "Modality", "Profile", "draw_profile", "specific"]
