"""One pair of images, measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowlight.errors import InputError
from lowlight.evaluation.modalities import UNKNOWN
from lowlight.evaluation.pairing import Pair
from lowlight.imaging import MedicalImage
from lowlight.model.details import compare_detail
from lowlight.model.metrics import (
    PSNR,
    SSIM,
    ColourDifference,
    ContrastFidelity,
    ContrastImprovementIndex,
    LightnessOrderError,
    MultiScaleSSIM,
    PairMetric,
    local_contrast,
)

LEAST_CONTRAST = 1 / 255
"""Local contrast, as a share of black to white, below which an image counts as flat: one level of an 8-bit screen."""


@dataclass(frozen=True)
class Measures:
    """What was measured on one pair, in the order of `lowlight.evaluation.MEANINGS`.

    Attributes:
        psnr: peak signal-to-noise ratio, dB; 100 for identical images.
        ssim: structural similarity, at most 1.
        ms_ssim: multi-scale structural similarity (Wang, Simoncelli and Bovik 2003), 0 to 1; None where a side is below
            176 px: its five scales do not fit, and with fewer it would be another measure under the same name.
        contrast: local contrast over that of the truth: 1 restored (or identical), below 1 flat, above 1 exaggerated;
            None where the truth has next to none (`LEAST_CONTRAST`), which no ratio says anything about.
        contrast_improvement: local contrast over that of the image before enhancement; None if that was not given, or
            has next to none.
        colour_difference: mean CIEDE2000 difference; None for grey images, be they stored in three equal channels.
        lightness_order_error: share of pixel pairs whose order of lightness differs from the truth's, 0 to 1.
        detail_fidelity, spurious_detail: see `lowlight.model.details`; None where the truth has no fine detail.
    """

    psnr: float
    ssim: float
    ms_ssim: float | None = None
    contrast: float | None = None
    contrast_improvement: float | None = None
    colour_difference: float | None = None
    lightness_order_error: float | None = None
    detail_fidelity: float | None = None
    spurious_detail: float | None = None


@dataclass(frozen=True)
class Row:
    """One measured pair."""

    pair: Pair
    measures: Measures


def measure(
    one: Pair, value_range: tuple[float, float] | None = None, progress: Callable[[int, int], None] | None = None
) -> Row:
    """Read a pair and compare it; frames are measured one by one and averaged.

    A pair whose modality neither a list nor a name told is given the one that its files state.

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
    stated = clean.modality or enhanced.modality
    if one.group == UNKNOWN and one.group_from and stated:
        one = replace(one, group=stated, group_from="the file itself")
    return Row(one, mean_of(measured))


def compare(output: NDArray[Any], truth: NDArray[Any], observed: NDArray[Any] | None = None) -> Measures:
    """Measure one image against its truth.

    Args:
        output, truth, observed: (H, W) or (H, W, 3), float, black 0 and white 1; clipped to that, as a screen does.
            Where one is grey and the other in colour, the grey one counts as three equal channels: a tint is an error.
            Where all are grey, in three equal channels too, they count as grey.
    """
    images = [image for image in (output, truth, observed) if image is not None]
    channels = 1 if all(map(_is_grey, images)) else 3
    result, reference = _tensor(output, channels), _tensor(truth, channels)
    before = None if observed is None else _tensor(observed, channels)
    detail = compare_detail(_array(result), _array(reference))
    return Measures(
        psnr=float(PSNR().measure(result, reference)),
        ssim=float(SSIM().measure(result, reference)),
        ms_ssim=_number(MultiScaleSSIM(), result, reference),
        contrast=_contrast_ratio(ContrastFidelity(), result, reference),
        contrast_improvement=None if before is None else _contrast_ratio(ContrastImprovementIndex(), result, before),
        colour_difference=_number(ColourDifference(), result, reference),
        lightness_order_error=_number(LightnessOrderError(), result, reference),
        detail_fidelity=None if detail is None else detail.fidelity,
        spurious_detail=None if detail is None else detail.spurious,
    )


def mean_of(measured: Sequence[Measures]) -> Measures:
    """The mean of each measure over those that have it."""
    means: dict[str, float | None] = {}
    for field in fields(Measures):
        values = [value for one in measured if (value := getattr(one, field.name)) is not None]
        means[field.name] = float(np.mean(values)) if values else None
    return Measures(**means)  # type: ignore[arg-type]  # every image has the first two


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


def _is_grey(image: NDArray[Any]) -> bool:
    return image.ndim == 2 or bool((image == image[..., :1]).all())


def _tensor(image: NDArray[Any], channels: int) -> Tensor:
    """(H, W) or (H, W, 3) as (1, channels, H, W) in [0, 1]."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)[:channels]
    clipped = np.clip(planes, 0, 1, dtype=np.float32)
    return torch.from_numpy(np.ascontiguousarray(clipped)).expand(channels, -1, -1)[None]


def _array(image: Tensor) -> NDArray[np.float32]:
    return np.moveaxis(image[0].numpy(), 0, -1)


def _number(metric: PairMetric, result: Tensor, reference: Tensor) -> float | None:
    """A metric's value; None where it has none (NaN)."""
    value = float(metric.measure(result, reference))
    return None if math.isnan(value) else value


def _contrast_ratio(metric: PairMetric, result: Tensor, reference: Tensor) -> float | None:
    """1 for identical images, flat ones too; None where the reference is flat and the ratio would be of two noises."""
    if torch.equal(result, reference):
        return 1.0
    if float(local_contrast(reference)) < LEAST_CONTRAST:
        return None
    return float(metric.measure(result, reference))
