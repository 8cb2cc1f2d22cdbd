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

CLIP_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".m4v", ".webm")
"""Usual suffixes of films: see `lowlight.imaging.video`."""

SUPPORTED = "PNG, JPEG, TIFF, NIfTI (.nii, .nii.gz) and DICOM"

_HEADER_BYTES = 544  # as far as the magic number of NIfTI-2 and the DICOM prefix reach
_PNG = b"\x89PNG\r\n\x1a\n"
_GZIP = b"\x1f\x8b"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
# A data set without preamble begins with an element of group 0002 or 0008, in either byte order.
_STILL = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx ")
"""Brands of the MP4 family that are no films but pictures (HEIF, AVIF, camera raw)."""
_DICOM_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")


def split_suffix(name: str) -> tuple[str, str]:
    """A file name as (stem, suffix), with ``.nii.gz`` as one suffix and no suffix for ``1.2.840.10008``.

    Only suffixes of supported kinds and of films count: the dots of a UID or of ``patient.2`` belong to the stem.
    """
    lowered = name.lower()
    known = [suffix for suffixes in SUFFIXES.values() for suffix in suffixes]
    for suffix in sorted([*known, *CLIP_SUFFIXES], key=len, reverse=True):
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
    if suffix and suffix not in CLIP_SUFFIXES:
        content = "text" if _is_text(header) else "something else"
        raise InputError(
            path, f"is named {suffix} but holds {content}", "check that it was exported and copied completely"
        )
    # A README or an archive lies beside the images of many studies.
    is_readme = not path.suffix or path.stem.lower() == "readme"
    if _container_of(header) is not None:
        raise NotAnImageError(path, "is a film, which is not taken here", "`lowlight enhance` takes films")
    beside = header.startswith(_GZIP) or (is_readme and _is_text(header))
    raise NotAnImageError(path, "is of an unsupported type", f"convert it to one of {SUPPORTED}", beside)


def clip_container(path: Path) -> str | None:
    """What a film is, by its first bytes and as FFmpeg names it: "mov" (MP4, QuickTime), "matroska" (WebM), "avi";
    None of anything else.

    Raises:
        InputError: missing, empty or unreadable, a folder, or named like a film without being one.
    """
    header = _read_header(path)
    container = _container_of(header)
    if container is None and path.suffix.lower() in CLIP_SUFFIXES and _kind_of(header) is None:
        content = "text" if _is_text(header) else "something else"
        fault = f"is named {path.suffix.lower()} but holds {content}"
        raise InputError(path, fault, "check that it was exported and copied completely")
    return container


def is_clip(path: Path) -> bool:
    """Whether this is a film, or named like one and no image: then `clip_container` says what is wrong."""
    try:
        return clip_container(path) is not None
    except InputError:
        return path.suffix.lower() in CLIP_SUFFIXES


def _container_of(header: bytes) -> str | None:
    box = header[4:8]
    if box == b"ftyp":
        return None if header[8:12] in _STILL else "mov"
    if box in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return "mov"
    if header.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    return "avi" if header.startswith((b"RIFF", b"RIFX")) and header[8:12] in (b"AVI ", b"AVIX") else None


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
