"""From the paths a user names to the files to work on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lowlight.errors import InputError, NotAnImageError
from lowlight.imaging.image import MedicalImage
from lowlight.imaging.limits import DicomReading
from lowlight.imaging.reading import DEFAULT_READING, read


@dataclass(frozen=True)
class Found:
    """A file to read.

    Attributes:
        path: where it is.
        relative: where its result belongs below an output folder: the path below the folder that was named, or the
            bare name of a file that was named itself.
        explicit: True if the user named this very file, False if it was met in a folder.
        fault: why it is not even tried (a folder that may not be listed, the directory of a medium); None for files.
    """

    path: Path
    relative: Path
    explicit: bool
    fault: InputError | None = None

    def read(
        self, value_range: tuple[float, float] | None = None, dicom: DicomReading = DEFAULT_READING
    ) -> MedicalImage:
        """Read the image; see `lowlight.imaging.read`.

        Raises:
            NotAnImageError: it holds no image and was met in a folder, or it is what comes with images: skip it.
            InputError: refused. A file that the user named is refused where its type is not supported.
        """
        if self.fault is not None:
            raise self.fault
        try:
            return read(self.path, value_range, dicom)
        except NotAnImageError as error:
            if self.explicit and not error.beside_images:
                raise InputError(error.source, error.fault, error.remedy) from None
            raise


def collect(paths: Iterable[str | Path]) -> Iterator[Found]:
    """Every file that the paths lead to: files as they are, folders with all below them, sorted by name.

    Hidden files and folders inside a named folder are left out, linked folders are not followed (they can form
    circles). A path that does not exist, or a folder that may not be listed, becomes a `Found` whose ``read`` raises,
    so that one bad path does not stop the others.
    """
    for path in map(Path, paths):
        if _is_folder(path):
            yield from _walk(path, path)
        else:
            yield Found(path, Path(path.name), explicit=True)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # Not even its parent may be looked into: reading it as a file says so.
        return False


def _walk(folder: Path, root: Path) -> Iterator[Found]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        fault = InputError(folder, f"is a folder that cannot be listed ({error.strerror})", "check its permissions")
        yield Found(folder, folder.relative_to(root), explicit=folder == root, fault=fault)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path, root)
        elif not _is_folder(path):
            yield Found(path, path.relative_to(root), explicit=False)
