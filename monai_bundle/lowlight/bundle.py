"""Where the bundle's configs, models and docs lie: beside the package, or inside it when installed from a wheel."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lowlight.errors import BundleError

BFLOAT16 = "torch-bfloat16"
"""Name of the engine that computes the denoise path in numbers of 16 bits."""

DEFAULT_SIZE = "default"
"""The size of network that every bundle has: what its inference.yaml defines outside of its table of sizes."""


def bundle_root() -> Path:
    """The folder that holds configs/, models/ and docs/.

    In the bare bundle folder and in an editable install that is the package's parent; in a wheel it is `_bundle`.

    Raises:
        BundleError: neither place has a configs folder.
    """
    package = Path(__file__).resolve().parent
    for root in (package.parent, package / "_bundle"):
        if (root / "configs" / "inference.yaml").is_file():
            return root
    raise BundleError(f"{package}: the bundle's configs are missing; install lowlight-enhance again")


def file_sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file: what names the weights in a derived image."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
