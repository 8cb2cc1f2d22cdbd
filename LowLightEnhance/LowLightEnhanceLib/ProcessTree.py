"""Ends a process with all that it has started."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path


def kill(process):
    """End a process and its descendants at once, by number; none of them being there is no error."""
    if process <= 0:
        # No process: to the system these numbers mean whole groups of them, the caller among them.
        return
    if os.name == "nt":
        subprocess.run(
            ["taskkill", "/PID", str(process), "/T", "/F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=subprocess.CREATE_NO_WINDOW,
            check=False,
        )
        return
    # Those below are found first: once their parent is gone, nothing tells whose they were.
    for number in [process, *descendants(process)]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(number, signal.SIGKILL)


def runs(process):
    """Whether there is a process of this number."""
    if os.name == "nt":
        import ctypes

        synchronize, timeout = 0x00100000, 0x102
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(synchronize, False, process)
        if not handle:
            return False
        try:
            return kernel.WaitForSingleObject(handle, 0) == timeout
        finally:
            kernel.CloseHandle(handle)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def descendants(process):
    """Numbers of all processes below one, on Linux and macOS."""
    children = {}
    for number, parent in _parents():
        children.setdefault(parent, []).append(number)
    found, waiting = [], [process]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _parents():
    """(process, its parent) for all there are."""
    if Path("/proc/self/stat").exists():
        for file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name in brackets may hold spaces: what follows it is the state, then the parent.
                yield int(file.parent.name), int(file.read_text(errors="replace").rpartition(")")[2].split()[1])
        return
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True, check=False)
    for line in listed.stdout.splitlines():
        with contextlib.suppress(ValueError):
            number, parent = line.split()
            yield int(number), int(parent)
