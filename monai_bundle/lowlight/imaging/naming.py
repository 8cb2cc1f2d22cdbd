"""What results are called, so that an output folder mirrors the input folder and no result replaces another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lowlight.errors import InputError
from lowlight.imaging.collecting import Found
from lowlight.imaging.filetype import SUFFIXES, identify, split_suffix
from lowlight.imaging.image import Kind, MedicalImage


def output_name(image: MedicalImage, relative: str | Path) -> Path:
    """The result's path below the output folder: same sub-folders, same stem, a suffix that tells its kind.

    A JPEG comes out as ``.png``; other kinds keep their suffix, unless it is that of another kind. For a batch, where
    ``a.jpg`` and ``a.png`` would meet, use `plan_names`.
    """
    return _renamed(Path(relative), image.kind)


def plan_names(found: Sequence[Found]) -> list[Path]:
    """Result paths for a whole batch, all different even where case does not count, in the order of ``found``.

    Each is as `output_name` gives it. Where several inputs would share a name, the one that already has it keeps it
    and the others keep their own suffix in the stem (``a.jpg`` becomes ``a.jpg.png``); where that is not enough
    (``one/a.png`` and ``two/a.png`` named as files), a number follows the stem (``a-2.png``). The names depend on the
    batch alone, not on what the output folder holds. Of each file only the first bytes are read.
    """
    kinds = [_kind_or_none(item) for item in found]
    wanted = [
        item.relative if kind is None else _renamed(item.relative, kind)
        for item, kind in zip(found, kinds, strict=True)
    ]
    shared = Counter(map(_folded, wanted))
    planned: list[Path] = [Path()] * len(found)
    taken: set[str] = set()
    # Inputs whose name does not change choose first, so that order among the others cannot take a name from them.
    order = sorted(range(len(found)), key=lambda i: (_folded(wanted[i]) != _folded(found[i].relative), i))
    for index in order:
        name, relative, kind = wanted[index], found[index].relative, kinds[index]
        if shared[_folded(name)] > 1 and _folded(name) != _folded(relative) and kind is not None:
            name = relative.with_name(relative.name + SUFFIXES[_result_kind(kind)][0])
        planned[index] = _numbered(name, taken)
        taken.add(_folded(planned[index]))
    return planned


def _result_kind(kind: Kind) -> Kind:
    return "png" if kind == "jpeg" else kind


def _renamed(relative: Path, kind: Kind) -> Path:
    stem, suffix = split_suffix(relative.name)
    fitting = SUFFIXES[_result_kind(kind)]
    # DICOM files often have no suffix, or a UID for a name: such names stay.
    if suffix.lower() in fitting or (kind == "dicom" and not suffix):
        return relative
    return relative.with_name(stem + fitting[0])


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
