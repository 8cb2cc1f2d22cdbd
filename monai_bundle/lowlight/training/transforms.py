"""From a whole clean image to what a training or validation step needs. MONAI dictionary transforms."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable, RandomizableTransform
from torch import Tensor
from torch.nn import functional

from lowlight.degradation import LowLightd
from lowlight.model.features import MODALITIES
from lowlight.model.network import split_prediction


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bilinear resize of (C, H, W); values stay in their range."""
    plain = torch.as_tensor(image)[None]
    return functional.interpolate(plain, size=size, mode="bilinear", antialias=True, align_corners=False)[0]


def _at_most(image: Tensor, size: int) -> Tensor:
    """The image (C, H, W), scaled down where its longer side has more than `size` pixels."""
    height, width = image.shape[-2:]
    scale = size / max(height, width)
    return image if scale >= 1 else _resize(image, (max(1, round(height * scale)), max(1, round(width * scale))))


class RandPatchd(RandomizableTransform, MapTransform):
    """A square patch: now and then the whole frame scaled down, else a crop at its own or a coarser scale.

    The tone path decides from the whole frame, the denoise path from what is near: one sort of patch teaches each.

    Args:
        keys: images (C, H, W), all of one size; cut alike.
        size: side of the patch in pixels.
        whole_probability: share of patches that are the whole frame.
        largest_shrink: crops cover up to this many times `size` before they are scaled to it (1: own scale only).
    """

    def __init__(
        self, keys: KeysCollection, size: int = 160, whole_probability: float = 0.5, largest_shrink: float = 2.0
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob=1.0)
        self.size, self.whole_probability, self.largest_shrink = size, whole_probability, largest_shrink

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        height, width = torch.as_tensor(item[self.keys[0]]).shape[-2:]
        whole = self.R.random() < self.whole_probability
        side = min(height, width, int(self.size * self.R.uniform(1.0, self.largest_shrink)))
        top, left = self.R.randint(height - side + 1), self.R.randint(width - side + 1)
        turns, mirrored = self.R.randint(4), self.R.random() < 0.5
        for key in self.key_iterator(item):
            image = torch.as_tensor(item[key])
            # A whole frame keeps its way up, which tells a chest from an abdomen; a crop may be turned.
            patch = image if whole else torch.rot90(image[..., top : top + side, left : left + side], turns, (-2, -1))
            patch = torch.flip(patch, (-1,)) if mirrored else patch
            if patch.shape[-2:] != (self.size, self.size):
                patch = _resize(patch, (self.size, self.size))
            item[key] = patch.contiguous()
        return item


class RandFramed(Randomizable, MapTransform):
    """A frame as another camera might have framed it: cropped a little, mirrored, turned, of another size.

    For the tone path, which decides from whole frames, of whatever size a user brings.

    Args:
        keys: images (C, H, W), all of one size; framed alike.
        sizes: smallest and largest length in pixels of the longer side, drawn evenly. Frames are never scaled up.
        crop_probability: share of frames that are cropped, each side by itself.
        least_share: least share of a side that a crop keeps.
        turned: modalities of which half are turned by a random number of quarter turns: those that have no way up.
        least_side: px, of the shorter side: frames are not scaled down below it.
        untouched_probability: share of frames that stay as they are, at their own scale and on the grid of the JPEG
            file that they came from: as the images are that a user brings.
    """

    def __init__(
        self,
        keys: KeysCollection,
        sizes: tuple[int, int] = (160, 448),
        crop_probability: float = 0.7,
        least_share: float = 0.6,
        turned: Sequence[str] = ("dermatology", "natural", "endoscopy"),
        least_side: int = 1,
        untouched_probability: float = 0.0,
    ) -> None:
        super().__init__(keys)
        self.least_side, self.untouched_probability = least_side, untouched_probability
        self.sizes, self.crop_probability, self.least_share = sizes, crop_probability, least_share
        self.turned = tuple(turned)

    def randomize(self, data: Any = None) -> None:
        self.cropped = self.R.random() < self.crop_probability
        self.shares, self.places = self.R.uniform(self.least_share, 1, 2), self.R.random(2)
        self.mirrored = self.R.random() < 0.5
        self.turns = int(self.R.randint(4)) if self.R.random() < 0.5 else 0
        self.size = int(self.R.randint(self.sizes[0], self.sizes[1] + 1))
        self.untouched = self.R.random() < self.untouched_probability

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        self.randomize()
        if self.untouched:
            return item
        turns = self.turns if item.get("modality") in self.turned else 0
        for key in self.key_iterator(item):
            image = self._crop(torch.as_tensor(item[key])) if self.cropped else torch.as_tensor(item[key])
            image = torch.flip(image, (-1,)) if self.mirrored else image
            shorter, longer = sorted(image.shape[-2:])
            size = max(self.size, math.ceil(self.least_side * longer / shorter))
            item[key] = _at_most(torch.rot90(image, turns, (-2, -1)), size).contiguous()
        return item

    def _crop(self, image: Tensor) -> Tensor:
        kept = [max(1, int(share * side)) for share, side in zip(self.shares, image.shape[-2:], strict=True)]
        first = [
            int(place * (side - length + 1))
            for place, side, length in zip(self.places, image.shape[-2:], kept, strict=True)
        ]
        return image[..., first[0] : first[0] + kept[0], first[1] : first[1] + kept[1]]


class LongestSided(MapTransform):
    """Scale images (C, H, W) down so that the longer side has at most `size` pixels; smaller ones stay."""

    def __init__(self, keys: KeysCollection, size: int) -> None:
        super().__init__(keys)
        self.size = size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = _at_most(item[key], self.size)
        return item


class ThreeChannelsd(MapTransform):
    """Give grey images (1, H, W) three equal channels, as the network wants them; colour (3, H, W) passes."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        for key in self.key_iterator(item):
            image = torch.as_tensor(item[key])
            item[key] = image.expand(3, -1, -1).contiguous() if image.shape[0] == 1 else image[:3]
        return item


class FixedLowLightd(MapTransform):
    """Degrade for validation: the severity stands in the item, the seed follows from the file's name and the severity.

    So an image has the same observation in every run, on every machine, whatever else is in the list.

    Args:
        keys: the image, replaced by its observation.
        copy_clean_to: key that receives the clean image.
    """

    def __init__(self, keys: KeysCollection, copy_clean_to: str = "label") -> None:
        super().__init__(keys)
        self.copy_clean_to = copy_clean_to

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        severity = str(item["severity"])
        name = Path(str(item.get("name") or item[self.keys[0]].meta["filename_or_obj"])).name
        seed = int.from_bytes(hashlib.sha256(f"{name} {severity}".encode()).digest()[:4], "big")
        degrade = LowLightd(self.keys, severity=severity, copy_clean_to=self.copy_clean_to)
        degrade.set_random_state(seed=seed)
        return dict(degrade(item))


class RandTurnd(Randomizable, MapTransform):
    """Turn an image by random quarter turns; `target` receives (modality index, turns): for `FeatureNet`."""

    def __init__(self, keys: KeysCollection, target: str = "label") -> None:
        MapTransform.__init__(self, keys)
        self.target = target

    def randomize(self, data: Any = None) -> None:
        self.turns = int(self.R.randint(4))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        self.randomize()
        for key in self.key_iterator(item):
            item[key] = torch.rot90(torch.as_tensor(item[key]), self.turns, (-2, -1)).contiguous()
        known = item["modality"] in MODALITIES
        item[self.target] = torch.tensor([MODALITIES.index(item["modality"]) if known else -100, self.turns])
        return item


class Enhancedd(MapTransform):
    """Keep of a network output (9, H, W) the enhanced picture (3, H, W), clipped to the display's [0, 1]."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = split_prediction(torch.as_tensor(item[key])[None]).enhanced[0].clamp(0, 1)
        return item
