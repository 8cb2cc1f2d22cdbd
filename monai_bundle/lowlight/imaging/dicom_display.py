"""From stored DICOM values to what a viewer shows, and exactly back (PS3.3 C.11.1, C.11.2; PS3.4 N.2).

A viewer applies the modality transform, one window or VOI LUT, and inverts MONOCHROME1. Here the same is done without
clipping, so that it can be undone: a window is the straight line it is between its ends; a sigmoid is replaced by its
tangent; a lookup table keeps its values, made strictly monotonic where it is flat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

# Where a lookup table is flat, neighbouring values are set apart by this much of the displayed range: enough for
# float32 to tell them apart, and too little to be seen (0.002 over 4096 entries).
_SMALLEST_STEP = 2.0**-21


class StoredRange(NamedTuple):
    """Smallest and largest value that the stored bits can hold."""

    low: int
    high: int

    @classmethod
    def of(cls, dataset: Dataset) -> StoredRange:
        """From Bits Stored and Pixel Representation."""
        bits = int(dataset.BitsStored)
        signed = int(dataset.get("PixelRepresentation", 0)) == 1
        return cls(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else cls(0, (1 << bits) - 1)


@dataclass(frozen=True)
class Window:
    """A VOI window as a straight line: ``black`` is shown as 0 and ``white`` as 1, in rescaled units.

    Attributes:
        black, white: the ends of the line.
        centre, width, function: Window Center, Window Width and VOI LUT Function that say the same.
    """

    black: float
    white: float
    centre: float
    width: float
    function: str

    @classmethod
    def linear(cls, centre: float, width: float) -> Window:
        """LINEAR (C.11.2.1.2.1). At widths up to 1, where that would be a step, taken as LINEAR_EXACT."""
        if width <= 1:
            return cls.exact(centre, width)
        return cls(centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2, centre, width, "LINEAR")

    @classmethod
    def exact(cls, centre: float, width: float) -> Window:
        """LINEAR_EXACT (C.11.2.1.3.2), which is also the tangent of SIGMOID at its centre."""
        return cls(centre - width / 2, centre + width / 2, centre, width, "LINEAR_EXACT")

    @classmethod
    def between(cls, black: float, white: float) -> Window:
        """The window whose line runs from ``black`` to ``white``, as LINEAR where the width allows it."""
        if white - black > 1 and float(black + white).is_integer():
            return cls.linear((black + white + 1) / 2, white - black + 1)
        return cls.exact((black + white) / 2, white - black)


class MissingWindowError(ValueError):
    """A window was asked for that the file does not have."""


class DisplayMapping(Protocol):
    """Stored values to display space (0 black, 1 white) and back."""

    def to_display(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Stored integers as shown, unclipped."""
        ...

    def to_stored(self, display: NDArray[Any]) -> NDArray[np.int64]:
        """The stored integer nearest to each displayed value, within what the bits can hold."""
        ...


@dataclass(frozen=True)
class LinearMapping:
    """display = slope * stored + intercept."""

    slope: float
    intercept: float
    bounds: StoredRange

    def to_display(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        return (stored * np.float64(self.slope) + self.intercept).astype(np.float32)

    def to_stored(self, display: NDArray[Any]) -> NDArray[np.int64]:
        exact = (display.astype(np.float64) - self.intercept) / self.slope
        return np.clip(np.rint(exact), self.bounds.low, self.bounds.high).astype(np.int64)

    @classmethod
    def spanning(cls, low: float, high: float, bounds: StoredRange, inverted: bool) -> LinearMapping:
        """The mapping under which the stored bits hold displayed values from ``low`` to ``high``, and nothing else."""
        slope = (high - low) / (bounds.high - bounds.low)
        if inverted:
            return cls(-slope, high + slope * bounds.low, bounds)
        return cls(slope, low - slope * bounds.low, bounds)

    @property
    def tells_apart(self) -> bool:
        """Whether each stored value is displayed as a number of its own, in float32."""
        farthest = max(map(abs, self.ends))
        return bool(np.isfinite(farthest) and np.spacing(np.float32(farthest)) <= abs(self.slope) / 2)

    @property
    def ends(self) -> tuple[float, float]:
        """The darkest and the brightest displayed value that the stored bits can hold."""
        low, high = sorted(self.slope * end + self.intercept for end in self.bounds)
        return low, high

    def window(self, rescale: tuple[float, float]) -> Window:
        """The window under which a viewer shows this, given the slope and intercept of the modality transform."""
        slope, intercept = rescale
        stored = sorted((end - self.intercept) / self.slope for end in (0.0, 1.0))
        black, white = sorted(slope * value + intercept for value in stored)
        return Window.between(black, white)


@dataclass(frozen=True, eq=False)
class TableMapping:
    """One displayed value for every stored value, strictly increasing or strictly decreasing."""

    table: NDArray[np.float32]
    bounds: StoredRange

    def to_display(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        return self.table[stored.astype(np.int64) - self.bounds.low]

    def to_stored(self, display: NDArray[Any]) -> NDArray[np.int64]:
        decreasing = self.table[-1] < self.table[0]
        ordered = (self.table[::-1] if decreasing else self.table).astype(np.float64)
        nearest = np.searchsorted((ordered[1:] + ordered[:-1]) / 2, display.astype(np.float64))
        return self.bounds.high - nearest if decreasing else self.bounds.low + nearest


def display_mapping(
    dataset: Dataset, frame: int, declared: tuple[float, float] | None, choice: int = 1
) -> tuple[DisplayMapping, Window | None]:
    """How a grey frame is shown: modality transform, then a window or VOI LUT, then MONOCHROME1.

    Args:
        dataset: with the Image Pixel module.
        frame: index from 0, for multi-frame functional groups.
        declared: (black, white) in rescaled units, in place of the file's own window; black below white.
        choice: which of the frame's windows, or behind them VOI LUTs, from 1.

    Returns:
        The mapping, and the window that makes a viewer show the same; None if a VOI LUT does.

    Raises:
        MissingWindowError: there are fewer windows; the message says how many.
        ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError, OverflowError: damaged values.
    """
    bounds = StoredRange.of(dataset)
    modality = _functional_group(dataset, frame, "PixelValueTransformationSequence") or dataset
    voi = _functional_group(dataset, frame, "FrameVOILUTSequence") or dataset
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    window, item = (Window.between(*declared), None) if declared else _chosen(voi, choice)
    table = _lut(dataset, modality, "ModalityLUTSequence", 0)
    voi_table = None if item is None else _lut(dataset, voi, "VOILUTSequence", item, signed=bounds.low < 0)
    if table is None and voi_table is None:
        slope, intercept = rescale(modality)
        ends = sorted(slope * end + intercept for end in bounds)
        window = window or Window.between(*ends)
        scale = 1.0 / (window.white - window.black)
        combined = LinearMapping(scale * slope, scale * (intercept - window.black), bounds)
        if inverted:
            combined = LinearMapping(-combined.slope, 1.0 - combined.intercept, bounds)
        if not combined.tells_apart:
            raise ValueError("a window far too wide, or far away")
        return combined, window
    values = np.arange(bounds.low, bounds.high + 1)
    if table is not None:
        rescaled: NDArray[np.float64] = table.look_up(values).astype(np.float64)
        # Not what the bits of an entry could hold: tables of 16 bits with entries up to 1023 are met.
        window = window or (None if voi_table else Window.between(float(rescaled.min()), float(rescaled.max())))
    else:
        slope, intercept = rescale(modality)
        rescaled = values.astype(np.float64) * slope + intercept
    if window is not None:
        shown = (rescaled - window.black) / (window.white - window.black)
    else:
        assert voi_table is not None
        shown = voi_table.look_up(np.rint(rescaled).astype(np.int64)) / voi_table.largest
    return TableMapping(_strictly_monotonic(1.0 - shown if inverted else shown), bounds), window


class _LookUpTable(NamedTuple):
    first: int
    entries: NDArray[np.uint16]
    largest: int

    def look_up(self, values: NDArray[np.int64]) -> NDArray[np.uint16]:
        return self.entries[np.clip(values - self.first, 0, len(self.entries) - 1)]


def _lut(
    dataset: Dataset, holder: Dataset, keyword: str, index: int, signed: bool | None = None
) -> _LookUpTable | None:
    """One table of a Modality or VOI LUT Sequence (C.11.1.1, C.11.2.1.1)."""
    if not holder.get(keyword):
        return None
    item = holder[keyword].value[index]
    count, first, bits = (int(n) for n in item.LUTDescriptor)
    count = count or 65536
    if signed is None:
        signed = int(dataset.get("PixelRepresentation", 0)) == 1
    if signed and first > 32767:
        first -= 65536
    data = item.LUTData
    if isinstance(data, bytes):
        words = np.frombuffer(data, np.uint8 if len(data) < 2 * count else "<u2")
        entries = words[:count].astype(np.uint16)
    else:
        entries = np.atleast_1d(np.asarray(data)).astype(np.uint16)[:count]
    return _LookUpTable(first, entries, (1 << bits) - 1)


def _strictly_monotonic(shown: NDArray[np.float64]) -> NDArray[np.float32]:
    direction = -1.0 if shown[-1] < shown[0] else 1.0
    rising = np.maximum.accumulate(direction * shown)
    # Each entry rises over the one before by its own step or by the smallest, whichever is larger.
    steps = np.maximum(np.diff(rising), _SMALLEST_STEP)
    return (direction * np.concatenate([rising[:1], rising[0] + np.cumsum(steps)])).astype(np.float32)


def rescale(holder: Dataset) -> tuple[float, float]:
    """Slope and intercept of a data set or of an item of Pixel Value Transformation; (1, 0) where there is none."""
    slope, intercept = holder.get("RescaleSlope"), holder.get("RescaleIntercept")
    return float(slope) if slope else 1.0, float(intercept) if intercept is not None else 0.0


def frame_rescale(dataset: Dataset, frame: int) -> tuple[float, float]:
    """Slope and intercept of one frame, once a Modality LUT that may have stood in their place is gone."""
    return rescale(_functional_group(dataset, frame, "PixelValueTransformationSequence") or dataset)


def _chosen(holder: Dataset, choice: int) -> tuple[Window | None, int | None]:
    """A window, or the index of a VOI LUT; neither where the frame has none and none was asked for."""
    windows = _windows(holder)
    tables = len(holder.get("VOILUTSequence") or [])
    if choice <= len(windows):
        return windows[choice - 1], None
    if choice <= len(windows) + tables:
        return None, choice - len(windows) - 1
    if choice > 1:
        raise MissingWindowError(f"has {len(windows) + tables} windows and VOI lookup tables")
    return None, None


def _windows(holder: Dataset) -> list[Window]:
    centres, widths = (_numbers(holder.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    made = Window.linear if str(holder.get("VOILUTFunction") or "LINEAR") == "LINEAR" else Window.exact
    return [
        made(centre, width)
        for centre, width in zip(centres, widths, strict=False)
        if np.isfinite([centre, width]).all() and width > 0
    ]


def _numbers(value: Any) -> list[float]:
    """All values of an element that may have none, one or several."""
    if value is None or value == "":
        return []
    try:
        return [float(number) for number in value]
    except TypeError:
        return [float(value)]


def _functional_group(dataset: Dataset, frame: int, keyword: str) -> Dataset | None:
    """The frame's item of a functional group macro: per frame, else shared (PS3.3 C.7.6.16)."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for groups in [*per_frame[frame : frame + 1], *shared[:1]]:
        if groups.get(keyword):
            return groups[keyword].value[0]
    return None
