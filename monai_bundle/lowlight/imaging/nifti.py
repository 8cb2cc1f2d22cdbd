"""NIfTI-1 and -2, single slices and stacks; the header, and with it the geometry, goes back byte for byte.

Only the description (descrip) is replaced where a result is to say how it was made.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.errors import DependencyError, InputError
from lowlight.imaging.image import MedicalImage
from lowlight.imaging.values import check_finite, check_size, decide_range

_COLOURS = ("R", "G", "B")
# Where descrip stands, by the length of the header that the first four bytes give (NIfTI-1 and -2).
_DESCRIPTION_AT = {348: 148, 540: 240}
_DESCRIPTION_LENGTH = 80


@dataclass(frozen=True)
class InPlane:
    """How a voxel plane (i, j) becomes a picture (row, column): axes exchanged, then rows and columns mirrored."""

    exchanged: bool
    mirrored: tuple[int, ...]

    def to_picture(self, planes: NDArray[Any]) -> NDArray[Any]:
        """(F, i, j, ...) to (F, row, column, ...)."""
        turned = np.swapaxes(planes, 1, 2) if self.exchanged else planes
        return np.ascontiguousarray(np.flip(turned, self.mirrored))

    def to_voxels(self, pictures: NDArray[Any]) -> NDArray[Any]:
        """(F, row, column, ...) back to (F, i, j, ...)."""
        turned = np.flip(pictures, self.mirrored)
        return np.swapaxes(turned, 1, 2) if self.exchanged else turned


@dataclass(frozen=True)
class NiftiRestore:
    """What a NIfTI file written from this image gets besides its voxels.

    Attributes:
        prefix: everything in front of the voxels: header, extensions, padding.
        shape: of the voxel array, as the header declares it.
        stored: dtype of a voxel in the file, byte order included; structured for RGB.
        in_plane: how slices were turned into pictures.
    """

    prefix: bytes
    shape: tuple[int, ...]
    stored: np.dtype[Any]
    in_plane: InPlane


def load(path: Path, declared: tuple[float, float] | None) -> MedicalImage:
    """Read a NIfTI file; slices (and time points) along the last axes become frames. See `lowlight.imaging.read`.

    Pixels are the stored voxels; the header's slope and intercept, and its declared display range (cal_min, cal_max),
    are taken into account in ``value_range``.
    """
    try:
        import nibabel
    except ImportError:
        raise DependencyError(
            f"{path}: reading NIfTI needs nibabel; run `pip install lowlight-enhance[bundle]`"
        ) from None
    volume = nibabel.load(path)
    header, proxy = volume.header, volume.dataobj
    if not isinstance(volume, nibabel.Nifti1Image):
        raise InputError(path, "keeps header and voxels in two files", "convert it to a single .nii or .nii.gz file")
    shape = tuple(int(n) for n in volume.shape)
    plane = (*shape, 1, 1)[:2]
    check_size(path, plane[0], plane[1], math.prod(shape[2:]))
    # SimpleITK and Slicer store colour as a vector along the fifth axis (NIfTI-1, NIFTI_INTENT_VECTOR).
    colours = shape[4:] if len(shape) == 5 and shape[3:] == (1, len(_COLOURS)) else ()
    if len(shape) > 4 and not colours:
        raise InputError(path, f"has {len(shape)} dimensions", "save it as a slice, a stack, or a series of stacks")
    voxels = np.asarray(proxy.get_unscaled())
    in_plane = _in_plane(nibabel.aff2axcodes(volume.affine))
    # The last axes become the first: slices in order, time points one after the other.
    planes = np.moveaxis(voxels.reshape((*plane, -1, *colours), order="F"), 2, 0)
    pictures = in_plane.to_picture(_without_structure(path, planes))
    pixels = pictures if len(pictures) > 1 else pictures[0]
    slope, intercept = (1.0, 0.0) if proxy.slope in (None, 0) else (float(proxy.slope), float(proxy.inter or 0.0))
    return MedicalImage(
        pixels=pixels,
        value_range=_value_range(path, pixels, declared or _declared_by_file(header), slope, intercept),
        frames=len(pictures) > 1,
        modality=None,
        alpha=None,
        path=path,
        kind="nifti",
        restore=NiftiRestore(_prefix(path, int(proxy.offset)), shape, header.get_data_dtype(), in_plane),
    )


def save(pixels: NDArray[Any], frames: bool, restore: NiftiRestore, path: Path, derivation: str | None = None) -> None:
    """Write a NIfTI file; compressed if ``path`` ends in .gz.

    Args:
        pixels: (H, W), (H, W, 3) or, with ``frames``, the same behind an axis of frames; in the dtype that was read.
        frames: the first axis is frames.
        restore: header and voxel order.
        path: where to; overwritten.
        derivation: what was done, shortened to the 80 bytes of descrip.
    """
    planes = restore.in_plane.to_voxels(pixels if frames else pixels[None])
    if restore.stored.names is not None:
        structured = np.empty(planes.shape[:-1], restore.stored)
        for channel, name in enumerate(_COLOURS):
            structured[name] = planes[..., channel]
        planes = structured
    voxels = np.moveaxis(planes, 0, 2).reshape(restore.shape, order="F")
    content = _described(restore.prefix, derivation) + voxels.astype(restore.stored, copy=False).tobytes(order="F")
    # No time stamp: the same image gives the same bytes.
    path.write_bytes(gzip.compress(content, compresslevel=6, mtime=0) if path.suffix.lower() == ".gz" else content)


def _described(prefix: bytes, derivation: str | None) -> bytes:
    if not derivation:
        return prefix
    order = "<" if struct.unpack_from("<i", prefix)[0] in _DESCRIPTION_AT else ">"
    start = _DESCRIPTION_AT[struct.unpack_from(f"{order}i", prefix)[0]]
    text = _shortened(derivation).encode("ascii", "replace").ljust(_DESCRIPTION_LENGTH, b"\x00")
    return prefix[:start] + text + prefix[start + _DESCRIPTION_LENGTH :]


def _shortened(text: str) -> str:
    """At most 79 characters (a zero ends them): the last clause, a warning as a rule, and whole parts of the first."""
    room = _DESCRIPTION_LENGTH - 1
    if len(text) <= room:
        return text
    head, _, tail = text.rpartition(";")
    ending = ";" + tail if head and len(tail) < room // 2 else ""
    room -= len(ending)
    # Before a bracket, a comma or a colon; failing these, before a word.
    for boundary in (r" \(|[,:;]", r"\s"):
        ends = [match.start() for match in re.finditer(boundary, head or text) if 0 < match.start() <= room]
        if ends:
            return (head or text)[: ends[-1]] + ending
    return (head or text)[:room] + ending


def _in_plane(codes: tuple[str | None, ...]) -> InPlane:
    """Slices the way radiologists look at them: patient's left, back or feet towards the right and the bottom."""
    order = {"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}
    first, second = codes[:2]
    if first not in order or second not in order:
        return InPlane(exchanged=True, mirrored=())
    # Of left-right, front-back, head-feet, the earlier one runs along the columns.
    exchanged = order[first] < order[second]
    rows, columns = (second, first) if exchanged else (first, second)
    return InPlane(exchanged, tuple(axis for axis, code in ((1, rows), (2, columns)) if code in ("R", "A", "S")))


def _without_structure(path: Path, planes: NDArray[Any]) -> NDArray[Any]:
    if planes.dtype.names is None:
        return planes.astype(planes.dtype.newbyteorder("="), copy=False)
    if planes.dtype.names != _COLOURS:
        raise InputError(path, "stores colours with alpha", "save it as RGB")
    return np.stack([planes[name] for name in _COLOURS], axis=-1)


def _declared_by_file(header: Any) -> tuple[float, float] | None:
    smallest, largest = float(header["cal_min"]), float(header["cal_max"])
    return (smallest, largest) if largest > smallest else None


def _value_range(
    path: Path, pixels: NDArray[Any], declared: tuple[float, float] | None, slope: float, intercept: float
) -> tuple[float, float]:
    """A range declared in rescaled units, in those of the stored voxels; without one, what they can hold."""
    if declared is not None:
        check_finite(path, pixels)
        return (declared[0] - intercept) / slope, (declared[1] - intercept) / slope
    if pixels.dtype.kind == "f" and (slope, intercept) != (1.0, 0.0):
        decide_range(path, pixels * slope + intercept, None)
        return -intercept / slope, (1.0 - intercept) / slope
    black, white = decide_range(path, pixels, None)
    return (black, white) if slope > 0 else (white, black)


def _prefix(path: Path, length: int) -> bytes:
    with path.open("rb") as stream:
        if stream.read(2) == b"\x1f\x8b":
            stream.seek(0)
            with gzip.open(stream) as unpacked:
                return unpacked.read(length)
        stream.seek(0)
        return stream.read(length)
