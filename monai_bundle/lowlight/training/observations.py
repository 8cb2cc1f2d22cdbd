"""Observations of whole frames, simulated once and reduced to what the tone path sees of them.

To simulate an observation takes a hundred times as long as to train the tone path on it, and the tone path sees only a
small picture and some statistics. So these are kept, some 26 kB an observation, and used for many epochs.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import Compose, MapTransform
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lowlight.model.network import TonePath
from lowlight.model.resampling import area_resize
from lowlight.training.datalist import balanced_weights

logger = logging.getLogger(__name__)

REPORT_INTERVAL = 500
"""Observations after which progress is told again."""


class SeenByTonePathd(MapTransform):
    """Reduce frames (3, H, W) to area means, and the observation to what the tone path sees of it.

    Adds "cells" (6, size, size) float16 and "statistics" (count,) float32, as `TonePath.see` gives them for the first
    key; each key's image becomes its area means (3, grid, grid), float16.

    Args:
        keys: the observation, then images that are only averaged (the truth). float32 tensors in display space.
        tone: the tone path. Its weights do not matter; it is copied to the CPU.
        grid: cells of the area means, a side.
    """

    def __init__(self, keys: KeysCollection, tone: TonePath, grid: int = 32) -> None:
        super().__init__(keys)
        self.tone, self.grid = copy.deepcopy(tone).cpu(), grid

    @torch.no_grad()
    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        cells, statistics = self.tone.see(item[self.keys[0]][None])
        for key in self.key_iterator(item):
            item[key] = area_resize(item[key][None], (self.grid, self.grid))[0].half()
        return {**item, "cells": cells[0].half(), "statistics": statistics[0]}


class Observations(Dataset[dict[str, Tensor]]):
    """Simulates observations when it is made, and holds them in memory.

    Which images are observed how often, and how, follows from the seed alone, whatever the number of processes.

    Args:
        items: dictionaries that name an "image" and its "modality".
        load: transform that reads an item; done once an image.
        observe: random transform of what `load` gives into a dictionary of tensors, of the same names, shapes and types
            for every item: one observation.
        count: number of observations.
        balance: see `lowlight.training.datalist.balanced_weights`.
        seed: of the choice of images and of their observations.
        num_workers: processes that simulate; 0: this one.

    Raises:
        RuntimeError: a transform failed on an image; the message holds why.
    """

    def __init__(
        self,
        items: Sequence[Mapping[str, Any]],
        load: Callable[[Any], Any],
        observe: Compose,
        count: int,
        balance: float = 0.75,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        random = np.random.RandomState(seed)
        weights = np.asarray(balanced_weights([dict(item) for item in items], balance))
        times = np.bincount(random.choice(len(items), size=count, p=weights / weights.sum()), minlength=len(items))
        seeds = random.randint(2**31, size=len(items))
        plan = [(dict(items[k]), int(times[k]), int(seeds[k])) for k in range(len(items)) if times[k]]
        self.kept: dict[str, Tensor] = {}
        self.count = count
        self._simulate(_ByImage(plan, load, observe), num_workers)

    def _simulate(self, images: _ByImage, num_workers: int) -> None:
        done = 0
        for found in DataLoader(images, batch_size=None, num_workers=num_workers):
            before, done = done, done + len(next(iter(found.values())))
            for name, values in found.items():
                if name not in self.kept:
                    self.kept[name] = values.new_empty((self.count, *values.shape[1:]))
                self.kept[name][before:done] = values
            if done // REPORT_INTERVAL > before // REPORT_INTERVAL or done == self.count:
                logger.info("%d of %d observations simulated.", done, self.count)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: values[index] for name, values in self.kept.items()}


class _ByImage(Dataset[Any]):
    """All observations of one image at a time, stacked, so that it is read once. plan: (item, how many, seed)."""

    def __init__(
        self, plan: list[tuple[dict[str, Any], int, int]], load: Callable[[Any], Any], observe: Compose
    ) -> None:
        self.plan, self.load, self.observe = plan, load, observe

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> Any:
        item, times, seed = self.plan[index]
        loaded = self.load(item)
        self.observe.set_random_state(seed=seed)
        observations = [self.observe(copy.deepcopy(loaded)) for _ in range(times)]
        return {name: torch.stack([each[name] for each in observations]) for name in observations[0]}
