"""Packages that hold nothing but their name and version, as wheels: for tests and pictures of the installation."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path


def wheel_of(folder: Path, name: str, version: str) -> Path:
    """Write an empty package."""
    plain = re.sub(r"[-.]", "_", name)
    info = f"{plain}-{version}.dist-info"
    path = folder / f"{plain}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path
