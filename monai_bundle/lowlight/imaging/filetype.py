"""Which kind of file this is, by its content."""

from __future__ import annotations

import zlib
from pathlib import Path

from lowlight.errors import InputError, NotAnImageError
from lowlight.imaging.image import Kind

SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "tiff": (".tif", ".tiff"),
    "nifti": (".nii", ".nii.gz"),
    "dicom": (".dcm", ".dicom", ".ima"),
}
"""Usual suffixes per kind; the first is the one that results get."""

SUPPORTED = "PNG, JPEG, TIFF, NIfTI (.nii, .nii.gz) and DICOM"

_HEADER_BYTES = 544  # as far as the magic number of NIfTI-2 and the DICOM prefix reach
_PNG = b"\x89PNG\r\n\x1a\n"
_GZIP = b"\x1f\x8b"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
# A data set without preamble begins with an element of group 0002 or 0008, in either byte order.
_DICOM_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")


def split_suffix(name: str) -> tuple[str, str]:
    """A file name as (stem, suffix), with ``.nii.gz`` as one suffix and no suffix for ``1.2.840.10008``.

    Only suffixes of supported kinds count: the dots of a UID or of ``patient.2`` belong to the stem.
    """
    lowered = name.lower()
    known = sorted((s for suffixes in SUFFIXES.values() for s in suffixes), key=len, reverse=True)
    for suffix in known:
        if lowered.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], name[-len(suffix) :]
    return name, ""


def identify(path: Path) -> Kind:
    """The kind of the file, found from its first bytes.

    Raises:
        InputError: missing, empty or unreadable, a folder, or named like an image without being one.
        NotAnImageError: no supported type.
    """
    header = _read_header(path)
    kind = _kind_of(header)
    if kind is not None:
        return kind
    suffix = split_suffix(path.name)[1].lower()
    if suffix:
        content = "text" if _is_text(header) else "something else"
        raise InputError(
            path, f"is named {suffix} but holds {content}", "check that it was exported and copied completely"
        )
    # A README or an archive lies beside the images of many studies.
    is_readme = not path.suffix or path.stem.lower() == "readme"
    beside = header.startswith(_GZIP) or (is_readme and _is_text(header))
    raise NotAnImageError(path, "is of an unsupported type", f"convert it to one of {SUPPORTED}", beside)


def _read_header(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InputError(path, "is a folder, not an image", "name the files in it")
        if path.exists() and not path.is_file():
            # Opening a pipe or a device could wait for ever.
            raise NotAnImageError(path, "is not a regular file", f"name a file of type {SUPPORTED}")
        with path.open("rb") as stream:
            header = stream.read(_HEADER_BYTES)
    except FileNotFoundError:
        raise InputError(path, "does not exist", "check the path") from None
    except PermissionError:
        raise InputError(path, "may not be read", "check its permissions") from None
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror or error})", "check the disk or share") from None
    if not header:
        raise InputError(path, "is empty", "export or copy it again")
    return header


def _kind_of(header: bytes) -> Kind | None:
    if header.startswith(_PNG):
        return "png"
    if header.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if header[128:132] == b"DICM":
        return "dicom"
    if header.startswith(_TIFF):
        return "tiff"
    if _is_nifti(header) or (header.startswith(_GZIP) and _is_nifti(_inflate(header))):
        return "nifti"
    if _is_bare_dicom(header):
        return "dicom"
    return None


def _is_nifti(header: bytes) -> bool:
    return header[344:348] in (b"n+1\x00", b"ni1\x00") or header[4:8] in (b"n+2\x00", b"ni2\x00")


def _inflate(header: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(header, _HEADER_BYTES)
    except zlib.error:
        return b""


def _is_bare_dicom(header: bytes) -> bool:
    # Group 0002 or 0008, a low element number, then a VR in capitals or a short length: text never looks like this.
    if len(header) < 16 or not header.startswith(_DICOM_GROUPS) or header[:2] == header[2:4] == b"\x00\x00":
        return False
    explicit = header[4:6].isalpha() and header[4:6].isupper()
    implicit = header[6:8] == b"\x00\x00"
    return explicit or implicit


def _is_text(header: bytes) -> bool:
    try:
        text = header.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        if error.start < len(header) - 4:
            return False
        text = header[: error.start].decode("utf-8")
    return all(character.isprintable() or character.isspace() for character in text)
