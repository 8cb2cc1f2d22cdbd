"""Weights of a training become those of a bundle."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from lowlight.bundle import file_sha256
from lowlight.enhance.definition import Definition
from lowlight.enhance.identity import checksum_key
from lowlight.imaging import atomic_path

_MEASURED = re.compile(r'("eval_metrics"[ \t]*:[ \t]*)\{[^{}]*\}')


def adopt(weights: Path, bundle_root: Path, name: str = Definition.name) -> None:
    """Make weights a bundle's models/model.pt, or another NAME.pt, and write their checksum into its
    configs/metadata.json. Where that tells how well the weights before did (eval_metrics), it does not any more.

    A models/model.onnx of other weights is not used any more: `lowlight.enhance.exporting.publish` makes a new one.

    Raises:
        OutputError: a file cannot be written.
    """
    own = bundle_root / "models" / f"{name}.pt"
    if weights.resolve() != own.resolve():
        with atomic_path(own) as temporary:
            shutil.copyfile(weights, temporary)
    file = bundle_root / "configs" / "metadata.json"
    before = file.read_text(encoding="utf-8")
    after = _stating(before, checksum_key(name), file_sha256(own))
    if after != before:
        if name == Definition.name:
            after = _MEASURED.sub(r"\1{}", after)
        with atomic_path(file) as temporary:
            temporary.write_text(after, encoding="utf-8")


def _stating(metadata: str, key: str, digest: str) -> str:
    """Metadata with a checksum in the place of the one before, or beside that of the bundle's own weights; nothing else
    in them moves, for they are laid out by hand."""
    stated = json.loads(metadata)
    first = checksum_key(Definition.name)
    if stated.get(first) is None:
        # A bundle of one's own may leave checksums out.
        return metadata
    line = re.compile(rf'^([ \t]*)"{re.escape(key if key in stated else first)}"[ \t]*:[ \t]*"[^"]*"', re.MULTILINE)
    if key in stated:
        return line.sub(rf'\1"{key}": "{digest}"', metadata)
    return line.sub(rf'\g<0>,\n\1"{key}": "{digest}"', metadata)
