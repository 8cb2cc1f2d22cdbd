"""`lowlight` as a process, and the most memory that it held (Linux)."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

PROGRAM = """
import re, runpy, sys
sys.argv[0] = "lowlight"
try:
    runpy.run_module("lowlight", run_name="__main__", alter_sys=True)
finally:
    with open("/proc/self/status") as status:
        print("most", re.search(r"VmHWM:\\s*(\\d+) kB", status.read())[1])
"""
"""Tells of itself: what the system tells of a process that has ended begins with what its parent held."""


class Measured(NamedTuple):
    """An ended process.

    Attributes:
        most: bytes that it held at its peak. told: standard output and error. code: exit code.
    """

    most: int
    told: str
    code: int


def measured(*arguments: str) -> Measured:
    """Run `lowlight` with these arguments to its end."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    told, _, most = ended.stdout.rpartition("most ")
    return Measured(int(most) * 1024, told, ended.returncode)
