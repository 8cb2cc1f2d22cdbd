"""Whether workers would make the same of a file as this process: versions, weights, and the files that they see."""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import os
import platform
from dataclasses import dataclass

from lowlight import __version__
from lowlight.bundle import bundle_root, file_sha256

_PACKAGES = ("numpy", "onnxruntime", "pydicom", "pillow", "scikit-image", "distributed")
_WEIGHTS = ("model.pt", "model.onnx", "fast.pt", "fast.onnx")


@dataclass(frozen=True)
class Identity:
    """What decides on the results of a process.

    Attributes:
        host: name of its machine. lowlight: version. weights: SHA-256 of the network's files.
        python: major and minor version. packages: major versions of what reads, computes and writes.
    """

    host: str
    lowlight: str
    weights: tuple[str, ...]
    python: str
    packages: tuple[tuple[str, str], ...]

    def differences(self, other: Identity) -> list[str]:
        """In words, what the other has where this one has something else."""
        found = []
        if other.lowlight != self.lowlight:
            found.append(f"lowlight {other.lowlight} instead of {self.lowlight}")
        pairs = itertools.zip_longest(other.weights, self.weights, fillvalue="missing")
        if unlike := next(((theirs, mine) for theirs, mine in pairs if theirs != mine), None):
            found.append(f"weights {unlike[0][:16]} instead of {unlike[1][:16]}")
        if other.python != self.python:
            found.append(f"Python {other.python} instead of {self.python}")
        ours = dict(self.packages)
        for name, version in other.packages:
            if version != ours[name]:
                found.append(f"{name} {version} instead of {ours[name]}")
        return found


@functools.cache
def identity() -> Identity:
    """That of this process.

    Raises:
        BundleError: the bundle is missing.
    """
    models = bundle_root() / "models"
    return Identity(
        platform.node(),
        __version__,
        tuple(file_sha256(models / name) if (models / name).is_file() else "missing" for name in _WEIGHTS),
        ".".join(platform.python_version_tuple()[:2]),
        tuple((name, _major(name)) for name in _PACKAGES),
    )


@dataclass(frozen=True)
class Sight:
    """What a worker is, and which of some files it sees."""

    identity: Identity
    seen: tuple[bool, ...]


def look(paths: tuple[str, ...]) -> Sight:
    """What this process is and sees; run in workers."""
    return Sight(identity(), tuple(map(os.path.exists, paths)))


def _major(name: str) -> str:
    try:
        return importlib.metadata.version(name).partition(".")[0]
    except importlib.metadata.PackageNotFoundError:
        return "missing"
