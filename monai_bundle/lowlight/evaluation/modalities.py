"""Which modality a file shows, as far as a list beside it or its name tells."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from lowlight.errors import InputError
from lowlight.model.features import MODALITIES

MANIFEST = "MANIFEST.csv"
UNKNOWN = "unknown"
LEVELS = 4
"""A list is looked for in a folder and so many above it."""


class Modalities:
    """Modalities of files: from the list (MANIFEST.csv, columns file and modality) nearest to them, else from names.

    Names in the list count from its folder, or from the one above, on (``val/a.png`` or ``data/val/a.png`` in
    ``data/MANIFEST.csv``); other columns are not looked at. Names that tell are a sub-folder or, before the first
    underscore, the beginning of a file name that is one of `lowlight.model.features.MODALITIES`.

    Raises:
        InputError: a list cannot be read.
    """

    def __init__(self) -> None:
        self._lists: dict[Path, dict[str, str]] = {}

    def of(self, files: Iterable[tuple[Path, Path]]) -> tuple[str, str]:
        """The modality of an image that several files stand for, and what told it.

        Args:
            files: (path, path below the folder that was named) of the truth, the result, ...; asked in this order.

        Returns:
            The modality, and the path of the list, "sub-folder" or "file name"; (``UNKNOWN``, "nothing").
        """
        both = list(files)
        for path, _ in both:
            listed, where = self._listed(path.absolute())
            if listed:
                return listed, str(where)
        for _, relative in both:
            # The folder that was named may bear the name itself: evaluate data/val/xray out/xray.
            for part in reversed(relative.parts[:-1]):
                if part in MODALITIES:
                    return part, "sub-folder"
        for path, relative in both:
            named = PurePosixPath(relative.as_posix()).name.split("_")[0]
            if named in MODALITIES:
                return named, "file name"
            above = path.absolute().parent
            if above.name in MODALITIES:
                return above.name, "sub-folder"
        return UNKNOWN, "nothing"

    def _listed(self, path: Path) -> tuple[str, Path]:
        for folder in list(path.parents)[: LEVELS + 1]:
            entries = self._read(folder / MANIFEST)
            if not entries:
                continue
            below = path.relative_to(folder).as_posix()
            for name in (below, f"{folder.name}/{below}"):
                if entries.get(name):
                    return entries[name], folder / MANIFEST
        return "", path

    def _read(self, file: Path) -> dict[str, str]:
        if file not in self._lists:
            self._lists[file] = _entries(file) if file.is_file() else {}
        return self._lists[file]


def _entries(file: Path) -> dict[str, str]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [row for row in csv.DictReader(stream) if row.get("file") and row.get("modality")]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        remedy = "save it as UTF-8 text with the columns file and modality, or group by folder or prefix"
        raise InputError(file, f"cannot be read as a list of images ({error})", remedy) from error
    return {row["file"]: row["modality"] for row in rows}
