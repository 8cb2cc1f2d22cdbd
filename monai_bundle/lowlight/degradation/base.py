"""What all degradations share: array and dictionary form, deterministic and random, and the record they leave.

A deterministic transform is a frozen dataclass: its fields are its parameters, and with them its record. A random
transform draws such a twin and applies it. Both take and return channel-first images, (1, H, W) or (3, H, W), float in
[0, 1], as NumPy arrays, tensors or MetaTensors; what goes in comes out. The arithmetic is float32 in NumPy, because a
degradation runs in the workers of a data loader, next to the file it came from.
"""

from __future__ import annotations

import dataclasses
import json
from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor, get_track_meta
from monai.transforms import MapTransform, RandomizableTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type

KEY = "degradation"
"""The metadata entry that holds the record."""

OVERSHOOT = 0.25
"""Interpolation may leave [0, 1] by this much and is clipped; more than that is another value range, and refused."""

Image = TypeVar("Image", bound="np.ndarray | torch.Tensor")


def generator(seed: int) -> np.random.Generator:
    """The noise source of one step: SFC64 is the fastest of NumPy's bit generators whose streams are documented."""
    return np.random.Generator(np.random.SFC64(seed))


def draw_seed(random: np.random.RandomState) -> int:
    """A seed for :func:`generator`."""
    return int(random.randint(2**32, dtype=np.uint32))


def checked_seed(seed: int) -> int:
    """The seed as a plain int; ValueError if it is none in [0, 2^32)."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number between 0 and 2^32 - 1, got {seed!r}")
    return int(seed)


def pixels_of(image: np.ndarray | torch.Tensor) -> np.ndarray:
    """The image as a float32 array (C, H, W) in [0, 1].

    Raises:
        ValueError: not channel-first with one or three channels, empty, not floating-point, not finite, or in another
            value range.
    """
    if isinstance(image, MetaTensor):
        image = image.as_tensor()
    if isinstance(image, torch.Tensor):
        # bfloat16 has no NumPy twin.
        image = (image.detach().float() if image.is_floating_point() else image.detach()).cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image must be an array or a tensor, got {type(image).__name__}")
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"image must be channel-first, (1, H, W) or (3, H, W), and not empty; got {image.shape}")
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"image must be floating-point in [0, 1], got {image.dtype}; divide by its white value")
    low, high = float(image.min()), float(image.max())
    if not np.isfinite(low + high):
        raise ValueError("image holds NaN or infinite values")
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise ValueError(f"image must lie in [0, 1], got {low:g} to {high:g}; divide by its white value")
    return np.clip(image, 0, 1).astype(np.float32, copy=False)


def grey_channel(pixels: np.ndarray) -> np.ndarray:
    """One channel, if a colour array holds the same one three times: noise and JPEG are then those of a grey sensor."""
    if len(pixels) == 3 and np.array_equal(pixels[0], pixels[1]) and np.array_equal(pixels[0], pixels[2]):
        return pixels[:1]
    return pixels


def record_of(image: Any) -> list[dict[str, Any]]:
    """The steps recorded with an image: ``[{"name": ..., "parameters": {...}}, ...]``, empty if there are none."""
    return list(json.loads(image.meta.get(KEY, "[]"))) if isinstance(image, MetaTensor) else []


def as_meta_tensor(image: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """The image as something that can carry a record, unless MONAI was told not to track metadata."""
    if isinstance(image, MetaTensor) or not get_track_meta():
        return image
    return MetaTensor(image if isinstance(image, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(image)))


class Degradation(Transform):
    """A deterministic degradation. Subclasses are frozen dataclasses that check their fields and define :meth:`apply`.

    Three equal channels count as grey: one is degraded and repeated, so that a grey image stays grey.
    """

    backend: ClassVar[list[TransformBackends]] = [TransformBackends.NUMPY]
    _known: ClassVar[dict[str, type[Degradation]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Degradation._known[cls.__name__] = cls

    @abstractmethod
    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Degrade a float32 array (C, H, W); may leave [0, 1] where a later step is to see it."""

    def __call__(self, data: Image) -> Image:
        """Degrade an image, (1, H, W) or (3, H, W), float in [0, 1]; a MetaTensor gains a step in its record.

        Raises:
            ValueError: see :func:`pixels_of`.
        """
        pixels = pixels_of(data)
        degraded = np.clip(self.apply(grey_channel(pixels)), 0, 1)
        if len(degraded) != len(pixels):
            degraded = np.repeat(degraded, len(pixels), axis=0)
        result = convert_to_dst_type(np.ascontiguousarray(degraded, np.float32), data, dtype=data.dtype)[0]
        if isinstance(result, MetaTensor):
            result.meta[KEY] = json.dumps([*record_of(data), self.record()])
        return result

    def parameters(self) -> dict[str, Any]:
        """The fields as JSON knows them."""
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), tuple) else value
            for field in dataclasses.fields(self)
        }

    def record(self) -> dict[str, Any]:
        """What :func:`~lowlight.degradation.replay` needs to do this again."""
        return {"name": type(self).__name__, "parameters": self.parameters()}

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """The transform with these parameters, as :meth:`parameters` gave them."""
        return cls(**parameters)

    @staticmethod
    def from_record(step: Mapping[str, Any]) -> Degradation:
        """The transform that one step of a record names.

        Raises:
            ValueError: no such transform, or not its parameters.
        """
        try:
            name, parameters = step["name"], step["parameters"]
            return Degradation._known[name].from_parameters(parameters)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no step of a degradation record: {step!r} ({error})") from None

    def describe(self) -> str:
        """The transform and its parameters in a line."""
        values = (f"{name}={_short(value)}" for name, value in self.parameters().items())
        return f"{type(self).__name__}({', '.join(values)})"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(_short, value))})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class RandomDegradation(RandomizableTransform):
    """A degradation whose parameters are drawn anew for each image.

    Args:
        prob: share of the images that are degraded.
    """

    backend: ClassVar[list[TransformBackends]] = [TransformBackends.NUMPY]
    drawn: Degradation | None = None
    """The deterministic twin drawn last; None if the image was left alone."""

    def __init__(self, prob: float = 1.0) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must lie between 0 and 1, got {prob!r}")
        super().__init__(prob)

    @abstractmethod
    def draw(self, random: np.random.RandomState) -> Degradation:
        """A deterministic twin with parameters from the ranges."""

    def randomize(self, data: Any = None) -> None:
        """Decide whether to degrade, and how."""
        super().randomize(data)
        self.drawn = self.draw(self.R) if self._do_transform else None

    def __call__(self, data: Image, randomize: bool = True) -> Image:
        """Degrade an image; ``randomize=False`` does the same as the last time.

        Raises:
            ValueError: see :func:`pixels_of`.
        """
        if randomize:
            self.randomize(data)
        return data if self.drawn is None else self.drawn(data)


class DictionaryForm(MapTransform):
    """A deterministic degradation for items of a data set: plain arrays and tensors become MetaTensors."""

    backend: ClassVar[list[TransformBackends]] = [TransformBackends.NUMPY]

    def __init__(self, keys: KeysCollection, transform: Degradation, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transform = transform

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Degrade the images under the keys."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self.transform(as_meta_tensor(item[key]))
        return item


class RandomDictionaryForm(RandomizableTransform, MapTransform):
    """A random degradation for items of a data set; all keys of an item get the same parameters."""

    backend: ClassVar[list[TransformBackends]] = [TransformBackends.NUMPY]

    def __init__(self, keys: KeysCollection, transform: RandomDegradation, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, transform.prob)
        self.transform = transform

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> Self:
        """Make the draws reproducible."""
        super().set_random_state(seed, state)
        self.transform.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Degrade the images under the keys."""
        item = dict(data)
        self.transform.randomize()
        for key in self.key_iterator(item):
            item[key] = self.transform(as_meta_tensor(item[key]), randomize=False)
        return item
