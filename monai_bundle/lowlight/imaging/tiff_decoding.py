"""The pixels of one TIFF page, through whichever installed decoder keeps all of its bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from lowlight.errors import DependencyError, InputError
from lowlight.imaging.png import open_picture

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_NOT_PREMULTIPLIED = 2
_PILLOW_KEEPS = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B", "F")


class DecodedPage(NamedTuple):
    """One page as stored, before its orientation is applied.

    Attributes:
        pixels: (H, W) or (H, W, 3) in the stored dtype, black below white.
        alpha: (H, W) or None.
        extra_sample: kind of alpha, as `lowlight.imaging.tiff.TiffRestore` has it.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    extra_sample: int | None


def decode(path: Path, file: tifffile.TiffFile, page: tifffile.TiffPage) -> DecodedPage:
    """Decode a page.

    Args:
        path: the file, named in errors.
        file: the open file that ``page`` belongs to.
        page: grey, palette, RGB or YCbCr, with at most one extra sample.

    Raises:
        InputError: a colour space or bit depth that is not supported.
        DependencyError: a compression that no installed package decodes at this depth.
    """
    _check_supported(path, page)
    if page.photometric == _YCBCR or page.bitspersample in (2, 4):
        return _through_pillow(path, page)
    try:
        samples = page.asarray()
    except (ValueError, KeyError, NotImplementedError) as error:
        if "imagecodecs" not in str(error):
            raise
        return _through_pillow(path, page)
    if page.photometric == _PALETTE:
        return DecodedPage(_looked_up(samples, page.colormap), None, None)
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    if samples.dtype == np.bool_:
        samples = samples.astype(np.uint8) * np.uint8(255)
    if page.photometric == _WHITE_IS_ZERO:
        samples = np.iinfo(samples.dtype).max - samples
    return _split(samples, page.extrasamples[0] if page.extrasamples else None)


def _check_supported(path: Path, page: tifffile.TiffPage) -> None:
    if page.photometric == _CMYK:
        raise InputError(path, "is a TIFF in CMYK colours, made for printing", "save it as RGB")
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
        raise InputError(path, "is a TIFF in a colour space that is not supported", "save it as grey or RGB")
    colours = 3 if page.photometric in (_RGB, _YCBCR) else 1
    if page.samplesperpixel not in (colours, colours + 1) or page.axes not in ("YX", "YXS", "SYX"):
        raise InputError(
            path, f"has {page.samplesperpixel} samples a pixel in the order {page.axes}", "save it as grey or RGB"
        )
    if page.bitspersample not in (1, 2, 4, 8, 16, 32, 64):
        raise InputError(path, f"packs {page.bitspersample} bits a sample", "save it with 8 or 16 bits a sample")
    if page.photometric == _WHITE_IS_ZERO and page.dtype.kind not in "bu":
        raise InputError(path, "has white at zero with signed or floating-point values", "save it with black as zero")


def _looked_up(indices: NDArray[Any], colormap: NDArray[np.uint16]) -> NDArray[np.uint8]:
    # The standard asks for 16-bit entries; some programs write 8-bit ones.
    entries = colormap >> 8 if colormap.max() > 255 else colormap
    pixels = entries.T.astype(np.uint8)[indices]
    if (entries[0] == entries[1]).all() and (entries[1] == entries[2]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return pixels


def _split(samples: NDArray[Any], extra_sample: int | None) -> DecodedPage:
    if samples.ndim == 2:
        return DecodedPage(samples, None, None)
    count = samples.shape[-1]
    if count == 2:
        return DecodedPage(np.ascontiguousarray(samples[..., 0]), samples[..., 1], int(extra_sample or 0))
    if count == 4:
        return DecodedPage(np.ascontiguousarray(samples[..., :3]), samples[..., 3], int(extra_sample or 0))
    return DecodedPage(np.ascontiguousarray(samples), None, None)


def _through_pillow(path: Path, page: tifffile.TiffPage) -> DecodedPage:
    """LZW, JPEG, fax and the like, which tifffile leaves to another package. Pillow would cut 16-bit colour to 8."""
    if page.samplesperpixel > 1 and page.bitspersample > 8:
        return _through_simpleitk(path, page)
    with open_picture(path, ("TIFF",), path) as picture:
        picture.seek(page.index)
        if picture.mode not in _PILLOW_KEEPS:
            raise _no_decoder(path, page)
        if picture.mode == "P":
            picture = picture.convert("RGB")
        elif picture.mode == "1":
            picture = picture.convert("L")
        samples = np.asarray(picture)
    if samples.dtype.byteorder == ">":
        samples = samples.astype(samples.dtype.newbyteorder("="))
    # Pillow divides premultiplied colours by their alpha, so that what it returns never is premultiplied.
    return _split(samples, _NOT_PREMULTIPLIED)


def _through_simpleitk(path: Path, page: tifffile.TiffPage) -> DecodedPage:
    try:
        import SimpleITK
    except ImportError:
        raise _no_decoder(path, page) from None
    stack = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path), imageIO="TIFFImageIO"))
    return _split(stack if stack.ndim == 3 else stack[page.index], page.extrasamples[0] if page.extrasamples else None)


def _no_decoder(path: Path, page: tifffile.TiffPage) -> DependencyError:
    name = getattr(page.compression, "name", page.compression)
    return DependencyError(
        f"{path}: its {name} compression at {page.bitspersample} bits needs a decoder that is not installed; "
        "run `pip install imagecodecs`, or save it without compression"
    )
