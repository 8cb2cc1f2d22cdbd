"""What a process that decodes files may take of the machine, set by itself."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

_MARGIN = 64_000_000
_ADDRESS_SPACE, _CPU, _CORE = "RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_CORE"


def limit_crashes() -> None:
    """Have a crash of this process leave nothing on the disk: it would hold the image."""
    _limit(_CORE, 0)


def limit_time(seconds: float) -> None:
    """End this process after so much more processor time, rather than time alone: on a busy machine, a sound file may
    have to wait."""
    _limit(_CPU, time.process_time() + seconds)


def limit_memory(amount: int) -> None:
    """Let this process hold so many bytes beyond what is there already: libraries that earlier files had loaded are
    not this one's doing."""
    _limit(_ADDRESS_SPACE, _address_space() + amount + _MARGIN)


def _address_space() -> int:
    """Bytes of address space that this process has now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 1_000_000_000
    return pages * os.sysconf("SC_PAGE_SIZE")


def _limit(resource_name: str, amount: float) -> None:
    """Let the system refuse more than this, where it can; elsewhere checks of declared sizes and the clock do."""
    try:
        import resource
    except ModuleNotFoundError:
        return
    kind = getattr(resource, resource_name)
    hard = resource.getrlimit(kind)[1]
    soft = math.ceil(amount) if hard == resource.RLIM_INFINITY else min(math.ceil(amount), hard)
    resource.setrlimit(kind, (soft, hard))
