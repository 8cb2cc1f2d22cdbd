"""Seeded damage to real DICOM files, and what may come of it: a result that passes all checks, or one line."""

from __future__ import annotations

import re
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import psutil
from dicom_files import shipped
from dicom_validation import is_dumped, kinds_of_error, new_kinds_of_error

from lowlight.errors import InputError, OutputError
from lowlight.imaging import read, write
from lowlight.imaging.processing import Processing

SOURCES = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_overlay.dcm",
    "image_dfl.dcm",
)
LONGEST = 20  # seconds
LARGEST = 1.5e9  # bytes
_PROCESSING = Processing("Enhanced with net 1.2", "net 1.2", "ab" * 32, {}, denoised=True)
_REPRESENTATIONS = re.compile(rb"AE|AS|AT|CS|DA|DS|DT|FD|FL|IS|LO|LT|OB|OW|PN|SH|SL|SQ|SS|ST|TM|UI|UL|UN|US|UT")
_HEADER = 20_000
# Elements that describe pixels: most of what goes wrong goes wrong here.
_DESCRIBING = [0x0002, 0x0004, 0x0006, 0x0008, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103, 0x1052, 0x1053]


@dataclass
class Found:
    """What came of a number of mutations.

    Attributes:
        outcomes: how often a result was written, and how often which fault was told.
        wrong: what must not happen, with the seed that made it happen.
        longest: seconds of the slowest mutation. largest: most memory that a process had, bytes.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    longest: float = 0.0
    largest: int = 0


@cache
def _errors_of_whole(name: str) -> set[str]:
    return kinds_of_error(shipped(name))


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """One to four of: flipped bytes, a cut, another length, another value representation, another element value."""
    damaged = bytearray(content)
    for _ in range(random.integers(1, 5)):
        kind = random.integers(0, 5)
        reach = min(len(damaged), _HEADER if random.random() < 0.7 else len(damaged))
        if reach < 2:
            break
        if kind == 0:
            for _ in range(random.integers(1, 9)):
                damaged[random.integers(0, reach)] = random.integers(0, 256)
        elif kind == 1 and random.random() < 0.3:
            del damaged[random.integers(0, len(damaged)) :]
        elif kind == 4:
            _change_value(damaged, random)
        else:
            places = [match.start() for match in _REPRESENTATIONS.finditer(damaged, 132, reach)]
            if places:
                place = int(random.choice(places))
                if kind == 2:
                    length = random.choice([0, 1, 2, 0xFFFF, int(random.integers(0, 1 << 16))])
                    damaged[place + 2 : place + 4] = int(length).to_bytes(2, "little")
                else:
                    choices = _REPRESENTATIONS.pattern.split(b"|")
                    damaged[place : place + 2] = choices[random.integers(0, len(choices))]
    return bytes(damaged)


def _change_value(damaged: bytearray, random: np.random.Generator) -> None:
    tag = b"\x28\x00" + int(random.choice(_DESCRIBING)).to_bytes(2, "little")
    place = damaged.find(tag)
    if place >= 0:
        value = int(random.choice([0, 1, 2, 3, 7, 8, 16, 32, 255, 4096, 65535, int(random.integers(0, 65536))]))
        damaged[place + 8 : place + 10] = value.to_bytes(2, "little")


def run(seeds: range, folder: Path) -> Found:
    """Read, change and write a mutation for every seed, and have each result checked.

    Args:
        seeds: the same seed makes the same mutation.
        folder: for files.
    """
    found = Found()
    contents = [shipped(name).read_bytes() for name in SOURCES]
    source, target = folder / "source.dcm", folder / "target.dcm"
    for seed in seeds:
        random = np.random.default_rng(seed)
        source.write_bytes(mutated(contents[seed % len(contents)], random))
        target.unlink(missing_ok=True)
        if not psutil.Process().children():
            # A decoding process that has yet to load its libraries is not what is timed.
            read(shipped(SOURCES[0]))
        started = time.monotonic()
        outcome = _outcome(source, target)
        found.longest = max(found.longest, time.monotonic() - started)
        found.largest = max(found.largest, _peak())
        found.outcomes[outcome] += 1
        if outcome.startswith("wrong"):
            found.wrong.append(f"seed {seed} ({SOURCES[seed % len(SOURCES)]}): {outcome}")
        if outcome == "written":
            # Damage can hide what was wrong with the whole file (two frames in a class of one), and a result undo it.
            whole = _errors_of_whole(SOURCES[seed % len(SOURCES)])
            faults = _faults(source, target, folder / "inflated.dcm")
            found.wrong += [f"seed {seed}: {fault}" for fault in faults if fault not in whole]
        elif target.exists():
            found.wrong.append(f"seed {seed}: refused, and yet there is a result")
    return found


def _outcome(source: Path, target: Path) -> str:
    try:
        image = read(source)
        low, high = min(0.0, float(image.pixels.min())), max(1.0, float(image.pixels.max()))
        write(image, np.clip(image.pixels * 1.3, low, high), target, derivation=_PROCESSING)
    except OutputError as error:
        return f"no result: {error.fault}"
    except InputError as error:
        return error.fault if "\n" not in str(error) and error.remedy else f"wrong: {error!r}"
    except Exception as error:
        return f"wrong: {error!r}"
    return "written"


def _faults(source: Path, target: Path, inflated: Path) -> list[str]:
    faults = [] if is_dumped(target) else ["dcmdump does not read the result"]
    try:
        return faults + sorted(new_kinds_of_error(source, target, inflated))
    except Exception as error:
        return [*faults, repr(error)]


def _peak() -> int:
    """The most memory that this process, or one that it started, has ever held so far, bytes (Linux)."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    running = [psutil.Process().pid, *(child.pid for child in psutil.Process().children())]
    return max(ended, *map(_peak_of_running, running))


def _peak_of_running(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    peak = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(peak[1]) * 1024 if peak else 0
