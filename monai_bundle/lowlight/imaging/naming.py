"""What results are called, so that an output folder mirrors the input folder and no result replaces another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lowlight.errors import InputError
from lowlight.imaging.collecting import Found
from lowlight.imaging.filetype import SUFFIXES, identify, is_clip, split_suffix
from lowlight.imaging.image import Kind, MedicalImage

CLIP_RESULTS = (".mp4", ".mkv", ".avi")
"""Suffixes that the result of a film can have; it keeps its own where it can, and gets the first one otherwise."""


def output_name(image: MedicalImage, relative: str | Path) -> Path:
    """The result's path below the output folder: same sub-folders, same stem, a suffix that tells its kind.

    A JPEG comes out as ``.png``; other kinds keep their suffix, unless it is that of another kind. For a batch, where
    ``a.jpg`` and ``a.png`` would meet, use `plan_names`.
    """
    return _renamed(Path(relative), SUFFIXES[_result_kind(image.kind)], image.kind == "dicom")


def plan_names(found: Sequence[Found]) -> list[Path]:
    """Result paths for a whole batch, all different even where case does not count, in the order of ``found``.

    Each is as `output_name` gives it. Where several inputs would share a name, the one that already has it keeps it
    and the others keep their own suffix in the stem (``a.jpg`` becomes ``a.jpg.png``); where that is not enough
    (``one/a.png`` and ``two/a.png`` named as files), a number follows the stem (``a-2.png``). The names depend on the
    batch alone, not on what the output folder holds. Of each file only the first bytes are read.
    """
    kinds = [_kind_or_none(item) for item in found]
    fitting = [_fitting(item, kind) for item, kind in zip(found, kinds, strict=True)]
    wanted = [
        item.relative if suffixes is None else _renamed(item.relative, suffixes, kind == "dicom")
        for item, kind, suffixes in zip(found, kinds, fitting, strict=True)
    ]
    shared = Counter(map(_folded, wanted))
    planned: list[Path] = [Path()] * len(found)
    taken: set[str] = set()
    # Inputs whose name does not change choose first, so that order among the others cannot take a name from them.
    order = sorted(range(len(found)), key=lambda i: (_folded(wanted[i]) != _folded(found[i].relative), i))
    for index in order:
        name, relative, suffixes = wanted[index], found[index].relative, fitting[index]
        if shared[_folded(name)] > 1 and _folded(name) != _folded(relative) and suffixes is not None:
            name = relative.with_name(relative.name + suffixes[0])
        planned[index] = _numbered(name, taken)
        taken.add(_folded(planned[index]))
    return planned


def _result_kind(kind: Kind) -> Kind:
    return "png" if kind == "jpeg" else kind


def _renamed(relative: Path, fitting: tuple[str, ...], bare: bool) -> Path:
    """With a suffix that fits; `bare`: none is one, too. DICOM files often have no suffix, or a UID for a name."""
    stem, suffix = split_suffix(relative.name)
    if suffix.lower() in fitting or (bare and not suffix):
        return relative
    return relative.with_name(stem + fitting[0])


def _fitting(item: Found, kind: Kind | None) -> tuple[str, ...] | None:
    """Suffixes that its result can have; None of what is neither image nor film."""
    if kind is not None:
        return SUFFIXES[_result_kind(kind)]
    return CLIP_RESULTS if item.fault is None and is_clip(item.path) else None


def _kind_or_none(item: Found) -> Kind | None:
    try:
        return None if item.fault is not None else identify(item.path)
    except InputError:
        return None


def _folded(path: Path) -> str:
    return path.as_posix().casefold()


def _numbered(name: Path, taken: set[str]) -> Path:
    stem, suffix = split_suffix(name.name)
    candidate, number = name, 2
    while _folded(candidate) in taken:
        candidate = name.with_name(f"{stem}-{number}{suffix}")
        number += 1
    return candidate
