"""Arrays through files, as the worker's protocol wants it, a few megabytes a step."""

import contextlib
import math
import os

import numpy as np
from slicer.i18n import tr as _

STEP = 2 << 20
"""Bytes that are copied in one step."""


def _steps(array):
    """Slices of the first axes, each of at most about `STEP` bytes."""
    if array.ndim > 2 and array[0].nbytes > STEP:
        for index in range(len(array)):
            for inner in _steps(array[index]):
                yield (index, *inner) if isinstance(inner, tuple) else (index, inner)
        return
    rows = max(1, math.ceil(STEP / max(array.nbytes / max(len(array), 1), 1)))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)


def written(path, array):
    """Generator: write an array as .npy; what was begun is removed if it does not come to an end.

    Raises:
        OSError: the disk is full, or the folder is gone.
    """
    complete = False
    try:
        with open(path, "wb") as file:  # noqa: PTH123 - a text from the worker's answer
            np.lib.format.write_array_header_1_0(
                file, {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
            )
            for part in _steps(array):
                file.write(np.ascontiguousarray(array[part]).tobytes())
                yield
        complete = True
    finally:
        if not complete and os.path.exists(path):  # noqa: PTH110
            os.remove(path)  # noqa: PTH107


def copied(path, target):
    """Generator: copy a .npy file into an array of its shape, then remove the file.

    Raises:
        OSError: the file is gone. ValueError: it holds another shape than expected.
    """
    source = np.load(path, mmap_mode="r", allow_pickle=False)
    try:
        if source.shape != target.shape:
            raise ValueError(
                _("an array of shape {found} came, {wanted} was expected").format(
                    found=source.shape, wanted=target.shape
                )
            )
        for part in _steps(target):
            target[part] = source[part]
            yield
    finally:
        del source
        # A worker that has ended has taken its folder with it.
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)  # noqa: PTH107
