"""What programs of other houses say of DICOM files: dciodvfy (dicom3tools) and dcmdump (dcmtk)."""

from __future__ import annotations

import re
import struct
import subprocess
import zlib
from pathlib import Path

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_META = 132  # where the file meta information begins


def kinds_of_error(path: Path) -> set[str]:
    """What dciodvfy finds wrong, without the values and the elements in which it occurs."""
    told = subprocess.run(["dciodvfy", path], capture_output=True, timeout=60)
    lines = (told.stderr + told.stdout).decode("latin-1").splitlines()
    if told.returncode < 0:
        lines.append(f"Error - ended by signal {-told.returncode}")
    return {_kind(line) for line in lines if line.startswith("Error")}


def new_kinds_of_error(source: Path, result: Path, inflated: Path) -> set[str]:
    """Errors of a result that its source does not have.

    Args:
        source, result: DICOM files.
        inflated: where a copy may be written of a source that dciodvfy cannot read because it is deflated.
    """
    content = _inflated(source.read_bytes())
    if content is not None:
        inflated.write_bytes(content)
        source = inflated
    return kinds_of_error(result) - kinds_of_error(source)


def _inflated(content: bytes) -> bytes | None:
    """A deflated file with its data set unpacked and nothing else changed, damage included; None for other files."""
    (length,) = struct.unpack_from("<I", content, _META + 8)
    meta, packed = content[: _META + 12 + length], content[_META + 12 + length :]
    if _DEFLATED not in meta:
        return None
    # Uncompressed pixels of the same encoding; its UID is three characters shorter, and needs one byte of padding.
    meta = meta.replace(struct.pack("<H", len(_DEFLATED)) + _DEFLATED, struct.pack("<H", 20) + _DEFLATED[:19] + b"\0")
    meta = meta[: _META + 8] + struct.pack("<I", len(meta) - _META - 12) + meta[_META + 12 :]
    return meta + zlib.decompress(packed, wbits=-zlib.MAX_WBITS)


def is_dumped(path: Path) -> bool:
    """Whether dcmdump reads it to the end."""
    return subprocess.run(["dcmdump", "-q", path], capture_output=True, timeout=60).returncode == 0


def _kind(line: str) -> str:
    without_values = re.sub(r'"[^"]*"|<[^>]*>', "", line)
    # The same fault in the UID of the source and in the reference to it is one kind.
    return re.sub(r"\(0x.*|\d+|Conditional Element=.*", "", without_values)
