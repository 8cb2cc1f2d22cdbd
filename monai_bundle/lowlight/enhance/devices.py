"""What could run the network on this machine, in words for people."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path


def installed(package: str) -> bool:
    """Whether a package is there, without loading it."""
    return importlib.util.find_spec(package) is not None


def known_devices() -> tuple[dict[str, str], bool]:
    """Devices by the names that `Enhancer` takes, each with words for people, and whether these are all.

    Only torch knows of others than the processor, and loading it takes seconds: it is asked if it is loaded.
    """
    devices = {"cpu": processor()}
    if "torch" in sys.modules:
        return {**devices, **_accelerators()}, True
    return devices, not installed("torch")


def all_devices() -> dict[str, str]:
    """The same, and torch is loaded to ask it."""
    return {"cpu": processor(), **(_accelerators() if installed("torch") else {})}


def processor() -> str:
    """The processor and how many threads it runs at a time."""
    threads = os.cpu_count() or 1
    return f"{_processor_name()}, {threads} thread{'s' if threads > 1 else ''}"


def _processor_name() -> str:
    try:
        if sys.platform.startswith("linux"):
            for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=2, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return platform.processor() or platform.machine() or "processor"


def _accelerators() -> dict[str, str]:
    import torch

    found = {f"cuda:{index}": torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found
