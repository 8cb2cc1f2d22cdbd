"""How much one DICOM file may ask for: the one place where the defaults stand, and how a user raises them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

WAITING = 6
"""How many times the processor time of a file may pass on the clock, before it is taken to hang."""

_TEN_MEGABYTES = 10_000_000
_UNITS = {
    "": 1,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "KB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}


@dataclass(frozen=True)
class Limits:
    """What reading one file may cost. A file that asks for more is refused before it gets it.

    Attributes:
        memory: bytes that the decoding process may hold.
        seconds: processor time for each started 10 MB of the file; time on the clock where the system cannot tell.
        pixels: pixels of one frame.
        total_pixels: pixels of all frames together, and of the files of a series that share one tone.
        frames: frames of one file.
        inflated: bytes that a deflated file may unpack to.
        nesting: levels of sequences inside sequences.
        elements: data elements, those in sequences included.
    """

    memory: int = 4_000_000_000
    seconds: int = 20
    pixels: int = 150_000_000
    total_pixels: int = 1_000_000_000
    frames: int = 20_000
    inflated: int = 1_000_000_000
    nesting: int = 32
    elements: int = 500_000

    def seconds_for(self, path: Path) -> int:
        """Seconds for this file, which may be missing."""
        try:
            size = path.stat().st_size
        except OSError:
            size = 0
        return self.seconds * (1 + size // _TEN_MEGABYTES)

    def raised(self, wishes: Iterable[str]) -> Limits:
        """These limits with some replaced.

        Args:
            wishes: as a user states them: ``memory=8GB``, ``seconds=60``, ``frames=50k``.

        Raises:
            ValueError: no such limit, or not a whole number of at least 1.
        """
        known = [field.name for field in fields(self)]
        changed = {}
        for wish in wishes:
            name, equals, text = wish.partition("=")
            if not equals or name not in known:
                raise ValueError(f"{wish} is no limit; state one as NAME=NUMBER, where NAME is {', '.join(known)}")
            changed[name] = whole_number(wish, text)
        return replace(self, **changed)


def whole_number(wish: str, text: str) -> int:
    """A number as a user states it (``8GB``, ``500M``, ``1000``); `wish` is what the user wrote, for the message.

    Raises:
        ValueError: not a number of at least 1.
    """
    digits = text.rstrip("kKMGiB")
    try:
        number = float(digits) * _UNITS[text[len(digits) :]]
    except (ValueError, KeyError):
        number = 0.0
    if not 1 <= number < 2**63:
        raise ValueError(f"{wish} is not a number of at least 1; write it as 8GB, 500M or 1000")
    return int(number)


DEFAULT = Limits()
"""Enough for a mammogram, a biplane run or a slice stack, and little enough for a small server."""


@dataclass(frozen=True)
class DicomReading:
    """What a user can choose about reading DICOM.

    Attributes:
        window: which of the file's windows, or behind them VOI lookup tables, shows the image; from 1.
        any_modality: also read CT, MR, PET and nuclear medicine, whose values are measured.
        limits: what a file may cost.
    """

    window: int = 1
    any_modality: bool = True
    limits: Limits = DEFAULT


def way_out(name: str) -> str:
    """What a user can do about a file that is over this limit and known to be good."""
    return f"if the file is to be trusted, raise the limit: --limit {name}=NUMBER"
