"""Tables and pages that a command writes beside its work: checked before anything is loaded for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from lowlight.batch.text import printable
from lowlight.cli.batch import check_writable, identity
from lowlight.errors import InputError, OutputError
from lowlight.imaging import Found
from lowlight.imaging.filetype import identify

TABLE = (".csv",)
PAGE = (".html", ".htm")


def check_output(path: Path | None, suffixes: Sequence[str], option: str) -> None:
    """Find out early whether a file can be written as its option says; None passes.

    Raises:
        typer.BadParameter: its name ends in something else.
        OutputError: its folder cannot be written to, as far as can be seen without writing.
    """
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        raise typer.BadParameter(f"{path} has to end in {suffixes[0]}", param_hint=f"'{option}'")
    check_writable(path.parent)


def without_outputs(found: Iterable[Found], outputs: Iterable[Path | None]) -> list[Found]:
    """The inputs without an earlier table or page that lies among them, which the new one replaces.

    Raises:
        OutputError: an output would replace an image, whatever it is called here.
    """
    targets = {key: path for path in outputs if path is not None and (key := identity(path)) is not None}
    if not targets:
        return list(found)
    kept = []
    for item in found:
        target = targets.get(identity(item.path) or (-1, -1))
        if target is None:
            kept.append(item)
        elif item.explicit or _is_image(item.path):
            raise OutputError(target, "is one of the inputs, which are never changed", "choose another name")
    return kept


def known_as(found: Sequence[Found]) -> dict[Path, str]:
    """What each file is called on a page: its name, as text.

    A folder may be named after a patient: it is told only where the names of files would not tell them apart. Of DICOM
    whose results are named by a hash, the hash is told.
    """
    shared = Counter(item.relative.name for item in found)
    return {
        item.path: printable(item.relative.name if shared[item.relative.name] == 1 else item.relative.as_posix())
        for item in found
    }


def _is_image(path: Path) -> bool:
    try:
        identify(path)
    except InputError:
        return False
    return True
