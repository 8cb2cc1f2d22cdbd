"""The whole way from a clean image to a dark one."""

from __future__ import annotations

import math
import zlib
from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import ensure_tuple

from lowlight.degradation.base import (
    Degradation,
    RandomDegradation,
    as_meta_tensor,
    checked_seed,
    draw_seed,
    pixels_of,
)
from lowlight.degradation.blur import MOTION_PER_SIGMA, RandDefocus, RandMotionBlur
from lowlight.degradation.coding import Quantisation, RandJpegCompression
from lowlight.degradation.exposure import Exposure
from lowlight.degradation.illumination import RandUnevenIllumination
from lowlight.degradation.impulse import RandSaltAndPepper
from lowlight.degradation.noise import RandRowNoise, SensorNoise
from lowlight.degradation.presets import MODALITIES, MODALITY_SHARE, SEVERITIES, Profile, draw_profile
from lowlight.degradation.ranges import Range, checked, one_of


@dataclass(frozen=True)
class Observation(Degradation):
    """One low-light observation, all parameters fixed: what :class:`LowLight` draws.

    The steps follow each other without clipping, as on a sensor; the last two clip.

    Args:
        steps: in the order in which they are applied; none leaves the image as it is.
        severity, modality, profile: what the steps were drawn for, kept for the record.
    """

    steps: tuple[Degradation, ...]
    severity: str | None = None
    modality: str | None = None
    profile: str | None = None

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        for step in self.steps:
            pixels = step.apply(pixels)
        return pixels

    def parameters(self) -> dict[str, Any]:
        return {
            "severity": self.severity,
            "modality": self.modality,
            "profile": self.profile,
            "steps": [step.record() for step in self.steps],
        }

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        steps = tuple(Degradation.from_record(step) for step in parameters["steps"])
        return cls(steps, *(parameters[name] for name in ("severity", "modality", "profile")))

    def describe(self) -> str:
        origin = ", ".join(filter(None, (self.severity, self.modality, self.profile))) or "given"
        return f"[{origin}] " + (" -> ".join(step.describe() for step in self.steps) or "as it was")


def draw_steps(profile: Profile, random: np.random.RandomState, exposure_only: bool = False) -> tuple[Degradation, ...]:
    """The steps of one observation with parameters from a profile, in the order in which a camera adds them.

    exposure_only: none but exposure, uneven lighting and rounding to 8 bits.
    """
    exposure = Exposure(profile.gain.draw(random), profile.gamma.draw(random))
    steps: list[Degradation] = [exposure]
    if random.rand() < profile.uneven:
        uneven = RandUnevenIllumination(profile.falloff, profile.kinds, profile.centre, profile.radius, profile.angle)
        steps.append(uneven.draw(random))
    if exposure_only:
        return (*steps, Quantisation(8))
    if random.rand() < profile.motion:
        steps.append(RandMotionBlur(profile.blur.scaled(MOTION_PER_SIGMA)).draw(random))
    else:
        steps.append(RandDefocus(profile.blur, profile.disc).draw(random))
    read = profile.read.draw(random) * math.sqrt(exposure.gain)
    steps.append(SensorNoise(profile.photons.draw(random), read, draw_seed(random)))
    if random.rand() < profile.rows:
        steps.append(RandRowNoise(profile.row_sigma).draw(random))
    steps.append(RandSaltAndPepper(profile.impulses, per_channel=profile.per_channel).draw(random))
    steps.append(Quantisation(8))
    quality = Range(round(profile.quality.low), round(profile.quality.high))
    steps.append(RandJpegCompression(quality, profile.subsampled).draw(random))
    return tuple(steps)


class LowLight(RandomDegradation):
    """Makes a dark, noisy, blurred, compressed observation of a clean image.

    ``y = JPEG(quantise(impulses(noise(blur(light * gain * x^gamma)))))`` with Poisson-Gaussian noise, clipped to [0, 1]
    as an 8-bit sensor does; :mod:`~lowlight.degradation.presets` holds the ranges. The observation's record, with the
    seeds of its noise, is kept in the metadata of a MetaTensor, and as ``drawn`` here.

    Args:
        severity: ``light``, ``medium``, ``heavy``, or None: drawn by ``severity_weights``.
        modality: ``xray``, ``dermatology``, ``endoscopy``, ``ultrasound``, ``fundus``, ``natural``, or None: any.
        severity_weights: how often light, medium and heavy are drawn, in any unit.
        clean_probability: share of the images that are left as they are (and recorded so).
        modality_share: share of the observations that are drawn from the modality's own ranges. The rest comes from the
            common ranges, so that a network trained on any modality has seen every damage; 1 draws the modality's own
            alone.
        exposure_only_probability: share of the others whose exposure and lighting alone are wrong: dark, but neither
            noisy nor blurred nor compressed anew, as a good camera's picture with the wrong settings.
        seed: if given, an image always gets the same degradation, which depends on its pixels and this number alone,
            whatever was degraded before: for validation.

    Example:
        >>> import torch
        >>> from monai.data import MetaTensor
        >>> from lowlight.degradation import describe, record_of
        >>> transform = LowLight(severity="medium", modality="xray").set_random_state(seed=1)
        >>> dark = transform(MetaTensor(torch.full((1, 64, 64), 0.8)))
        >>> dark.shape, bool(dark.mean() < 0.4)
        (torch.Size([1, 64, 64]), True)
        >>> describe(record_of(dark)).startswith("[medium, xray, ")
        True
    """

    def __init__(
        self,
        severity: str | None = None,
        modality: str | None = None,
        severity_weights: Sequence[float] = (1.0, 1.0, 1.0),
        clean_probability: float = 0.0,
        seed: int | None = None,
        modality_share: float = MODALITY_SHARE,
        exposure_only_probability: float = 0.0,
    ) -> None:
        super().__init__()
        self.severity = None if severity is None else one_of("severity", severity, SEVERITIES)
        self.modality = None if modality is None else one_of("modality", modality, tuple(MODALITIES))
        self.severity_weights = _shares(severity_weights)
        self.clean_probability = checked("clean_probability", clean_probability, 0.0, 1.0)
        self.seed = None if seed is None else checked_seed(seed)
        self.modality_share = checked("modality_share", modality_share, 0.0, 1.0)
        self.exposure_only_probability = checked("exposure_only_probability", exposure_only_probability, 0.0, 1.0)

    def draw(self, random: np.random.RandomState, modality: str | None = None) -> Observation:
        """One observation; a ``modality`` given here overrides the transform's own."""
        modality = modality or self.modality
        severity = self.severity or SEVERITIES[random.choice(len(SEVERITIES), p=self.severity_weights)]
        # Drawn even where no image stays clean, so that the share of clean images does not change the others.
        if random.rand() < self.clean_probability:
            return Observation((), "clean", modality)
        name, profile = draw_profile(modality, severity, random, self.modality_share)
        # Without such a share, a seed draws what it always drew.
        alone = self.exposure_only_probability > 0 and random.rand() < self.exposure_only_probability
        return Observation(draw_steps(profile, random, alone), severity, modality, name)

    def randomize(self, data: Any = None, modality: str | None = None) -> None:
        """Draw the observation for an image (which matters only if there is a ``seed``)."""
        random = self.R
        if self.seed is not None and data is not None:
            random = np.random.RandomState((zlib.crc32(pixels_of(data).tobytes()), self.seed))
        self.drawn = self.draw(random, modality)


def _shares(weights: Sequence[float]) -> tuple[float, ...]:
    values = [checked("severity_weights", weight, 0.0) for weight in weights]
    if len(values) != len(SEVERITIES) or not sum(values):
        raise ValueError(f"severity_weights must be three numbers (light, medium, heavy), not all 0; got {weights!r}")
    return tuple(value / sum(values) for value in values)


class LowLightd(RandomizableTransform, MapTransform):
    """Dictionary form of :class:`LowLight`; all keys of an item get the same parameters.

    Plain arrays and tensors become MetaTensors, so that the record has a place.

    Args:
        keys: of the images to degrade.
        severity, severity_weights, clean_probability, seed, modality_share, exposure_only_probability: as in
            :class:`LowLight`.
        modality: as in :class:`LowLight`, for items that do not name theirs.
        modality_key: the item's entry that names its modality; None if there is none. A name without a preset counts as
            "any", because a user's own groups need not be ours.
        copy_clean_to: key (or one per image key) under which the clean image is kept, with its metadata; None: nowhere.
        allow_missing_keys: do not complain of an item that lacks a key.

    Example:
        >>> import torch
        >>> transform = LowLightd("image", copy_clean_to="label").set_random_state(seed=1)
        >>> item = transform({"image": torch.rand(3, 32, 32), "modality": "fundus"})
        >>> sorted(item), "degradation" in item["image"].meta, "degradation" in item["label"].meta
        (['image', 'label', 'modality'], True, False)
    """

    backend = LowLight.backend

    def __init__(
        self,
        keys: KeysCollection,
        severity: str | None = None,
        modality: str | None = None,
        severity_weights: Sequence[float] = (1.0, 1.0, 1.0),
        modality_key: Hashable | None = "modality",
        clean_probability: float = 0.0,
        copy_clean_to: KeysCollection | None = None,
        seed: int | None = None,
        allow_missing_keys: bool = False,
        modality_share: float = MODALITY_SHARE,
        exposure_only_probability: float = 0.0,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self)
        self.transform = LowLight(
            severity, modality, severity_weights, clean_probability, seed, modality_share, exposure_only_probability
        )
        self.modality_key = modality_key
        self.copy_clean_to = _targets(copy_clean_to, self.keys)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> Self:
        """Make the draws reproducible."""
        super().set_random_state(seed, state)
        self.transform.set_random_state(seed, state)
        return self

    def modality_of(self, item: Mapping[Hashable, Any]) -> str | None:
        """The preset that the item asks for, if it asks for one."""
        named = str(item.get(self.modality_key, "")).lower() if self.modality_key is not None else ""
        return named if named in MODALITIES else None

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Degrade the images under the keys.

        Raises:
            KeyError: a key is missing.
            ValueError: an image is none that can be degraded.
        """
        item = dict(data)
        images = {key: as_meta_tensor(item[key]) for key in self.key_iterator(item)}
        self.transform.randomize(next(iter(images.values()), None), self.modality_of(item))
        for key, image in images.items():
            if key in self.copy_clean_to:
                item[self.copy_clean_to[key]] = deepcopy(image)
            item[key] = self.transform(image, randomize=False)
        return item


def _targets(copy_clean_to: KeysCollection | None, keys: Sequence[Hashable]) -> dict[Hashable, Hashable]:
    targets = () if copy_clean_to is None else ensure_tuple(copy_clean_to)
    if targets and (len(targets) != len(keys) or len({*targets, *keys}) != 2 * len(keys)):
        raise ValueError(f"copy_clean_to must name one new key for each of {list(keys)}, got {copy_clean_to!r}")
    return dict(zip(keys, targets, strict=False))
