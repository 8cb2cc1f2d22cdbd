"""Weights of a training become those of a bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lowlight.bundle import file_sha256
from lowlight.imaging import atomic_path


def adopt(weights: Path, bundle_root: Path) -> None:
    """Make weights a bundle's models/model.pt, and write their checksum into its configs/metadata.json.

    A models/model.onnx of other weights is not used any more: `lowlight.enhance.exporting.publish` makes a new one.

    Raises:
        OutputError: a file cannot be written.
    """
    own = bundle_root / "models" / "model.pt"
    if weights.resolve() != own.resolve():
        with atomic_path(own) as temporary:
            shutil.copyfile(weights, temporary)
    metadata_file = bundle_root / "configs" / "metadata.json"
    metadata = metadata_file.read_text(encoding="utf-8")
    before = json.loads(metadata).get("weights_sha256")
    digest = file_sha256(own)
    # A bundle of one's own may leave the checksum out.
    if before not in (None, digest):
        with atomic_path(metadata_file) as temporary:
            # The file is laid out by hand: nothing else in it moves.
            temporary.write_text(metadata.replace(f'"{before}"', f'"{digest}"'), encoding="utf-8")
