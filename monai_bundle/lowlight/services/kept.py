"""Results that are kept for the sliders, within a budget of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance import Result
from lowlight.enhance.blending import FramePrediction
from lowlight.enhance.identity import ModelIdentity
from lowlight.enhance.judging import Subject, judge
from lowlight.services.failures import Failure, bad_request

KEPT_BYTES = 2 << 30
"""Memory for results together, unless the newest alone takes more."""

Map = Literal["gain", "residual", "uncertainty"]
MAPS: tuple[Map, ...] = ("gain", "residual", "uncertainty")


@dataclass(frozen=True)
class Enhanced:
    """What became of one array.

    Attributes:
        results: one; for slices with a tone of their own one each.
        stack: the first axis of the array is slices or time.
        brightness, denoise: the strengths that were used where anything was changed.
        model: what made it, which another engine than the usual one may have.
    """

    results: tuple[Result, ...]
    stack: bool
    brightness: float
    denoise: float
    model: ModelIdentity

    @property
    def own_tones(self) -> bool:
        """Whether each slice is an image of its own."""
        return self.stack and not self.results[0].frames

    @property
    def grey(self) -> bool:
        """Whether its slices are (H, W), not (H, W, 3)."""
        return self.results[0].source.ndim == (3 if self.results[0].frames else 2)

    @property
    def image(self) -> NDArray[Any]:
        """In shape and type of the array that was given."""
        return self._joined([result.image for result in self.results])

    @property
    def bytes(self) -> int:
        """Memory that it takes, about."""
        return sum(_bytes(result) for result in self.results)

    def slimmed(self) -> Enhanced:
        """The same in less memory."""
        return replace(self, results=tuple(result.slimmed() for result in self.results))

    def strengths(self, brightness: float | None, denoise: float | None) -> tuple[float, float]:
        """Those that are asked for, or for None those that were used."""
        return (
            self.brightness if brightness is None else brightness,
            self.denoise if denoise is None else denoise,
        )

    def blend(self, brightness: float, denoise: float, number: int | None = None) -> NDArray[Any]:
        """The image at other strengths; with `number` of one slice alone."""
        if number is not None:
            return self._slice(number).blend(brightness, denoise)
        return self._joined([result.blend(brightness, denoise) for result in self.results])

    def map(
        self, name: Map, brightness: float = 1.0, denoise: float = 1.0, number: int | None = None
    ) -> NDArray[np.float32]:
        """Gain or residual at these strengths, or the uncertainty; with `number` of one slice alone."""
        if number is not None:
            return _map(self._slice(number), name, brightness, denoise)
        return self._joined([_map(result, name, brightness, denoise) for result in self.results])

    def report(self, brightness: float, denoise: float, number: int | None = None) -> dict[str, Any]:
        """Artifact numbers before and after, of one slice: for None the one that was judged, or the middle one."""
        if number is None and self.stack:
            number = len(self.results) // 2 if self.own_tones else _judged_frame(self.results[0])
        alone = self.results[0] if number is None else self._slice(number)
        subject = Subject(alone.source, alone.value_range, False, alone.valid, alone.tables)
        before = subject.examine(0)
        image = alone.blend(brightness, denoise)
        unchanged = np.array_equal(image, alone.source)
        after = before if unchanged else subject.changed_to(image).examine(0)
        return {"slice": number or 0, "before": before.as_dict(), "after": after.as_dict()}

    def slices(self) -> list[tuple[Result, FramePrediction, NDArray[Any]]]:
        """For each slice what it belongs to, what the network said of it, and its source pixels."""
        if self.stack and not self.own_tones:
            (result,) = self.results
            return [(result, *pair) for pair in zip(result.predictions, result.source, strict=True)]
        return [(result, result.predictions[0], result.source) for result in self.results]

    def _slice(self, number: int) -> Result:
        """One slice as an image by itself; of an image that is no stack, 0 is the image."""
        count = len(self.results) if self.own_tones else len(self.results[0].source) if self.stack else 1
        if number >= count:
            raise bad_request(f"There is no slice {number}: the slices are numbered from 0 to {count - 1}.")
        if self.stack and not self.own_tones:
            return self.results[0].frame(number)
        return self.results[number]

    def _joined(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(parts) if self.own_tones else parts[0]


class Shelf:
    """Keeps results by name; lets the oldest go when they take too much memory together.

    Args:
        budget: bytes.
    """

    def __init__(self, budget: int = KEPT_BYTES) -> None:
        self.budget = budget
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Enhanced] = OrderedDict()
        self._serial = 0

    def keep(self, enhanced: Enhanced) -> tuple[str, list[str]]:
        """Keep a result, and return its name and those of results that had to go."""
        with self._lock:
            self._serial += 1
            name = f"r{self._serial}"
            self._kept[name] = enhanced
            taken = {key: item.bytes for key, item in self._kept.items()}
            dropped = []
            for key in list(self._kept)[:-1]:
                if sum(taken.values()) <= self.budget:
                    break
                del self._kept[key], taken[key]
                dropped.append(key)
        return name, dropped

    def get(self, name: str) -> Enhanced:
        """A result by name; it becomes the last that would be let go.

        Raises:
            Failure: it is not kept.
        """
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        raise Failure("no-result", "This result is not kept any more.", "Enhance the image again.")

    def forget(self, name: str) -> None:
        """Let a result go; nothing happens if it is not kept."""
        with self._lock:
            self._kept.pop(name, None)

    def clear(self) -> list[str]:
        """Let all results go, and return their names."""
        with self._lock:
            names = list(self._kept)
            self._kept.clear()
        return names


def _map(result: Result, name: Map, brightness: float, denoise: float) -> NDArray[np.float32]:
    if name == "gain":
        return result.gain_at(brightness)
    return result.residual_at(brightness, denoise) if name == "residual" else result.uncertainty


def _bytes(result: Result) -> int:
    parts = {id(prediction): prediction for prediction in result.predictions}.values()
    maps = ("residual", "log_error", "log_gain", "log_gamma")
    return result.source.nbytes + result.image.nbytes + sum(getattr(p, name).nbytes for p in parts for name in maps)


def _judged_frame(result: Result) -> int:
    if result.judged is None:
        return judge(Subject(result.source, result.value_range, True, result.valid, result.tables)).frame
    return result.judged.frame
