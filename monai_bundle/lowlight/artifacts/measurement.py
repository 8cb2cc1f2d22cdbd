"""What every estimator of this package gives back: a number with its unit, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SINGLE_VALUE = "the image holds a single value"
"""The reason where there is nothing to tell damage from."""


@dataclass(frozen=True)
class Measurement:
    """One number about an image.

    Attributes:
        value: the number; None where the image does not let it be told.
        unit: what it counts, for a reader: "of range" (black to white = 1), "px", "degrees", "share", "quality".
        reason: why there is no number, in words that follow "not measurable: "; empty where there is one.
    """

    value: float | None
    unit: str
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError(f"a measurement has either a value or a reason, got {self.value!r} and {self.reason!r}")

    @classmethod
    def missing(cls, unit: str, reason: str) -> Measurement:
        """Not measurable, and why."""
        return cls(None, unit, reason)

    @property
    def measurable(self) -> bool:
        """Whether there is a number."""
        return self.value is not None

    def __str__(self) -> str:
        return f"not measurable: {self.reason}" if self.value is None else f"{self.value:.4g} {self.unit}"


def single_valued(pixels: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> bool:
    """Whether all judged pixels are the same, in each channel.

    Args:
        pixels: (H, W) or (H, W, C), any dtype.
        valid: (H, W), False where a pixel is not to be judged; None: all are.

    Returns:
        False where no pixel is to be judged: that is another reason.
    """
    judged = pixels.reshape(-1, *pixels.shape[2:]) if valid is None else pixels[valid]
    return len(judged) > 0 and bool((judged == judged[0]).all())
