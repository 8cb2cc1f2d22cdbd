"""Which enhanced image belongs to which truth, and to which group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from lowlight.errors import InputError, NoPartnerError, NotAnImageError
from lowlight.evaluation.modalities import Modalities
from lowlight.imaging import Found, plan_names
from lowlight.imaging.filetype import identify, split_suffix


class Grouping(StrEnum):
    """What a group is: the sub-folder of the enhanced image, what its name has before the first underscore, or what it
    shows (see `lowlight.evaluation.modalities`)."""

    FOLDER = "folder"
    PREFIX = "prefix"
    MODALITY = "modality"


@dataclass(frozen=True)
class Pair:
    """An enhanced image, its truth, and the image before enhancement if it is known.

    Attributes:
        name: of the enhanced image, without suffix, below its folder; forward slashes.
        group: what it is averaged with.
        group_from: what told its modality, where that is the group; empty otherwise.
    """

    name: str
    group: str
    clean: Found
    enhanced: Found
    observed: Found | None = None
    group_from: str = ""


@dataclass(frozen=True)
class Pairing:
    """The pairs, the images without a partner (or unreadable), and the files that are no images."""

    pairs: list[Pair]
    refused: list[InputError]
    skipped: list[NotAnImageError]


def pair(
    clean: Iterable[Found],
    enhanced: Iterable[Found],
    observed: Iterable[Found] | None = None,
    by: Grouping = Grouping.FOLDER,
) -> Pairing:
    """Find the truth of each enhanced image.

    Two files that were named themselves are a pair whatever their names. Otherwise a partner has the same path without
    suffix below the folder that was named, or the name that enhancing it would give (``a.jpg.png`` for ``a.jpg``, where
    an ``a.png`` lies beside it). One truth serves several observations: ``heavy/a.png`` finds ``a.png`` if there is no
    ``heavy/a.png``.

    Args:
        clean: the truth, as `lowlight.imaging.collect` found it.
        enhanced: the images to judge.
        observed: the images before enhancement, for the contrast improvement; every pair then needs one.
        by: what makes a group.

    Raises:
        InputError: a list of modalities cannot be read.
    """
    refused: list[InputError] = []
    skipped: list[NotAnImageError] = []
    truths = _Names(_images(clean, refused, skipped))
    results = _images(enhanced, refused, skipped)
    inputs = None if observed is None else _Names(_images(observed, refused, skipped))
    modalities = Modalities()
    pairs: list[Pair] = []
    used: set[Path] = set()
    for result in results:
        try:
            truth = truths.partner_of(result, "clean", alone=len(results) == 1)
            used.add(truth.path)
            before = None if inputs is None else inputs.partner_of(result, "input", alone=len(results) == 1)
        except InputError as error:
            refused.append(error)
            continue
        group, told_by = _group(truth, result, by, modalities)
        pairs.append(Pair(_key(result.relative).as_posix(), group, truth, result, before, told_by))
    for truth in truths.found:
        if truth.path not in used:
            fault = "has no partner among the enhanced images"
            refused.append(NoPartnerError(truth.path, fault, "enhance it too, under the same name, or take it away"))
    return Pairing(pairs, refused, skipped)


class _Names:
    """Images that can be found by the name of their partner."""

    def __init__(self, found: list[Found]) -> None:
        self.found = found
        self._by_result = dict(zip(map(_posix, plan_names(found)), found, strict=True))
        self._by_key: dict[PurePosixPath, list[Found]] = {}
        for item in found:
            self._by_key.setdefault(_key(item.relative), []).append(item)

    def partner_of(self, result: Found, role: str, alone: bool) -> Found:
        """The partner of an enhanced image; ``alone`` if that is the only one.

        Raises:
            InputError: there is none, or several could be meant.
        """
        if alone and result.explicit and len(self.found) == 1 and self.found[0].explicit:
            return self.found[0]
        name = _posix(result.relative)
        for start in range(len(name.parts)):
            shorter = PurePosixPath(*name.parts[start:])
            if shorter in self._by_result:
                return self._by_result[shorter]
            matches = self._by_key.get(_key(shorter), [])
            if len(matches) == 1:
                return matches[0]
            if matches:
                several = " and ".join(item.path.name for item in matches)
                raise InputError(result.path, f"could belong to {several}", "give them different names")
        fault = f"has no partner among the {role} images"
        raise NoPartnerError(
            result.path, fault, "partners have the same name below their folders; suffixes do not count"
        )


def _images(found: Iterable[Found], refused: list[InputError], skipped: list[NotAnImageError]) -> list[Found]:
    """Those that are images by their first bytes; the others are added to the lists."""
    images = []
    for item in found:
        try:
            if item.fault is not None:
                raise item.fault
            identify(item.path)
            images.append(item)
        except NotAnImageError as error:
            if item.explicit:
                refused.append(InputError(error.source, error.fault, error.remedy))
            else:
                skipped.append(error)
        except InputError as error:
            refused.append(error)
    return images


def _posix(path: Path) -> PurePosixPath:
    return PurePosixPath(path.as_posix())


def _key(relative: Path | PurePosixPath) -> PurePosixPath:
    return PurePosixPath(relative.parent.as_posix()) / split_suffix(relative.name)[0]


def _group(truth: Found, result: Found, by: Grouping, modalities: Modalities) -> tuple[str, str]:
    """The group of a pair, and what told it if it is a modality."""
    if by is Grouping.MODALITY:
        return modalities.of([(truth.path, truth.relative), (result.path, result.relative)])
    if by is Grouping.FOLDER:
        return result.relative.parent.as_posix(), ""
    return split_suffix(result.relative.name)[0].split("_")[0], ""
