"""What a compressed frame says of its own size: read from its first bytes, before a decoder believes it.

JPEG and JPEG-LS: ITU-T T.81 B.2.2 and T.87 C.2; JPEG 2000: ITU-T T.800 A.5.1; RLE: PS3.5 annex G.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_J2K = b"\xff\x4f\xff\x51"
_JP2 = b"\x00\x00\x00\x0cjP"
_RLE_HEADER = 64
# The longest run of PackBits turns two bytes into 128.
_RLE_LARGEST_RATIO = 64


class FrameHeader(NamedTuple):
    """Size in pixels, bits of a sample, samples of a pixel."""

    width: int
    height: int
    precision: int
    samples: int


def frame_header(frame: bytes) -> FrameHeader | None:
    """The header of a JPEG, JPEG-LS or JPEG 2000 codestream; None if it is none of these, or its header is damaged."""
    try:
        if frame.startswith(b"\xff\xd8"):
            return _jpeg(frame)
        if frame.startswith(_JP2):
            frame = frame[max(frame.find(_J2K), 0) :]
        if frame.startswith(_J2K):
            return _jpeg2000(frame)
    except (struct.error, IndexError):
        pass
    return None


def _jpeg(frame: bytes) -> FrameHeader | None:
    position = 2
    while frame[position] == 0xFF:
        marker = frame[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        # Start of frame: C0 to CF without the tables C4 and CC and the extension C8; F7 in JPEG-LS.
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            precision, height, width, samples = struct.unpack_from(">BHHB", frame, position + 4)
            return FrameHeader(width, height, precision, samples)
        (length,) = struct.unpack_from(">H", frame, position + 2)
        position += 2 + length
    return None


def _jpeg2000(frame: bytes) -> FrameHeader:
    right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
    samples, depth = struct.unpack_from(">HB", frame, 40)
    return FrameHeader(right - left, bottom - top, (depth & 0x7F) + 1, samples)


def rle_fault(frame: bytes, pixels: int, planes: int) -> str | None:
    """What is wrong with the header of an RLE frame; None if it could hold the pixels.

    Args:
        frame: as stored.
        pixels: of a frame.
        planes: bytes of a pixel; each is a segment of its own.
    """
    if len(frame) < _RLE_HEADER:
        return "its RLE header is cut off"
    count, *offsets = struct.unpack_from("<16I", frame)
    if count != planes:
        return f"its RLE header names {count} segments where its pixels need {planes}"
    ends = [*offsets[1:count], len(frame)]
    if offsets[0] != _RLE_HEADER or any(end <= start for start, end in zip(offsets, ends, strict=False)):
        return "its RLE segments overlap or lie outside of the frame"
    if any(_RLE_LARGEST_RATIO * (end - start) < pixels for start, end in zip(offsets, ends, strict=False)):
        return f"its RLE segments are too short for {pixels} pixels"
    return None
