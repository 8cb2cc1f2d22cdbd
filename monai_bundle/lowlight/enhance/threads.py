"""How many threads the user allows."""

from __future__ import annotations

import os


def named_threads() -> int | None:
    """What OMP_NUM_THREADS says, which torch, ONNX Runtime and we follow alike; None: nothing that is a number."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    return int(named) or None if named.isdecimal() else None


def allowed_threads() -> int:
    """The same, or else as many as this process may run at a time."""
    if (named := named_threads()) is not None:
        return named
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
