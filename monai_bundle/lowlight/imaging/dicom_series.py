"""Which DICOM files belong together, and what their results are called.

Frames of a clip, or slices of a stack, that come as one file each get one tone together, so that it does not flicker
from one to the next. Two views of a chest are a series as well, and yet each has an exposure of its own: files share a
tone only if they say that they are parts of one acquisition in time, or lie in parallel planes of one space.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from lowlight.errors import InputError, LimitError, NotAnImageError
from lowlight.imaging import isolation
from lowlight.imaging.collecting import Found
from lowlight.imaging.dicom_contents import Described
from lowlight.imaging.filetype import identify, is_clip
from lowlight.imaging.image import MedicalImage
from lowlight.imaging.limits import Limits

_CINE = ("US", "IVUS", "XA", "RF", "ES", "DF", "OPT", "IVOCT")
_MODALITY, _ROWS, _COLUMNS = 1, 2, 3
_HASH_DIGITS = 16
_SAME = "leave one of them out"
_UNKNOWN = Described("", "", 0, None, (), timed=False, plane=None, frames=1)


@dataclass(frozen=True, eq=False)
class SeriesRestore:
    """The images that a joined one was made of, in their order."""

    parts: tuple[MedicalImage, ...]

    @property
    def padding(self) -> tuple[np.ndarray, None] | None:
        """Where there is no image in any of them, (F, H, W); None if there is image everywhere."""
        valid = [part.valid for part in self.parts]
        if all(mask is None for mask in valid):
            return None
        shape = self.parts[0].pixels.shape[:2]
        return np.stack([np.zeros(shape, bool) if mask is None else ~mask for mask in valid]), None


def arrange(found: Sequence[Found], limits: Limits, hashed: bool) -> list[tuple[Found, ...]]:
    """Group files so that each group gets one tone, in the order of ``found``.

    A DICOMDIR is replaced by the files that it lists, and becomes a `Found` that is skipped with a line. A second file
    with the content of an earlier one becomes one that is skipped, too.

    Args:
        found: files of all kinds; those that are no DICOM stay alone.
        limits: for reading headers.
        hashed: name DICOM results after hashes of their UIDs (`Found.relative`), so that no result is named after a
            patient; otherwise they are named after their files.

    Returns:
        Groups of at least one; one that is larger is in the order of time or space.
    """
    described: dict[Path, Described | None] = {}
    listed = _with_listed([_looked_at(item, described, limits) for item in found], described, limits)
    kept = _without_doubles(listed, described)
    members: dict[object, list[Found]] = defaultdict(list)
    for item in kept:
        about = described.get(item.path) if item.fault is None else None
        named = replace(item, relative=_hashed_name(item, about)) if hashed and about is not None else item
        members[item.path if about is None else _tone_of(about) or item.path].append(named)
    groups: list[tuple[Found, ...]] = []
    for group in members.values():
        if len(group) > 1 and _is_too_large(group, described, limits):
            groups += [(item,) for item in group]
        else:
            groups.append(
                tuple(sorted(group, key=lambda item: _order(described[item.path]))) if group[1:] else (*group,)
            )
    return groups


def tone_key(path: Path, limits: Limits) -> str | None:
    """What files that share one tone have in common (`arrange`), as a hash; None for one that has its own.

    Raises:
        InputError: its structure is damaged, or over a limit.
    """
    shared = _tone_of(isolation.describe(path, limits))
    return None if shared is None else hashlib.sha256(repr(shared).encode()).hexdigest()


def joined(images: Sequence[MedicalImage]) -> MedicalImage:
    """Images of one size as frames of one, so that they are enhanced together; its ``restore`` holds the parts."""
    first = images[0]
    return replace(
        first, pixels=np.stack([image.pixels for image in images]), frames=True, restore=SeriesRestore(tuple(images))
    )


def can_be_joined(images: Sequence[MedicalImage]) -> bool:
    """Whether they are what their headers promised: single DICOM frames of one size and number of channels."""
    return all(
        image.kind == "dicom" and not image.frames and image.pixels.shape == images[0].pixels.shape for image in images
    )


def _looked_at(item: Found, described: dict[Path, Described | None], limits: Limits) -> Found:
    """The item, with a fault if looking at it cost too much; what it says of itself goes into ``described``."""
    described[item.path] = None
    if item.fault is None and is_clip(item.path):
        return item
    try:
        if item.fault is None and identify(item.path) == "dicom":
            described[item.path] = isolation.describe(item.path, limits)
    except LimitError as error:
        return replace(item, fault=error)
    except InputError:
        # Reading it will say what is wrong. Should it find nothing, the result is named by a hash all the same.
        described[item.path] = _UNKNOWN
    return item


def _with_listed(found: Sequence[Found], described: dict[Path, Described | None], limits: Limits) -> list[Found]:
    """With what the directories of media list, and each of these directories as something that is skipped."""
    known = {_real(item.path) for item in found}
    result: list[Found] = []
    for item in found:
        about = described[item.path]
        if about is None or about.referenced is None:
            result.append(item)
            continue
        missing = 0
        for parts in about.referenced:
            path = _below(item.path.parent, parts)
            if path is None:
                missing += 1
            elif _real(path) not in known:
                known.add(_real(path))
                listed = Found(path, item.relative.parent / PurePosixPath(*parts), explicit=False)
                result.append(_looked_at(listed, described, limits))
        fault = "is the directory of a DICOM medium"
        if missing:
            fault += f", and {missing} of the {len(about.referenced)} files that it lists are not there"
        remedy = "copy the whole medium" if missing else "the files that it lists are taken one by one"
        result.append(replace(item, fault=NotAnImageError(item.path, fault, remedy, beside_images=True)))
    return result


def _below(folder: Path, parts: Sequence[str]) -> Path | None:
    """The listed file, if it is there and does not lead out of the folder."""
    if any(part in ("", ".", "..") or "/" in part or "\\" in part or "\0" in part for part in parts):
        return None
    try:
        candidates = (folder.joinpath(*parts), folder.joinpath(*(part.lower() for part in parts)))
        return next((path for path in candidates if path.is_file()), None)
    except OSError:
        return None


def _without_doubles(found: Sequence[Found], described: dict[Path, Described | None]) -> list[Found]:
    first: dict[str, Path] = {}
    result = []
    for item in found:
        about = described.get(item.path)
        earlier = first.setdefault(about.instance, item.path) if about is not None and about.instance else item.path
        if earlier == item.path or item.fault is not None:
            result.append(item)
        elif _digest(earlier) != _digest(item.path):
            # The same instance in another encoding, say; results are told apart by their pixels.
            result.append(item)
        else:
            fault = NotAnImageError(item.path, f"is a copy of {earlier.name}, which is done", _SAME, True)
            result.append(replace(item, fault=fault))
    return result


def _real(path: Path) -> Path:
    """Where a path leads, also of links that lead in a circle, which `Path.resolve` fails at."""
    return Path(os.path.realpath(path))


def _digest(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""  # opening a pipe or a device could wait for ever
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return b""


def _hashed_name(item: Found, about: Described) -> Path:
    instance = about.instance.encode() or _digest(item.path)
    return Path(_hash(about.series.encode()), f"{_hash(instance)}.dcm")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


def _tone_of(about: Described) -> tuple[object, ...] | None:
    """What files that share one tone have in common; None for a file that has its own."""
    if not about.series or about.frames > 1:
        return None
    if about.plane is not None and about.position is not None:
        return about.series, about.form[:-1], about.plane
    if about.timed and about.form[_MODALITY] in _CINE:
        return about.series, about.form
    return None


def _order(about: Described | None) -> tuple[float, int]:
    assert about is not None
    return (about.position or 0.0, about.number) if about.plane is not None else (0.0, about.number)


def _is_too_large(group: Sequence[Found], described: dict[Path, Described | None], limits: Limits) -> bool:
    about = described[group[0].path]
    assert about is not None
    try:
        return len(group) * int(about.form[_ROWS]) * int(about.form[_COLUMNS]) > limits.total_pixels
    except ValueError:
        return True
