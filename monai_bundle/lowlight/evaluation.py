"""How close enhanced images come to the truth: files paired by name, measured, averaged per group.

pairing = pair(collect(["clean"]), collect(["enhanced"]))
rows = [measure(one) for one in pairing.pairs]
for mean in summarise(rows):
    print(mean.group, mean.count, mean.measures.psnr)
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowlight.errors import InputError, NotAnImageError
from lowlight.imaging import Found, MedicalImage, atomic_path, plan_names
from lowlight.imaging.filetype import identify, split_suffix
from lowlight.model.metrics import (
    PSNR,
    SSIM,
    ColourDifference,
    ContrastFidelity,
    ContrastImprovementIndex,
    PairMetric,
    local_contrast,
)

LEAST_CONTRAST = 1 / 255
"""Local contrast, as a share of black to white, below which an image counts as flat: one level of an 8-bit screen."""

ALL = "all"
"""Name of the group that holds every row."""


class Grouping(StrEnum):
    """What a group is: the sub-folder of the enhanced image, or what its name has before the first underscore."""

    FOLDER = "folder"
    PREFIX = "prefix"


@dataclass(frozen=True)
class Measures:
    """What was measured on one pair, or its mean over a group.

    Attributes:
        psnr: peak signal-to-noise ratio, dB; 100 for identical images.
        ssim: structural similarity, at most 1.
        contrast: local contrast over that of the truth: 1 restored (or identical), below 1 flat, above 1 exaggerated;
            None where the truth has next to none (`LEAST_CONTRAST`), which no ratio says anything about.
        contrast_improvement: local contrast over that of the image before enhancement; None if that was not given, or
            has next to none.
        colour_difference: mean CIEDE2000 difference; None for grey images.
    """

    psnr: float
    ssim: float
    contrast: float | None = None
    contrast_improvement: float | None = None
    colour_difference: float | None = None


@dataclass(frozen=True)
class Pair:
    """An enhanced image, its truth, and the image before enhancement if it is known.

    Attributes:
        name: of the enhanced image, without suffix, below its folder; forward slashes.
        group: what it is averaged with.
    """

    name: str
    group: str
    clean: Found
    enhanced: Found
    observed: Found | None = None


@dataclass(frozen=True)
class Pairing:
    """The pairs, the images without a partner (or unreadable), and the files that are no images."""

    pairs: list[Pair]
    refused: list[InputError]
    skipped: list[NotAnImageError]


@dataclass(frozen=True)
class Row:
    """One measured pair."""

    pair: Pair
    measures: Measures


@dataclass(frozen=True)
class Mean:
    """The mean of each measure over a group, of those images that have it."""

    group: str
    count: int
    measures: Measures


def pair(
    clean: Iterable[Found],
    enhanced: Iterable[Found],
    observed: Iterable[Found] | None = None,
    by: Grouping = Grouping.FOLDER,
) -> Pairing:
    """Find the truth of each enhanced image.

    Two files that were named themselves are a pair whatever their names. Otherwise a partner has the same path without
    suffix below the folder that was named, or the name that enhancing it would give (``a.jpg.png`` for ``a.jpg``, where
    an ``a.png`` lies beside it). One truth serves several observations: ``heavy/a.png`` finds ``a.png`` if there is no
    ``heavy/a.png``.

    Args:
        clean: the truth, as `lowlight.imaging.collect` found it.
        enhanced: the images to judge.
        observed: the images before enhancement, for the contrast improvement; every pair then needs one.
        by: what makes a group.
    """
    refused: list[InputError] = []
    skipped: list[NotAnImageError] = []
    truths = _Names(_images(clean, refused, skipped))
    results = _images(enhanced, refused, skipped)
    inputs = None if observed is None else _Names(_images(observed, refused, skipped))
    pairs: list[Pair] = []
    used: set[Path] = set()
    for result in results:
        try:
            truth = truths.partner_of(result, "clean", alone=len(results) == 1)
            used.add(truth.path)
            before = None if inputs is None else inputs.partner_of(result, "input", alone=len(results) == 1)
        except InputError as error:
            refused.append(error)
            continue
        pairs.append(Pair(_key(result.relative).as_posix(), _group(result.relative, by), truth, result, before))
    for truth in truths.found:
        if truth.path not in used:
            fault = "has no partner among the enhanced images"
            refused.append(InputError(truth.path, fault, "enhance it too, under the same name, or take it away"))
    return Pairing(pairs, refused, skipped)


def measure(
    one: Pair, value_range: tuple[float, float] | None = None, progress: Callable[[int, int], None] | None = None
) -> Row:
    """Read a pair and compare it; frames are measured one by one and averaged.

    Args:
        one: the pair.
        value_range: (black, white) of the files, where they do not say; see `lowlight.imaging.read`.
        progress: called with the number of frames done and their total.

    Raises:
        InputError: a file is unreadable, or they differ in size or number of frames.
    """
    enhanced, clean = one.enhanced.read(value_range), one.clean.read(value_range)
    observed = None if one.observed is None else one.observed.read(value_range)
    output, truth = _frames(enhanced), _frames(clean)
    _check_same_size(enhanced, output, clean, truth)
    before = None if observed is None else _frames(observed)
    if observed is not None and before is not None:
        _check_same_size(enhanced, output, observed, before)
    measured = []
    for index in range(len(truth)):
        measured.append(compare(output[index], truth[index], None if before is None else before[index]))
        if progress is not None:
            progress(index + 1, len(truth))
    return Row(one, _mean(measured))


def compare(output: NDArray[Any], truth: NDArray[Any], observed: NDArray[Any] | None = None) -> Measures:
    """Measure one image against its truth.

    Args:
        output, truth, observed: (H, W) or (H, W, 3), float, black 0 and white 1; clipped to that, as a screen does.
            Where one is grey and the other in colour, the grey one counts as three equal channels: a tint is an error.
    """
    channels = 3 if 3 in (output.ndim, truth.ndim) else 1
    result, reference = _tensor(output, channels), _tensor(truth, channels)
    colour = float(ColourDifference().measure(result, reference))
    before = None if observed is None else _tensor(observed, channels)
    return Measures(
        psnr=float(PSNR().measure(result, reference)),
        ssim=float(SSIM().measure(result, reference)),
        contrast=_contrast_ratio(ContrastFidelity(), result, reference),
        contrast_improvement=None if before is None else _contrast_ratio(ContrastImprovementIndex(), result, before),
        colour_difference=None if math.isnan(colour) else colour,
    )


def summarise(rows: Sequence[Row]) -> list[Mean]:
    """The mean of every group, by name, and that of all rows last (alone, if there is only one group)."""
    ordered = sorted(rows, key=lambda row: row.pair.group)
    groups = [(name, list(members)) for name, members in groupby(ordered, key=lambda row: row.pair.group)]
    if len(groups) == 1:
        groups = []
    if rows:
        groups.append((ALL, ordered))
    return [Mean(name, len(members), _mean([row.measures for row in members])) for name, members in groups]


def write_csv(rows: Sequence[Row], path: str | Path) -> Path:
    """One line per pair: group, name, both files, every measure (empty where there is none). UTF-8, comma-separated.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    names = [field.name for field in fields(Measures)]
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["group", "name", "clean", "enhanced", *names])
        for row in rows:
            one = row.pair
            values = (getattr(row.measures, name) for name in names)
            cells = ["" if value is None else f"{value:.6g}" for value in values]
            writer.writerow([one.group, one.name, one.clean.path, one.enhanced.path, *cells])
    return path


class _Names:
    """Images that can be found by the name of their partner."""

    def __init__(self, found: list[Found]) -> None:
        self.found = found
        self._by_result = dict(zip(map(_posix, plan_names(found)), found, strict=True))
        self._by_key: dict[PurePosixPath, list[Found]] = {}
        for item in found:
            self._by_key.setdefault(_key(item.relative), []).append(item)

    def partner_of(self, result: Found, role: str, alone: bool) -> Found:
        """The partner of an enhanced image; ``alone`` if that is the only one.

        Raises:
            InputError: there is none, or several could be meant.
        """
        if alone and result.explicit and len(self.found) == 1 and self.found[0].explicit:
            return self.found[0]
        name = _posix(result.relative)
        for start in range(len(name.parts)):
            shorter = PurePosixPath(*name.parts[start:])
            if shorter in self._by_result:
                return self._by_result[shorter]
            matches = self._by_key.get(_key(shorter), [])
            if len(matches) == 1:
                return matches[0]
            if matches:
                several = " and ".join(item.path.name for item in matches)
                raise InputError(result.path, f"could belong to {several}", "give them different names")
        fault = f"has no partner among the {role} images"
        raise InputError(result.path, fault, "partners have the same name below their folders; suffixes do not count")


def _images(found: Iterable[Found], refused: list[InputError], skipped: list[NotAnImageError]) -> list[Found]:
    """Those that are images by their first bytes; the others are added to the lists."""
    images = []
    for item in found:
        try:
            if item.fault is not None:
                raise item.fault
            identify(item.path)
            images.append(item)
        except NotAnImageError as error:
            if item.explicit:
                refused.append(InputError(error.source, error.fault, error.remedy))
            else:
                skipped.append(error)
        except InputError as error:
            refused.append(error)
    return images


def _posix(path: Path) -> PurePosixPath:
    return PurePosixPath(path.as_posix())


def _key(relative: Path | PurePosixPath) -> PurePosixPath:
    return PurePosixPath(relative.parent.as_posix()) / split_suffix(relative.name)[0]


def _group(relative: Path, by: Grouping) -> str:
    if by is Grouping.FOLDER:
        return relative.parent.as_posix()
    return split_suffix(relative.name)[0].split("_")[0]


def _frames(image: MedicalImage) -> NDArray[np.float32]:
    values = image.normalised()
    return values if image.frames else values[None]


def _check_same_size(enhanced: MedicalImage, output: NDArray[Any], partner: MedicalImage, truth: NDArray[Any]) -> None:
    if output.shape[:3] == truth.shape[:3]:
        return
    fault = f"is {_size(output)}, but {partner.path} is {_size(truth)}"
    raise InputError(enhanced.path, fault, "compare images of the same size; do not scale or crop them")


def _size(frames: NDArray[Any]) -> str:
    size = f"{frames.shape[2]} x {frames.shape[1]}"
    return size if len(frames) == 1 else f"{len(frames)} frames of {size}"


def _tensor(image: NDArray[Any], channels: int) -> Tensor:
    """(H, W) or (H, W, 3) as (1, channels, H, W) in [0, 1]."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    clipped = np.clip(planes, 0, 1, dtype=np.float32)
    return torch.from_numpy(np.ascontiguousarray(clipped)).expand(channels, -1, -1)[None]


def _contrast_ratio(metric: PairMetric, result: Tensor, reference: Tensor) -> float | None:
    """1 for identical images, flat ones too; None where the reference is flat and the ratio would be of two noises."""
    if torch.equal(result, reference):
        return 1.0
    if float(local_contrast(reference)) < LEAST_CONTRAST:
        return None
    return float(metric.measure(result, reference))


def _mean(measured: Sequence[Measures]) -> Measures:
    means: dict[str, float | None] = {}
    for field in fields(Measures):
        values = [value for one in measured if (value := getattr(one, field.name)) is not None]
        means[field.name] = float(np.mean(values)) if values else None
    return Measures(**means)  # type: ignore[arg-type]  # every image has the first two
