"""Which images train and which validate."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lowlight.errors import InputError, NotAnImageError
from lowlight.imaging import Found, collect
from lowlight.imaging.filetype import SUPPORTED, identify
from lowlight.model.features import MODALITIES

MANIFEST = "MANIFEST.csv"
UNKNOWN = "unknown"


def load_datalist(
    dataset_dir: str | Path,
    section: str,
    validation_share: float = 0.1,
    group_column: str = "group",
    modalities: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """List the images of one section of a dataset folder.

    A folder with sub-folders `train` and `val` is taken as split. Any other folder is split here, the same way every
    time: by the column `group_column` of its MANIFEST.csv (columns file, group and optionally modality, files named
    from the folder or from the one above; the files of a group, a patient say, stay together), else file by file. What
    is an image is told from the content, so that DICOM files need no suffix.

    Args:
        dataset_dir: the folder.
        section: "train" or "val".
        validation_share: share of groups (or files) held out for validation where the folder is not split already.
        group_column: column of MANIFEST.csv that names what must not be torn apart.
        modalities: keep these only; None keeps all.

    Returns:
        One {"image": path, "modality": name} a file, sorted by path. The modality is that of MANIFEST.csv or of the
        sub-folder that bears its name, else "unknown".

    Raises:
        InputError: no such folder, no image in it, or too few to hold some out; a damaged MANIFEST.csv; a file named
            like an image that is none.
    """
    root = Path(dataset_dir)
    if section not in ("train", "val"):
        raise ValueError(f'section must be "train" or "val", got {section!r}')
    if not root.is_dir():
        raise InputError(root, "no such folder", "give --dataset_dir a folder of images")
    split = (root / "train").is_dir() and (root / "val").is_dir()
    manifest = _manifest(root)
    items = _images(root, root / section if split else root, manifest)
    if not split:
        held_out = _held_out(_groups(root, items, manifest, group_column), validation_share)
        items = [item for item, out in zip(items, held_out, strict=True) if out == (section == "val")]
    if not items:
        # Of one image alone, or of one group alone, nothing can be held out.
        least = "" if split else f", at least two (of two groups, where {MANIFEST} has them)"
        raise InputError(root, f"no image for {section} found", f"it needs images of the kinds {SUPPORTED}{least}")
    if modalities is not None:
        items = [item for item in items if item["modality"] in modalities]
        if not items:
            remedy = f"sub-folders bear the name of what they hold, or {MANIFEST} says it; --modalities null takes all"
            raise InputError(root, f"no image for {section} is of {', '.join(modalities)}", remedy)
    return items


def balanced_weights(items: list[dict[str, Any]], power: float = 0.75) -> list[float]:
    """Sampling weight per item: 1 / count(modality)^power. 0 draws files evenly, 1 draws modalities evenly."""
    counts = Counter(item["modality"] for item in items)
    return [counts[item["modality"]] ** -power for item in items]


def with_severities(
    items: list[dict[str, Any]], severities: Sequence[str] = ("light", "medium", "heavy"), every: bool = True
) -> list[dict[str, Any]]:
    """Items for validation: each at every severity, or (every=False) each at one, in turn."""
    if every:
        return [{**item, "severity": severity} for severity in severities for item in items]
    return [{**item, "severity": severities[index % len(severities)]} for index, item in enumerate(items)]


def _images(root: Path, folder: Path, manifest: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    items = []
    for path in (entry.path for entry in collect([folder]) if _is_image(entry)):
        relative = path.relative_to(root)
        named = [part for part in relative.parts[:-1] if part in MODALITIES]
        listed = manifest.get(relative.as_posix(), {}).get("modality", "")
        modality = listed if listed in MODALITIES else (named[0] if named else UNKNOWN)
        items.append({"image": str(path), "modality": modality})
    return items


def _is_image(entry: Found) -> bool:
    if entry.fault is not None:
        raise entry.fault
    try:
        identify(entry.path)
    except NotAnImageError:
        return False
    return True


def _manifest(root: Path) -> dict[str, dict[str, str]]:
    file = root / MANIFEST
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if rows and "file" not in rows[0]:
        raise InputError(file, 'has no column "file"', "its first line must name the columns file and group")
    # Some collections name files from the folder above, beside which other tables lie.
    above = f"{root.resolve().name}/"
    from_above = all(row["file"].startswith(above) for row in rows) and not (root / above).is_dir()
    return {row["file"].removeprefix(above) if from_above else row["file"]: row for row in rows}


def _groups(root: Path, items: list[dict[str, Any]], manifest: dict[str, dict[str, str]], column: str) -> list[str]:
    names = [Path(item["image"]).relative_to(root).as_posix() for item in items]
    return [manifest.get(name, {}).get(column) or name for name in names]


def _held_out(groups: list[str], share: float) -> list[bool]:
    """Which entries validate: the groups whose hash comes first, at least one group where there are two."""
    ordered = sorted(set(groups), key=lambda group: hashlib.sha256(group.encode()).hexdigest())
    count = min(max(1, round(share * len(ordered))), len(ordered) - 1)
    chosen = set(ordered[:count])
    return [group in chosen for group in groups]
