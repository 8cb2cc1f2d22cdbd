"""What the process that reads and writes video and the one that started it say to each other.

A message is a line of JSON, and behind it the pixels that it announces, as they lie in memory. Not pickled: what comes
from a process that has met a hostile file can say wrong things, but runs nothing here.
"""

from __future__ import annotations

import json
import math
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

LONGEST_LINE = 1 << 20
DTYPES: dict[str, np.dtype[Any]] = {"u1": np.dtype(np.uint8), "u2": np.dtype(np.uint16)}


def send(stream: IO[bytes], kind: str, pixels: NDArray[Any] | None = None, **content: Any) -> None:
    """Write a message; `pixels`: uint8 or uint16."""
    if pixels is not None:
        content |= {"dtype": pixels.dtype.str[1:], "shape": pixels.shape}
    stream.write(json.dumps({"kind": kind, **content}).encode() + b"\n")
    if pixels is not None:
        stream.write(np.ascontiguousarray(pixels).reshape(-1).view(np.uint8).data)
    stream.flush()


def receive(stream: IO[bytes], most: int) -> tuple[dict[str, Any], NDArray[Any] | None]:
    """Read a message and its pixels, of which there may be `most` bytes.

    Raises:
        EOFError: the other side has ended, or what it says is no message.
    """
    line = stream.readline(LONGEST_LINE)
    try:
        content = json.loads(line)
        kind, shape = content["kind"], content.get("shape")
        if not isinstance(kind, str):
            raise EOFError
        if shape is None:
            return content, None
        dtype = DTYPES[content["dtype"]]
        known = all(isinstance(length, int) and length > 0 for length in shape) and len(shape) in (2, 3)
        if not known or math.prod(shape) * dtype.itemsize > most:
            raise EOFError
    except (ValueError, KeyError, TypeError):
        raise EOFError from None
    pixels = np.empty(shape, dtype)
    view = memoryview(pixels.reshape(-1).view(np.uint8).data)
    while view:
        count = stream.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        view = view[count:]
    return content, pixels
