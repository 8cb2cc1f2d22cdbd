"""What made a derived image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lowlight.bundle import DEFAULT_SIZE, file_sha256
from lowlight.enhance.definition import Definition
from lowlight.errors import BundleError

FULL_PRECISION = "float32"
"""In which ONNX Runtime and torch make the same image."""


def checksum_key(name: str) -> str:
    """Under which configs/metadata.json states the SHA-256 of models/NAME.pt."""
    return "weights_sha256" if name == Definition.name else f"{name}_weights_sha256"


@dataclass(frozen=True)
class ModelIdentity:
    """What made a derived image: the bundle's name and version, the SHA-256 of its weights, its size, and the numbers
    that its denoise path was computed in."""

    name: str
    weights_sha256: str
    size: str = DEFAULT_SIZE
    precision: str = FULL_PRECISION

    @classmethod
    def of(cls, root: str | Path, weights: str | Path, size: str = DEFAULT_SIZE) -> ModelIdentity:
        """Identity of a bundle's weights, checked against metadata.json.

        Raises:
            BundleError: metadata or weights are missing, or the weights are not those that metadata.json names.
        """
        metadata_file = Path(root) / "configs" / "metadata.json"
        for file in (metadata_file, Path(weights)):
            if not file.is_file():
                raise BundleError(f"{file}: missing; the bundle is incomplete, install it again")
        metadata = json.loads(metadata_file.read_text(encoding="utf-8"))
        digest = file_sha256(weights)
        shipped = Path(weights).resolve().parent == (Path(root) / "models").resolve()
        expected = metadata.get(checksum_key(Path(weights).stem))
        # A bundle of one's own weights leaves the checksum out of its metadata; one that states it means it.
        if shipped and expected is not None and digest != expected:
            raise BundleError(
                f"{weights}: does not belong to this bundle (its checksum differs); publish weights of your own with "
                "configs/export.yaml, or install it again"
            )
        return cls(f"{metadata['name']} {metadata['version']}", digest, size)

    @property
    def recorded(self) -> dict[str, str]:
        """What is recorded of it in derived files beside name and weights, which two sizes may share."""
        named = {"size": (self.size, DEFAULT_SIZE), "precision": (self.precision, FULL_PRECISION)}
        return {name: value for name, (value, usual) in named.items() if value != usual}

    def derivation(self, brightness: float, denoise: float) -> str:
        """One line for a derived file: what made it, with all that decides the pixels; at most 1024 characters."""
        return (
            f"Enhanced with {self.name} ({self._described}), brightness {brightness:g}, "
            f"denoise {denoise:g}: brightness, contrast and noise changed; not for quantitative use"
        )

    @property
    def _described(self) -> str:
        unusual = [f"{name} {value}, " for name, value in self.recorded.items()]
        return f"{''.join(unusual)}weights {self.weights_sha256[:16]}"

    def unchanged(self, undamaged: bool) -> str:
        """The same for an image that was left alone, because it is undamaged or because no pixel of it is valid."""
        return f"{'Judged undamaged' if undamaged else 'Found without a valid pixel'} by {self.name}: pixels unchanged"
