"""What every estimator of this package gives back: a number with its unit, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass


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
