"""Where the worker's Python and packages are. Slicer's own packages are looked at, never changed."""

import importlib.metadata
import os
import re
import shutil
import sys
from pathlib import Path

import qt
import slicer

from . import Settings

MODULE_FOLDER = Path(__file__).resolve().parent.parent
REQUIREMENTS = MODULE_FOLDER / "Resources" / "requirements.txt"
START = MODULE_FOLDER / "Resources" / "start_worker.py"
PROTECTED = ("numpy", "pydicom", "SimpleITK")
"""Packages of Slicer that other extensions rely on: never installed over, whatever is asked for."""


def bundleFolder():
    """The bundle that belongs to this module: in a checkout beside the module, in an installed extension below it."""
    for folder in (MODULE_FOLDER / "Resources" / "monai_bundle", MODULE_FOLDER.parent / "monai_bundle"):
        if (folder / "lowlight").is_dir():
            return folder
    return None


def packagesFolder():
    """The folder of our own that packages are installed into, one for each version of Python."""
    chosen = Settings.read("packagesFolder", "")
    if chosen:
        return Path(chosen)
    profile = Path(slicer.app.slicerUserSettingsFilePath).parent
    return profile / "LowLightEnhance" / f"python{sys.version_info.major}.{sys.version_info.minor}"


def slicerPython():
    """Slicer's own interpreter as a program."""
    return shutil.which("PythonSlicer") or sys.executable


def pythonProgram():
    """The program that runs the worker: the one chosen in the settings, else Slicer's own."""
    return Settings.read("python", "") or slicerPython()


def usesOwnPython():
    """Whether a Python of the user's choice runs the worker; its packages are the user's affair."""
    return bool(Settings.read("python", ""))


def requirements():
    """What the worker needs: a list of (name, lowest version, version from which it no longer fits, megabytes)."""
    found = []
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        requirement, _space, comment = line.partition("#")
        if requirement.strip():
            name, lowest, below = re.fullmatch(r"([\w.-]+)>=([\d.]+)(?:,<([\d.]+))?", requirement.strip()).groups()
            found.append((name, lowest, below, float(comment.split()[0])))
    return found


def missing(folder=None):
    """Of `requirements` those that neither our folder nor Slicer holds in a version that fits."""
    folder = packagesFolder() if folder is None else folder
    return [entry for entry in requirements() if not _fits(entry, folder)]


def clashes():
    """Packages that Slicer ships in a version that does not fit: they are installed beside it, never over it."""
    found = []
    for name, lowest, below, _size in requirements():
        shipped = _version(name, None)
        if shipped and not _within(shipped, lowest, below):
            found.append((name, shipped))
    return found


def workerCommand():
    """Program and arguments of the worker; None if the bundle is not there."""
    bundle = bundleFolder()
    if bundle is None:
        return None
    paths = [str(bundle)] if usesOwnPython() else [str(bundle), str(packagesFolder())]
    return [pythonProgram(), str(START), os.pathsep.join(paths), "worker", "--bundle", str(bundle)]


def workerEnvironment():
    """Environment of the worker's process (qt.QProcessEnvironment)."""
    environment = qt.QProcessEnvironment.systemEnvironment()
    if usesOwnPython():
        # Slicer's launcher points libraries and Python at its own: another Python must not meet them.
        for name in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
            environment.remove(name)
    environment.insert("PYTHONIOENCODING", "utf-8")
    environment.insert("PYTHONNOUSERSITE", "1")
    return environment


def _fits(entry, folder):
    name, lowest, below, _size = entry
    # Our folder comes first on the worker's path, so what lies there decides.
    version = _version(name, folder) or _version(name, None)
    return version is not None and _within(version, lowest, below)


def _version(name, folder):
    """Version of an installed package, in a folder or in Slicer; None: not there."""
    if folder is not None:
        found = list(importlib.metadata.distributions(name=name, path=[str(folder)]))
        return found[0].version if found else None
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _within(version, lowest, below):
    return _numbers(version) >= _numbers(lowest) and (below is None or _numbers(version) < _numbers(below))


def _numbers(version):
    """The release of a version as numbers: 3.0.1rc1 -> (3, 0, 1)."""
    return tuple(int(part) for part in re.match(r"\d+(?:\.\d+)*", version).group().split("."))
