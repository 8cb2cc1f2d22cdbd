"""Keeping decoders in C quiet."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def decoders_silenced(loud: bool) -> Iterator[None]:
    """Keep what decoders in C say of damaged files off the console: it names no file, and the refusal says it better.

    Only for the time of decoding: what the system says when a process dies must be seen.
    """
    if loud or sys.stderr is None:
        yield
        return
    kept, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.close(nowhere)
