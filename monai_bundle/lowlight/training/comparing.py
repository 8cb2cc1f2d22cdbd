"""Measuring results in the evaluation workflow, with the same code, and so the same figures, as `lowlight evaluate`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from lowlight.evaluation import ALL, Group, Pair, Row, compare, summarise, write_csv, write_summary_csv
from lowlight.imaging import Found, write_png

logger = logging.getLogger(__name__)


class WithFile:
    """A transform whose result names under "file" the file that the item's image came from.

    Args:
        transform: what turns an item {"image": path, ...} into the item that the network gets.
    """

    def __init__(self, transform: Callable[[Mapping[Hashable, Any]], Mapping[Hashable, Any]]) -> None:
        self.transform = transform

    def __call__(self, item: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        return {**self.transform(item), "file": str(item["image"])}


class Comparison:
    """Measures every enhanced image against its truth, and publishes and writes what was found.

    Metrics of the engine: ``val_<measure>`` is the mean over all observations, ``<measure>_<group>`` that over a group
    (measures are those of `lowlight.evaluation.Measures`). Files in `output_dir`: ``observations.csv``, a line each,
    and ``summary.csv``, for each group and measure the mean with its 95 % bootstrap interval and the median.

    Args:
        output_dir: folder of the tables.
        dataset_dir: what names of files are told from.
        images_dir: folder for the clean, dark and enhanced images as 16-bit PNG, which `lowlight evaluate
            images_dir/clean images_dir/enhanced --input images_dir/dark` compares once more; None: they are not kept.
        by: keys of the batch's items whose values form the groups; the first is the column "group" of the table.
    """

    def __init__(
        self,
        output_dir: str | Path,
        dataset_dir: str | Path,
        images_dir: str | Path | None = None,
        by: Sequence[str] = ("modality", "severity"),
    ) -> None:
        self.output_dir, self.dataset_dir = Path(output_dir), Path(dataset_dir).absolute()
        self.images_dir = None if images_dir is None else Path(images_dir)
        self.by = tuple(by)
        self.rows: list[tuple[Row, dict[str, str]]] = []

    def attach(self, engine: Engine) -> None:
        """Measure after every batch, publish and write after the evaluation."""
        engine.add_event_handler(Events.EPOCH_STARTED, lambda _: self.rows.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._measure)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._publish)

    def groups(self) -> list[Group]:
        """Every group of every kind, and all observations last."""
        kinds = [summarise([_regrouped(row, groups[key]) for row, groups in self.rows]) for key in self.by]
        return [group for kind in kinds for group in kind if group.name != ALL] + kinds[0][-1:]

    def _measure(self, engine: Engine) -> None:
        for source, item in zip(engine.state.batch, engine.state.output, strict=True):
            dark, output, truth = (_pixels(item[key]) for key in ("image", "pred", "label"))
            groups = {key: str(source[key]) for key in self.by}
            below = self._below(Path(source["file"]))
            # Below a folder for the severity, because a truth has an observation at each.
            name = Path(groups.get("severity", ""), below)
            if self.images_dir is not None:
                _keep(truth, self.images_dir / "clean" / below)
                _keep(dark, self.images_dir / "dark" / name)
                _keep(output, self.images_dir / "enhanced" / name)
            clean = Found(Path(source["file"]), below, explicit=False)
            pair = Pair(name.as_posix(), groups[self.by[0]], clean, clean)
            self.rows.append((Row(pair, compare(output, truth, dark)), groups))

    def _below(self, file: Path) -> Path:
        file = file.absolute()
        return file.relative_to(self.dataset_dir) if file.is_relative_to(self.dataset_dir) else Path(file.name)

    def _publish(self, engine: Engine) -> None:
        groups = self.groups()
        for group in groups:
            for name, one in group.measures.items():
                if one.mean is not None:
                    engine.state.metrics[f"val_{name}" if group.name == ALL else f"{name}_{group.name}"] = one.mean
        write_csv([row for row, _ in self.rows], self.output_dir / "observations.csv")
        write_summary_csv(groups, self.output_dir / "summary.csv")
        logger.info("Measures of %d observations written to %s.", len(self.rows), self.output_dir)


def _keep(pixels: NDArray[np.float32], path: Path) -> None:
    levels = np.rint(np.clip(pixels, 0, 1) * 65535).astype(np.uint16)
    grey = bool((levels == levels[..., :1]).all())
    # The source's suffix stays before the new one: a.jpg and a.png may lie side by side.
    write_png(np.ascontiguousarray(levels[..., 0] if grey else levels), path.with_name(f"{path.name}.png"))


def _regrouped(row: Row, name: str) -> Row:
    return replace(row, pair=replace(row.pair, group=name))


def _pixels(image: Any) -> NDArray[np.float32]:
    """A tensor (C, H, W) as (H, W, C)."""
    pixels: NDArray[np.float32] = torch.as_tensor(image).float().cpu().permute(1, 2, 0).numpy()
    return pixels
