"""PNG, 1 to 16 bit, grey and colour, with its colour profile and resolution (PNG specification, third edition)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lowlight.errors import InputError
from lowlight.imaging.image import MedicalImage
from lowlight.imaging.orientation import swaps_axes, upright
from lowlight.imaging.values import check_size, decide_range

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What decides how pixels look and how large they are; text, time and EXIF (camera, place) are left behind.
_KEPT = (b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"pHYs")
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_LARGEST_KEPT_CHUNK = 16 * 2**20
_COMPRESSION = 4  # half the time of the usual 6, for files 4 % larger
_EXIF_ORIENTATION = 0x0112


class Chunk(NamedTuple):
    """One PNG chunk: its four-letter type and its data."""

    name: bytes
    data: bytes


@dataclass(frozen=True)
class PngRestore:
    """What a PNG written from this image gets besides its pixels.

    Attributes:
        chunks: colour space and resolution, to stand between header and pixels.
    """

    chunks: tuple[Chunk, ...] = ()


class _Header(NamedTuple):
    width: int
    height: int
    depth: int
    colour: int


def load(path: Path, declared: tuple[float, float] | None) -> MedicalImage:
    """Read a PNG file; see `lowlight.imaging.read`."""
    content = path.read_bytes()
    header, chunks = _describe(path, content)
    check_size(path, header.height, header.width)
    pixels, alpha, orientation = _decode(path, content, header)
    if swaps_axes(orientation):
        chunks = tuple(_swap_resolution(chunk) for chunk in chunks)
    if header.colour == _PALETTE and pixels.ndim == 2:
        # A grey image must not carry the RGB profile of the palette it came from.
        chunks = tuple(chunk for chunk in chunks if chunk.name != b"iCCP")
    return MedicalImage(
        pixels=upright(pixels, orientation),
        value_range=decide_range(path, pixels, declared),
        frames=False,
        modality=None,
        alpha=None if alpha is None else upright(alpha, orientation),
        path=path,
        kind="png",
        restore=PngRestore(chunks),
    )


def save(
    pixels: NDArray[Any], alpha: NDArray[Any] | None, restore: PngRestore, path: Path, derivation: str | None = None
) -> None:
    """Write a PNG file.

    Args:
        pixels: (H, W) or (H, W, 3), uint8 or uint16.
        alpha: (H, W) of the same dtype, or None.
        restore: colour space and resolution.
        path: where to; overwritten.
        derivation: what was done, as the text "Description".
    """
    encoded = _encode(pixels, alpha)
    header_end = len(_SIGNATURE) + 25
    with path.open("wb") as stream:
        stream.write(encoded[:header_end])
        for chunk in (*restore.chunks, *([_text("Description", derivation)] if derivation else [])):
            stream.write(_framed(chunk))
        stream.write(encoded[header_end:])


def restore_from(icc_profile: bytes | None, dots_per_inch: tuple[float, float] | None, channels: int) -> PngRestore:
    """What a PNG needs to look like an image of another format.

    Args:
        icc_profile: as in the other file; dropped where its colour space is not that of the pixels, as PNG demands.
        dots_per_inch: horizontal, vertical.
        channels: 1 or 3.
    """
    chunks = []
    if icc_profile and icc_profile[16:20] == (b"RGB " if channels == 3 else b"GRAY"):
        chunks.append(Chunk(b"iCCP", b"ICC profile\x00\x00" + zlib.compress(icc_profile, 9)))
    if dots_per_inch:
        per_metre = [round(dots / 0.0254) for dots in dots_per_inch]
        if all(0 < dots < 2**31 for dots in per_metre):
            chunks.append(Chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    return PngRestore(tuple(chunks))


def open_picture(source: Path | io.BytesIO, formats: tuple[str, ...], path: Path) -> Image.Image:
    """Open with Pillow, with its own limit on pixels in the words of `check_size`, which comes before it mostly."""
    try:
        return Image.open(source, formats=formats)
    except Image.DecompressionBombError:
        raise InputError(path, "declares more pixels than can be read", "crop it or scale it down") from None


def _chunks(content: bytes) -> Iterator[Chunk]:
    """The chunks in front of the pixels."""
    position = len(_SIGNATURE)
    while position + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        if name in (b"IDAT", b"IEND"):
            return
        yield Chunk(name, content[position + 8 : position + 8 + length])
        position += 12 + length


def _describe(path: Path, content: bytes) -> tuple[_Header, tuple[Chunk, ...]]:
    header, kept = None, []
    for chunk in _chunks(content):
        if chunk.name == b"IHDR" and len(chunk.data) == 13:
            header = _Header(*struct.unpack_from(">IIBB", chunk.data))
        elif chunk.name == b"acTL":
            raise InputError(path, "is an animated PNG", "export its frames as a multi-page TIFF")
        elif chunk.name in _KEPT and len(chunk.data) <= _LARGEST_KEPT_CHUNK:
            kept.append(chunk)
    if header is None:
        raise InputError(path, "has no PNG header", "export it again")
    return header, tuple(kept)


def _decode(path: Path, content: bytes, header: _Header) -> tuple[NDArray[Any], NDArray[Any] | None, int]:
    """Pixels, alpha and orientation, as stored."""
    pixels: NDArray[Any]
    if header.depth == 16 and header.colour == _GREY_ALPHA:
        content = _relabelled(content, 8, _RGB_ALPHA)
    with open_picture(io.BytesIO(content), ("PNG",), path) as picture:
        orientation = int(picture.getexif().get(_EXIF_ORIENTATION, 1))
        key = picture.info.get("transparency")
        if header.depth == 16 and header.colour == _GREY_ALPHA:
            halves = np.asarray(picture).astype(np.uint16)
            pixels = (halves[..., 0::2] << 8) | halves[..., 1::2]
        elif header.depth == 16 and header.colour in (_RGB, _RGB_ALPHA):
            pixels = _decode_16_bit_colour(path, content, picture.mode)
        elif header.colour == _PALETTE:
            pixels = _expand_palette(picture)
            key = None
        elif header.depth == 16:
            pixels = np.asarray(picture).astype(np.uint16)
        else:
            pixels = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        return _without_last(pixels), pixels[..., -1], orientation
    alpha = None if key is None else _alpha_from_key(pixels, key, header.depth)
    return pixels, alpha, orientation


def _relabelled(content: bytes, depth: int, colour: int) -> bytes:
    """The same bytes declared as pixels of another type.

    16-bit grey with alpha and 8-bit RGBA both take four bytes a pixel, so rows and their filters are the same; Pillow
    keeps all bits of the second only.
    """
    start = len(_SIGNATURE) + 8
    header = content[start : start + 8] + bytes((depth, colour)) + content[start + 10 : start + 13]
    return _SIGNATURE + _framed(Chunk(b"IHDR", header)) + content[start + 17 :]


def _decode_16_bit_colour(path: Path, content: bytes, mode: str) -> NDArray[np.uint16]:
    """All 16 bits of each channel.

    Pillow keeps the upper byte of each sample; told that samples are little-endian, it keeps the lower one.
    """
    halves: list[NDArray[np.uint16]] = []
    for byte_order in ("B", "L"):
        with open_picture(io.BytesIO(content), ("PNG",), path) as picture:
            picture.tile = [tile._replace(args=f"{mode};16{byte_order}") for tile in picture.tile]
            halves.append(np.asarray(picture).astype(np.uint16))
    return np.bitwise_or(halves[0] << 8, halves[1], dtype=np.uint16)


def _expand_palette(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey if every colour in use is grey, else RGB; with a last channel of alpha where the palette has one."""
    transparent = "transparency" in picture.info
    pixels = np.asarray(picture.convert("RGBA" if transparent else "RGB"))
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        return pixels[..., [0, 3]] if transparent else np.ascontiguousarray(pixels[..., 0])
    return pixels


def _without_last(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3])


def _alpha_from_key(pixels: NDArray[Any], key: int | tuple[int, ...], depth: int) -> NDArray[Any]:
    """Opacity where one colour is declared transparent (tRNS)."""
    scale = 255 // (2**depth - 1) if depth < 8 else 1
    matches = pixels == np.asarray(key) * scale
    transparent = matches if pixels.ndim == 2 else matches.all(axis=-1)
    return np.where(transparent, 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)


def _swap_resolution(chunk: Chunk) -> Chunk:
    if chunk.name != b"pHYs" or len(chunk.data) != 9:
        return chunk
    return Chunk(chunk.name, chunk.data[4:8] + chunk.data[:4] + chunk.data[8:])


def _text(keyword: str, text: str) -> Chunk:
    """tEXt, which is Latin-1; iTXt, uncompressed UTF-8 in no particular language, for other letters."""
    try:
        return Chunk(b"tEXt", keyword.encode() + b"\x00" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return Chunk(b"iTXt", keyword.encode() + b"\x00\x00\x00\x00\x00" + text.encode())


def _framed(chunk: Chunk) -> bytes:
    checked = chunk.name + chunk.data
    return struct.pack(">I", len(chunk.data)) + checked + struct.pack(">I", zlib.crc32(checked))


def _encode(pixels: NDArray[Any], alpha: NDArray[Any] | None) -> bytes:
    channels = [pixels] if alpha is None else [np.atleast_3d(pixels), alpha[..., None]]
    samples = channels[0] if alpha is None else np.concatenate(channels, axis=-1)
    if samples.dtype == np.uint16 and samples.ndim == 3:
        return _encode_16_bit(samples)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def _encode_16_bit(samples: NDArray[np.uint16]) -> bytes:
    """PNG of (H, W, 2 | 3 | 4) 16-bit samples, which Pillow cannot write.

    Each row is stored as its difference from the row above (filter type 2), which can be done for all rows at once.
    """
    height, width, count = samples.shape
    colour = {2: _GREY_ALPHA, 3: _RGB, 4: _RGB_ALPHA}[count]
    rows = np.ascontiguousarray(samples, ">u2").view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    chunks = (
        Chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)),
        Chunk(b"IDAT", zlib.compress(filtered.data, _COMPRESSION)),
        Chunk(b"IEND", b""),
    )
    return _SIGNATURE + b"".join(_framed(chunk) for chunk in chunks)
