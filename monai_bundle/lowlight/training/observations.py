"""Observations of whole frames, simulated once and reduced to what the tone path sees of them.

To simulate an observation takes a hundred times as long as to train the tone path on it, and the tone path sees only a
small picture and some statistics. So these are kept, some 26 kB an observation, and used for many epochs.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import pickle
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import Compose, MapTransform, Randomizable
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lowlight.errors import InputError
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


class RandPatchesOfFramed(Randomizable, MapTransform):
    """Keep square patches of a frame, and where in it they lie: for the denoise path, which looks at what is near.

    Adds, for each key, "<key>_patches" (count, 3, size, size) uint8, "corners" (count, 2) int16, the first row and
    column, and "frame_size" (2,) int16, height and width. Corners lie on JPEG's grid, as the patches of `DualPathNet`
    do. Where a frame is smaller than a patch, its last rows and columns are repeated.

    Args:
        keys: frames (3, H, W) of one size, display space, cut alike; to be had in 256 steps.
        size: side of a patch in pixels, a multiple of `grid`.
        count: patches a frame.
        grid: corners are multiples of it.
    """

    def __init__(self, keys: KeysCollection, size: int = 144, count: int = 2, grid: int = 8) -> None:
        MapTransform.__init__(self, keys)
        if size % grid:
            raise ValueError(f"the size of a patch must be a multiple of {grid}, got {size}")
        self.size, self.count, self.grid = size, count, grid

    def randomize(self, data: Any = None) -> None:
        self.places = self.R.random((self.count, 2))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        self.randomize()
        height, width = item[self.keys[0]].shape[-2:]
        steps = np.maximum(0, (np.array([height, width]) - self.size) // self.grid) + 1
        corners = (self.places * steps).astype(np.int16) * self.grid
        for key in self.key_iterator(item):
            levels = (torch.as_tensor(item[key]).clamp(0, 1) * 255).round().to(torch.uint8)
            item[f"{key}_patches"] = torch.stack([self._patch(levels, *corner) for corner in corners.tolist()])
        item["corners"] = torch.from_numpy(corners)
        item["frame_size"] = torch.tensor([height, width], dtype=torch.int16)
        return item

    def _patch(self, image: Tensor, top: int, left: int) -> Tensor:
        rows = torch.arange(top, top + self.size).clamp(max=image.shape[-2] - 1)
        columns = torch.arange(left, left + self.size).clamp(max=image.shape[-1] - 1)
        return image[:, rows][:, :, columns]


class Observations(Dataset[dict[str, Tensor]]):
    """Simulates observations when it is made, and holds them in memory, or in a file that is mapped into it.

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
        file: where the observations are kept for later runs; where it exists, they are read from it instead of
            simulated. None: nowhere.

    Raises:
        RuntimeError: a transform failed on an image; the message holds why.
        InputError: `file` holds observations of other images, another count or seed, or something else.
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
        file: str | Path | None = None,
    ) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self.kept: dict[str, Tensor] = {}
        self.count, self.seed = count, seed
        self.images = _fingerprint(items)
        if file is not None and Path(file).exists():
            self._load(Path(file))
            return
        random = np.random.RandomState(seed)
        weights = np.asarray(balanced_weights([dict(item) for item in items], balance))
        times = np.bincount(random.choice(len(items), size=count, p=weights / weights.sum()), minlength=len(items))
        seeds = random.randint(2**31, size=len(items))
        plan = [(dict(items[k]), int(times[k]), int(seeds[k])) for k in range(len(items)) if times[k]]
        self._simulate(_ByImage(plan, load, observe), num_workers)
        if file is not None:
            self._save(Path(file))

    def _save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(file.name + ".part")
        found = {"count": self.count, "seed": self.seed, "images": self.images, "kept": self.kept}
        torch.save(found, unfinished)
        unfinished.replace(file)
        logger.info("The observations are kept in %s.", file)

    def _load(self, file: Path) -> None:
        try:
            found = torch.load(file, weights_only=True, mmap=True)
            made_for, self.kept = (found["count"], found["seed"]), found["kept"]
            images = found.get("images", self.images)
        except (RuntimeError, pickle.UnpicklingError, KeyError, TypeError, EOFError) as error:
            raise InputError(file, "holds no observations", "name another file, or delete it") from error
        if made_for != (self.count, self.seed):
            raise InputError(
                file,
                f"holds {made_for[0]} observations of seed {made_for[1]}, not {self.count} of {self.seed}",
                "name another file, or delete it",
            )
        if images != self.images:
            raise InputError(
                file, "holds observations of other images", "name another output_dir or observations_file, or delete it"
            )
        logger.info("%d observations read from %s.", self.count, file)

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


def _fingerprint(items: Sequence[Mapping[str, Any]]) -> str:
    """Which images these are, by name, size and kind: wherever the folder lies."""
    digest = hashlib.sha256()
    for item in items:
        path = Path(str(item["image"]))
        size = path.stat().st_size if path.is_file() else 0
        digest.update(f"{path.name}|{size}|{item.get('modality')}\n".encode())
    return digest.hexdigest()


class Patches(Dataset[dict[str, Tensor]]):
    """The patches of `Observations` one by one, each with what the tone path has seen of its frame.

    An item holds "image" and "label" (3, size, size) uint8, "corner" (2,) and "frame_size" (2,) int16, "cells" and
    "statistics" (see `SeenByTonePathd`).

    Args:
        observations: made with `RandPatchesOfFramed`.
    """

    def __init__(self, observations: Observations) -> None:
        self.kept = observations.kept
        self.per_frame = self.kept["corners"].shape[1]

    def __len__(self) -> int:
        return len(self.kept["corners"]) * self.per_frame

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        frame, patch = divmod(index, self.per_frame)
        item = {name: self.kept[name][frame] for name in ("cells", "statistics", "frame_size")}
        item["corner"] = self.kept["corners"][frame, patch]
        for name in ("image", "label"):
            item[name] = self.kept[f"{name}_patches"][frame, patch]
        return item


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
