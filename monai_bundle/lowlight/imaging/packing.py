"""Data sets on their way from one process to another."""

from __future__ import annotations

import io
import pickle
from typing import Any

from pydicom.multival import MultiValue


def packed(content: Any) -> memoryview:
    """Pickle anything that may hold data sets; `pickle.load` unpacks it."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(content)
    return buffer.getbuffer()


class _Pickler(pickle.Pickler):
    """Packs lists of values of pydicom, too, which hold a function that cannot be packed."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, MultiValue):
            return _multiple, (list(value),)
        return NotImplemented


def _multiple(values: list[Any]) -> MultiValue[Any]:
    return MultiValue(_as_it_is, values)


def _as_it_is(value: Any) -> Any:
    return value
