"""Where results belong, so that no two share a name and no folder holds a million of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lowlight.imaging.filetype import SUFFIXES, split_suffix
from lowlight.imaging.image import Kind

MOST_IN_A_FOLDER = 1000
"""More results than this go into folders of their own beside it: part-2, part-3, ..."""

_OUTSIDE = "elsewhere"
_BY_NUMBER = "dicom"


def folder_of(path: Path, root: Path) -> str:
    """The folder of a result below the output folder: that of its source below the root, with "/" between."""
    folder = path.parent
    try:
        return folder.relative_to(root).as_posix()
    except ValueError:
        # Named later, from a place that nobody had spoken of.
        return PurePosixPath(_OUTSIDE, *folder.parts[1:]).as_posix()


def part_of(folder: str, number: int) -> str:
    """The folder for its result number so and so, from 0."""
    part = number // MOST_IN_A_FOLDER
    return folder if not part else f"{folder}/part-{part + 1}"


def stems(path: Path) -> Iterator[str]:
    """Names without suffix for a result, the best first, then for ever others: a, a.jpg, a-2, a-3, ...

    A result gets its suffix when its kind is known. Two that have different stems cannot meet, whatever kinds they are.
    """
    stem, suffix = split_suffix(path.name)
    yield stem
    if suffix:
        yield path.name
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def target(place: str, path: Path, kind: Kind) -> PurePosixPath:
    """The result of a file, below the output folder, with the suffix of its source if that fits the kind."""
    suffix = split_suffix(path.name)[1]
    fitting = SUFFIXES["png" if kind == "jpeg" else kind]
    if suffix.lower() not in fitting and (kind != "dicom" or suffix):
        suffix = fitting[0]
    return PurePosixPath(place + suffix)


def target_by_number(series: str, entry: int) -> PurePosixPath:
    """The result of a DICOM file whose name may be a patient's: below a hash of its series, by its number."""
    return PurePosixPath(_BY_NUMBER, series[:2], series, f"{entry:09}.dcm")


def below(output: Path, relative: PurePosixPath | str) -> Path:
    """A place below the output folder, on this system."""
    return output.joinpath(*PurePosixPath(relative).parts)


def encoded(text: str | Path) -> bytes:
    """As the system has it, whatever bytes it is made of."""
    return os.fsencode(text)
