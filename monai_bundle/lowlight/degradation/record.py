"""What was done to an image, kept with the image: written, read, printed, replayed.

A record is a list of steps ``{"name": ..., "parameters": {...}}`` in the order in which they were applied. It lies as
JSON text in ``MetaTensor.meta["degradation"]``: MONAI's collate and decollate take lists and dictionaries in the
metadata apart and transpose them over the batch (and fail where two records differ in length), but leave text alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lowlight.degradation.base import Degradation, Image, record_of

Record = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def steps_of(record: Record) -> list[Degradation]:
    """The transforms a record names, ready to be applied.

    Args:
        record: JSON text, one step, or a list of steps.

    Raises:
        ValueError: the record is no such thing, or names an unknown transform or impossible parameters.
    """
    steps: Any = record
    if isinstance(record, str):
        try:
            steps = json.loads(record)
        except json.JSONDecodeError as error:
            raise ValueError(f"the degradation record is not JSON: {error}") from None
    if isinstance(steps, Mapping):
        steps = [steps]
    if not isinstance(steps, Sequence):
        raise ValueError(f"a degradation record is a list of steps, got {steps!r}")
    return [Degradation.from_record(step) for step in steps]


def replay(clean: Image, record: Record) -> Image:
    """Apply a recorded degradation again: the same pixels, bit for bit.

    If ``clean`` is a MetaTensor whose own record is the beginning of ``record`` (it was, say, contrast-stretched before
    it was kept as the truth), only what came afterwards is applied.

    The noise is drawn from recorded seeds and JPEG comes from the installed codec, so bit-exactness holds for the same
    versions of NumPy, SciPy and Pillow.

    Args:
        clean: the image before degradation, (1, H, W) or (3, H, W), float in [0, 1], of the dtype it had then.
        record: ``image.meta["degradation"]``, or the list that :func:`record_of` returns, or one step of it.

    Raises:
        ValueError: unknown transform, impossible parameters, or an image that cannot be degraded.

    Example:
        >>> import torch
        >>> from monai.data import MetaTensor
        >>> from lowlight.degradation import LowLight, record_of
        >>> clean = MetaTensor(torch.rand(1, 32, 32))
        >>> dark = LowLight(severity="heavy").set_random_state(7)(clean)
        >>> bool(torch.equal(replay(clean, record_of(dark)), dark))
        True
    """
    steps = steps_of(record)
    already_done = steps_of(record_of(clean))
    if already_done and steps[: len(already_done)] == already_done:
        steps = steps[len(already_done) :]
    for step in steps:
        clean = step(clean)
    return clean


def describe(record: Record) -> str:
    """The record in one line, for logs and captions.

    Example:
        >>> describe({"name": "Exposure", "parameters": {"gain": 0.3125, "gamma": 2.0}})
        'Exposure(gain=0.3125, gamma=2)'
    """
    return " -> ".join(step.describe() for step in steps_of(record)) or "as it was"
