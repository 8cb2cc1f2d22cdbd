"""The environment of the MONAI Label server: LowLightEnhance's own packages, and MONAI Label's over them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from lowlight.errors import DependencyError, OutputError

REQUIREMENTS = Path(__file__).with_name("requirements.txt")

STAND_INS = ("girder_client.py", "itk.py", "pydicom_seg.py", "torchvision/__init__.py", "torchvision/utils.py")
"""Modules that MONAI Label imports at its start for other apps: Girder archives, writing through ITK, DICOM
segmentations, pictures for TensorBoard. The real ones are large, or do not work beside the pydicom and torch here."""

_STAND_IN = '''"""Stands in for a module that MONAI Label imports and the app of LowLightEnhance never uses."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*arguments, **options):
        raise ImportError(f"{__name__}.{name} is not installed in this environment")

    return missing
'''

_LAYERED = "lowlight_layer.pth"
_DONE = "lowlight_done"


def make_environment(folder: Path, tell: Callable[[str], None]) -> Path:
    """Make the environment, unless it is there and whole, and return its Python.

    It is a virtual environment whose packages lie over those of the environment that this runs in, which stays as it
    is: torch, MONAI and LowLightEnhance are not installed twice.

    Args:
        folder: where; made, or completed.
        tell: told what takes time.

    Raises:
        DependencyError: LowLightEnhance is installed without what the server needs of it.
        OutputError: the environment cannot be made; the message says what pip said.
    """
    missing = [package for package in ("torch", "monai", "ignite", "tensorboard") if find_spec(package) is None]
    if missing:
        raise DependencyError(
            f"the MONAI Label app needs {', '.join(missing)}; "
            'pip install -c constraints.txt "lowlight-enhance[bundle,train]"'
        )
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / _DONE
    state = _state()
    if python.exists() and done.is_file() and done.read_text(encoding="utf-8") == state:
        return python
    tell("installing MONAI Label (once, about a minute)")
    try:
        venv.create(folder, with_pip=True, symlinks=os.name != "nt", clear=False)
        packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
        (packages / _LAYERED).write_text(_layer(), encoding="utf-8")
        for name in STAND_INS:
            (packages / name).parent.mkdir(exist_ok=True)
            (packages / name).write_text(_STAND_IN, encoding="utf-8")
    except (OSError, subprocess.CalledProcessError) as error:
        fault = f"no environment can be made here ({error})"
        raise OutputError(folder, fault, "name another folder, or install the venv module of Python") from error
    installing = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    ended = subprocess.run([*installing, "-r", str(REQUIREMENTS)], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        told = (ended.stderr.strip() or "pip failed").splitlines()[-1]
        raise OutputError(folder, f"MONAI Label cannot be installed ({told})", "check the connection and try again")
    done.write_text(state, encoding="utf-8")
    return python


def _layer() -> str:
    """The lines by which the environment sees the packages of this one, after its own."""
    places = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return "".join(f"import site; site.addsitedir({place!r})\n" for place in places)


def _state() -> str:
    """What the environment was made of; another makes it anew."""
    return hashlib.sha256((REQUIREMENTS.read_text(encoding="utf-8") + _layer()).encode()).hexdigest()
