"""TIFF 6.0 and BigTIFF: 1 to 32 bit integers and floats, grey and colour, single page or a stack of equal pages.

Resolution is kept as declared. Of ImageJ's and OME's descriptions the geometry is kept, where it stays true of the
result; `lowlight.imaging.tiff_geometry` says when. Descriptions of other programs are free text and left behind.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from lowlight.errors import InputError
from lowlight.imaging import tiff_decoding, tiff_geometry
from lowlight.imaging.image import MedicalImage
from lowlight.imaging.orientation import swaps_axes, upright
from lowlight.imaging.tiff_decoding import DecodedPage
from lowlight.imaging.values import check_size, decide_range

_DESCRIPTION, _ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 270, 274, 282, 283, 296
_SMALLEST_SAMPLE, _LARGEST_SAMPLE = 340, 341
_UNCOMPRESSED = 1
_PALETTE = 3
_INCH = 2
_DOUBLE = 12

Rational = tuple[int, int]


@dataclass(frozen=True)
class TiffRestore:
    """What a TIFF written from this image gets besides its pixels.

    Attributes:
        icc_profile: colour profile.
        resolution: (horizontal, vertical), each as numerator and denominator.
        resolution_unit: 1 none, 2 inch, 3 centimetre.
        sample_range: SMinSampleValue and SMaxSampleValue, the range that the file declares.
        extra_sample: the kind of its alpha: 0 unspecified, 1 premultiplied, 2 not premultiplied; None without alpha.
        compressed: compress (Deflate, which loses nothing).
        big: BigTIFF.
        byte_order: "<" or ">".
        geometry: ImageDescription of ImageJ or OME, reduced to physical geometry; None if the file has none.
    """

    icc_profile: bytes | None
    resolution: tuple[Rational, Rational] | None
    resolution_unit: int
    sample_range: tuple[float, float] | None
    extra_sample: int | None
    compressed: bool
    big: bool
    byte_order: str
    geometry: str | None = None


def load(path: Path, declared: tuple[float, float] | None) -> MedicalImage:
    """Read a TIFF file; several pages become frames. See `lowlight.imaging.read`."""
    with tifffile.TiffFile(path) as file:
        pages = _pages(path, file)
        first = pages[0]
        check_size(path, first.imagelength, first.imagewidth, len(pages))
        decoded = [tiff_decoding.decode(path, file, page) for page in pages]
        restore = _restore(file, first, decoded[0])
        orientation = int(_tag(first, _ORIENTATION) or 1)
    if swaps_axes(orientation) and restore.resolution:
        restore = replace(restore, resolution=restore.resolution[::-1])
    description = _tag(first, _DESCRIPTION)
    if orientation == 1 and isinstance(description, str):
        dtype = None if first.photometric == _PALETTE else decoded[0].pixels.dtype
        restore = replace(restore, geometry=tiff_geometry.geometry(description, len(pages), dtype))
    pixels = _stacked([upright(page.pixels, orientation) for page in decoded])
    alphas = [upright(page.alpha, orientation) for page in decoded if page.alpha is not None]
    return MedicalImage(
        pixels=pixels,
        value_range=decide_range(path, pixels, declared or _declared_by_file(pixels, restore)),
        frames=len(decoded) > 1,
        modality=None,
        alpha=_stacked(alphas) if alphas else None,
        path=path,
        kind="tiff",
        restore=restore,
    )


def save(
    pixels: NDArray[Any],
    frames: bool,
    alpha: NDArray[Any] | None,
    restore: TiffRestore,
    path: Path,
    derivation: str | None = None,
) -> None:
    """Write a TIFF file, one page per frame.

    Args:
        pixels: (H, W), (H, W, 3) or, with ``frames``, the same behind an axis of frames.
        frames: the first axis is frames.
        alpha: of the shape of ``pixels`` without colour, or None.
        restore: resolution, profile and layout.
        path: where to; overwritten.
        derivation: what was done: the ImageDescription, or Software where the description holds geometry.
    """
    colour = pixels.ndim == (4 if frames else 3)
    samples = pixels
    if alpha is not None:
        samples = np.concatenate([pixels if colour else pixels[..., None], alpha[..., None]], axis=-1)
    extra_tags = []
    if restore.sample_range is not None:
        tags = zip((_SMALLEST_SAMPLE, _LARGEST_SAMPLE), restore.sample_range, strict=True)
        extra_tags = [(tag, _DOUBLE, 1, value, False) for tag, value in tags]
    imagej_stack = frames and tiff_geometry.is_imagej(restore.geometry)
    compressed = restore.compressed and not imagej_stack
    note = derivation.encode() if derivation else None
    options: dict[str, Any] = {
        "photometric": "rgb" if colour else "minisblack",
        "planarconfig": "contig" if colour or alpha is not None else None,
        "extrasamples": None if alpha is None else [restore.extra_sample or 0],
        "compression": "zlib" if compressed else None,
        "predictor": compressed and pixels.dtype.kind in "iu",
        "iccprofile": restore.icc_profile,
        "resolution": restore.resolution,
        "resolutionunit": restore.resolution_unit if restore.resolution else None,
        "extratags": extra_tags,
        "metadata": None,
        "software": (note or False) if restore.geometry else False,
    }
    description = restore.geometry.encode("ascii") if restore.geometry else note
    with tifffile.TiffWriter(path, bigtiff=restore.big, byteorder=restore.byte_order) as writer:
        # Page by page: given a stack, the writer would have to guess which axis is which.
        for number, page in enumerate(samples if frames else samples[None]):
            first_only = description if number == 0 else None
            writer.write(page, contiguous=imagej_stack, description=first_only, **options)


def _pages(path: Path, file: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """The pages in full resolution, checked to be frames of one stack."""
    pages = [page for page in file.pages if isinstance(page, tifffile.TiffPage) and not page.is_reduced]
    if not pages:
        raise InputError(path, "holds no full-resolution image", "export it again")
    if any((page.shape, page.dtype, page.photometric) != _layout(pages[0]) for page in pages):
        raise InputError(path, "holds pages of different size or type", "split it into one file per image")
    if any(len(page.tags) < _declared_tags(file, page) for page in pages):
        raise InputError(path, "is damaged or incomplete (parts of its directory are missing)", "export it again")
    if file.is_imagej and file.series and file.series[0].size > pages[0].size * len(pages):
        raise InputError(path, "is an ImageJ stack without a directory entry per slice", "save it as an ordinary TIFF")
    return pages


def _declared_tags(file: tifffile.TiffFile, page: tifffile.TiffPage) -> int:
    """How many tags the directory says it has: those that point behind the end of the file are silently left out."""
    form = file.byteorder + ("Q" if file.is_bigtiff else "H")
    file.filehandle.seek(page.offset)
    return int(struct.unpack(form, file.filehandle.read(struct.calcsize(form)))[0])


def _layout(page: tifffile.TiffPage) -> tuple[Any, ...]:
    return page.shape, page.dtype, page.photometric


def _restore(file: tifffile.TiffFile, page: tifffile.TiffPage, decoded: DecodedPage) -> TiffRestore:
    resolution = (_tag(page, _X_RESOLUTION), _tag(page, _Y_RESOLUTION))
    smallest, largest = _tag(page, _SMALLEST_SAMPLE), _tag(page, _LARGEST_SAMPLE)
    unit = _tag(page, _RESOLUTION_UNIT)
    return TiffRestore(
        icc_profile=page.iccprofile,
        resolution=resolution if all(resolution) and all(r[0] and r[1] for r in resolution) else None,
        resolution_unit=_INCH if unit is None else int(unit),
        sample_range=None if smallest is None or largest is None else (_first(smallest), _first(largest)),
        extra_sample=decoded.extra_sample,
        compressed=page.compression != _UNCOMPRESSED,
        big=file.is_bigtiff,
        byte_order=file.byteorder,
    )


def _declared_by_file(pixels: NDArray[Any], restore: TiffRestore) -> tuple[float, float] | None:
    # For integers many programs write the values that happen to occur into these tags; floats have no other range.
    if pixels.dtype.kind != "f" or restore.sample_range is None or restore.sample_range[0] >= restore.sample_range[1]:
        return None
    return restore.sample_range


def _tag(page: tifffile.TiffPage, code: int) -> Any:
    tag = page.tags.get(code)
    return None if tag is None else tag.value


def _first(value: Any) -> float:
    return float(np.ravel(value)[0])


def _stacked(frames: list[NDArray[Any]]) -> NDArray[Any]:
    return frames[0] if len(frames) == 1 else np.stack(frames)
