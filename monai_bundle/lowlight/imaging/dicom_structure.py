"""Whether the elements of a DICOM file fit into one another, found without reading any value (PS3.5 chapter 7).

A parser that trusts lengths can be led to the end of the memory or of the stack by a few bytes. This walk looks at
headers alone, in one loop, so that it is safe to let a parser in afterwards, and it notices where a file was cut.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from lowlight.errors import InputError
from lowlight.imaging.dicom_representations import LONG, SHORT, contradiction
from lowlight.imaging.limits import Limits, way_out

_PREAMBLE = 132
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TRANSFER_SYNTAX, _PIXELS = 0x00020010, 0x7FE00010
_DELIMITERS = 0xFFFE
_BLOCK = 1 << 20
# Deflate shrinks nothing by more than a factor of 1032; images, even with wide borders, stay far below this one.
_LARGEST_RATIO = 200
_UNSUSPICIOUS = 64_000_000
_AGAIN = "export it again from where it came"
_UNKNOWN_TYPE = "has an unknown value representation"
_IN_ORDER = f"{_AGAIN}; if it is known to be sound, dcmconv writes it in order"


def check_structure(path: Path, limits: Limits) -> str:
    """Walk over a Part 10 file.

    Args:
        path: opened for reading only.
        limits: on nesting, number of elements and inflated size.

    Returns:
        The transfer syntax UID that the file states.

    Raises:
        InputError: no preamble or file meta information, no transfer syntax, an element that ends beyond the file or
            beyond the sequence it lies in, that stands out of order or twice, or whose value representation is
            unknown or contradicts the data dictionary, or more than the limits allow.
    """
    with _mapped(path) as data:
        if data[_PREAMBLE - 4 : _PREAMBLE] != b"DICM":
            raise InputError(
                path,
                "has no DICOM preamble and file meta information, so that its encoding would have to be guessed",
                "save it as a DICOM Part 10 file, with dcmconv for example",
            )
        syntax, start = _file_meta(path, data)
        if syntax == DeflatedExplicitVRLittleEndian:
            _Walk(path, _inflated(path, data, start, limits), limits).dataset(0, explicit=True, order="<")
            return syntax
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        _Walk(path, data, limits).dataset(start, _is_explicit(data, start, syntax), order)
        return syntax


@contextmanager
def _mapped(path: Path) -> Iterator[mmap | bytes]:
    with path.open("rb") as stream:
        if path.stat().st_size == 0:
            yield b""
            return
        with mmap(stream.fileno(), 0, access=ACCESS_READ) as data:
            yield data


def _file_meta(path: Path, data: mmap | bytes) -> tuple[str, int]:
    """The transfer syntax, and where the data set begins. Group 0002 is always Explicit VR Little Endian."""
    position, syntax, last = _PREAMBLE, None, 0
    while data[position : position + 2] == b"\x02\x00":
        header = _header(data, position, True, "<")
        if header is None or header.length == _UNDEFINED or header.value + header.length > len(data):
            raise InputError(path, "is damaged or incomplete: its file meta information is cut off", _AGAIN)
        if header.representation not in SHORT and header.representation not in LONG:
            raise _damaged(path, header.tag, _UNKNOWN_TYPE)
        fault = contradiction(header.tag, header.representation, header.length)
        if fault is not None:
            raise _damaged(path, header.tag, fault)
        if header.tag <= last:
            raise _out_of_order(path, header.tag, last)
        last = header.tag
        position = header.value + header.length
        if header.tag == _TRANSFER_SYNTAX:
            syntax = data[header.value : position].rstrip(b"\0 ").decode("ascii", "replace")
    if not syntax:
        raise InputError(
            path,
            "does not say in which transfer syntax it is written, and guessing could misread it",
            "save it again with complete file meta information, with dcmconv for example",
        )
    return syntax, position


def _inflated(path: Path, data: mmap | bytes, start: int, limits: Limits) -> bytes:
    """The inflated data set; how large it gets is found out first, without keeping any of it."""
    size, unpacker = 0, zlib.decompressobj(-zlib.MAX_WBITS)
    position, pending = start, b""
    try:
        while not unpacker.eof and (pending or position < len(data)):
            if not pending:
                pending = data[position : position + _BLOCK]
                position += len(pending)
            size += len(unpacker.decompress(pending, _BLOCK))
            pending = unpacker.unconsumed_tail
            if size > limits.inflated:
                fault = f"unpacks to more than the limit of {limits.inflated / 1e6:g} MB"
                raise InputError(path, fault, way_out("inflated"))
            if size > max(_UNSUSPICIOUS, _LARGEST_RATIO * (position - start)):
                raise InputError(path, "unpacks to far more than an image would (a deflate bomb)", "do not open it")
    except zlib.error:
        raise InputError(path, "is damaged or incomplete: its deflated part cannot be unpacked", _AGAIN) from None
    if not unpacker.eof:
        raise InputError(path, "is damaged or incomplete: its deflated part is cut off", _AGAIN)
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], size)


def _is_explicit(data: mmap | bytes, start: int, syntax: str) -> bool:
    """As the first element is written; a few writers state the wrong one of the two little-endian syntaxes."""
    representation = data[start + 4 : start + 6]
    if len(representation) == 2:
        return representation in SHORT or representation in LONG
    return syntax != ImplicitVRLittleEndian


class _Header(NamedTuple):
    tag: int
    representation: bytes
    length: int
    value: int


def _header(data: mmap | bytes, position: int, explicit: bool, order: str) -> _Header | None:
    """The element's header at this position; None if the data end within it."""
    try:
        group, element = struct.unpack_from(order + "HH", data, position)
        tag = group << 16 | element
        if not explicit or group == _DELIMITERS:
            (length,) = struct.unpack_from(order + "I", data, position + 4)
            return _Header(tag, b"", length, position + 8)
        representation = bytes(data[position + 4 : position + 6])
        if representation in SHORT:
            (length,) = struct.unpack_from(order + "H", data, position + 6)
            return _Header(tag, representation, length, position + 8)
        (length,) = struct.unpack_from(order + "I", data, position + 8)
        return _Header(tag, representation, length, position + 12)
    except struct.error:
        return None


@dataclass(slots=True)
class _Level:
    """What is being walked through: a sequence (of items) or an item (of elements), up to ``end`` or a delimiter.

    ``last`` is the element that was met last, and where it stands.
    """

    is_sequence: bool
    end: int
    delimited: bool
    explicit: bool
    fragments: bool = False
    last: tuple[int, int] = (-1, 0)


class _Walk:
    """One walk over all headers of a data set, with a list for a stack: no depth of nesting makes it recurse."""

    def __init__(self, path: Path, data: mmap | bytes, limits: Limits) -> None:
        self.path, self.data, self.limits = path, data, limits

    def dataset(self, start: int, explicit: bool, order: str) -> None:
        """Raises InputError if the data set from ``start`` to the end of the data is not whole."""
        levels = [_Level(False, len(self.data), False, explicit)]
        position, count = start, 0
        while True:
            level = levels[-1]
            while position >= level.end:
                if level.delimited:
                    raise self._cut()
                levels.pop()
                if not levels:
                    return
                level = levels[-1]
            header = _header(self.data, position, level.explicit and not level.is_sequence, order)
            if len(levels) == 1 and (header is None or header.tag == 0) and not any(self.data[position:]):
                return
            if header is None:
                raise self._cut()
            count += 1
            if count > self.limits.elements:
                raise InputError(self.path, f"has more than {self.limits.elements} elements", way_out("elements"))
            position = self._step(header, levels, position)
            if len(levels) > 2 * self.limits.nesting + 1:
                fault = f"nests sequences deeper than {self.limits.nesting} levels"
                raise InputError(self.path, fault, way_out("nesting"))

    def _step(self, header: _Header, levels: list[_Level], position: int) -> int:
        """Enter, leave or pass what begins here; returns where to go on."""
        level = levels[-1]
        if header.tag in (_ITEM_END, _SEQUENCE_END):
            # A delimiter that ends nothing is met in files of real devices, and is passed over.
            if level.delimited and level.is_sequence == (header.tag == _SEQUENCE_END):
                levels.pop()
            return header.value
        end = header.value + header.length
        if level.is_sequence:
            if header.tag != _ITEM:
                raise self._damaged(header.tag, "stands where an item of a sequence should")
            if header.length == _UNDEFINED and not level.fragments:
                levels.append(_Level(False, level.end, True, level.explicit))
            elif end > level.end:
                raise self._cut()
            elif not level.fragments:
                levels.append(_Level(False, end, False, level.explicit))
            else:
                return end
            return header.value
        if header.tag == _ITEM and header.length != _UNDEFINED and end <= level.end:
            # So is an item without its sequence; parsers leave it alone, and results are written without it.
            return end
        self._check_order(header, level, position)
        if level.explicit and header.representation not in SHORT and header.representation not in LONG:
            if len(levels) == 1 and not any(self.data[position:]):
                return level.end
            raise self._damaged(header.tag, _UNKNOWN_TYPE)
        if header.length == _UNDEFINED and (header.representation in SHORT or header.tag == _ITEM):
            raise self._damaged(header.tag, "has no length")
        if level.explicit:
            length = 0 if header.length == _UNDEFINED else header.length
            fault = contradiction(header.tag, header.representation, length)
            if fault is not None:
                raise self._damaged(header.tag, fault)
        if header.length == _UNDEFINED:
            fragments = header.tag == _PIXELS
            # An unknown element of undefined length is a sequence in implicit encoding (PS3.5 6.2.2 note 2).
            explicit = level.explicit and header.representation != b"UN"
            levels.append(_Level(True, level.end, True, explicit, fragments))
            return header.value
        if end > level.end:
            raise self._cut()
        if self._is_sequence(header, level.explicit):
            levels.append(_Level(True, end, False, level.explicit and header.representation != b"UN"))
            return header.value
        return end

    def _check_order(self, header: _Header, level: _Level, position: int) -> None:
        """Tags rise within a data set (PS3.5 7.1). One that does not is not the tag that it once was."""
        if header.tag == 0:
            # As zeros are read; to compare each with the one before would take long.
            raise self._damaged(header.tag, "does not belong into a file")
        tag, start = level.last
        level.last = header.tag, position
        if header.tag > tag:
            return
        if header.tag < tag:
            raise _out_of_order(self.path, header.tag, tag)
        length = header.value + header.length - position
        if header.length == _UNDEFINED or self.data[start : start + length] != self.data[position : position + length]:
            raise self._damaged(header.tag, "stands there twice, with different values")

    @staticmethod
    def _is_sequence(header: _Header, explicit: bool) -> bool:
        if explicit and header.representation != b"UN":
            return header.representation == b"SQ"
        return dictionary_has_tag(header.tag) and dictionary_VR(header.tag) == "SQ"

    def _cut(self) -> InputError:
        return InputError(self.path, "is damaged or incomplete: it ends in the middle of an element", _AGAIN)

    def _damaged(self, tag: int, fault: str) -> InputError:
        return _damaged(self.path, tag, fault)


def _damaged(path: Path, tag: int, fault: str, remedy: str = _AGAIN) -> InputError:
    return InputError(path, f"is damaged: element {_written(tag)} {fault}", remedy)


def _out_of_order(path: Path, tag: int, last: int) -> InputError:
    return _damaged(path, tag, f"stands behind {_written(last)}, out of order", _IN_ORDER)


def _written(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
