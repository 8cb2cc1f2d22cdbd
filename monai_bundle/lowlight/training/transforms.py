"""From a whole clean image to what a training or validation step needs. MONAI dictionary transforms."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
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


class LongestSided(MapTransform):
    """Scale images (C, H, W) down so that the longer side has at most `size` pixels; smaller ones stay."""

    def __init__(self, keys: KeysCollection, size: int) -> None:
        super().__init__(keys)
        self.size = size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        for key in self.key_iterator(item):
            height, width = item[key].shape[-2:]
            scale = self.size / max(height, width)
            if scale < 1:
                item[key] = _resize(item[key], (max(1, round(height * scale)), max(1, round(width * scale))))
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
