"""Numbers and ranges that parameters are drawn from: parsed, checked and drawn in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def checked(name: str, value: float, low: float = -math.inf, high: float = math.inf) -> float:
    """The value as a plain float.

    Raises:
        ValueError: it is no finite number, or lies outside ``[low, high]``.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}") from None
    if not math.isfinite(number) or not low <= number <= high:
        raise ValueError(f"{name} must be a finite number between {low:g} and {high:g}, got {value!r}")
    return number


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    """The value, if it is one of the choices; otherwise a ValueError that lists them."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    return value


@dataclass(frozen=True)
class Range:
    """A closed interval that a parameter is drawn from, uniformly.

    Args:
        low, high: the ends; equal ends always give that value.

    Raises:
        ValueError: ``low`` above ``high``, or an end that is not finite.

    Example:
        >>> Range(0.2, 0.4).widened(0.5, 0.0, 0.45)
        Range(low=0.1, high=0.45)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"a range needs finite ends, the lower first; got {self.low!r} and {self.high!r}")

    @classmethod
    def parse(
        cls, name: str, value: float | Sequence[float] | Range, low: float = -math.inf, high: float = math.inf
    ) -> Range:
        """A number (always that value), a pair (low, high) or a Range, inside the limits ``low`` and ``high``."""
        if isinstance(value, Range):
            ends: Sequence[float] = (value.low, value.high)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            ends = value
        else:
            ends = (value, value)
        if len(ends) != 2:
            raise ValueError(f"{name} must be a number or a pair (low, high), got {value!r}")
        first, last = (checked(name, end, low, high) for end in ends)
        if first > last:
            raise ValueError(f"{name}: the range must be given lower end first, got {value!r}")
        return cls(first, last)

    def draw(self, random: np.random.RandomState) -> float:
        """One value, uniform over the range."""
        return float(random.uniform(self.low, self.high))

    def widened(self, share: float, low: float, high: float) -> Range:
        """Longer by ``share`` of its width at each end, but not beyond ``low`` and ``high``."""
        margin = share * (self.high - self.low)
        return Range(max(self.low - margin, min(low, self.low)), min(self.high + margin, max(high, self.high)))

    def scaled(self, factor: float, low: float = -math.inf, high: float = math.inf) -> Range:
        """Both ends times ``factor``, then brought inside ``low`` and ``high``."""
        return Range(min(max(self.low * factor, low), high), min(max(self.high * factor, low), high))
