"""What made a derived image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lowlight.bundle import file_sha256
from lowlight.errors import BundleError


@dataclass(frozen=True)
class ModelIdentity:
    """What made a derived image: the bundle's name and version, and the SHA-256 of its weights."""

    name: str
    weights_sha256: str

    @classmethod
    def of(cls, root: str | Path, weights: str | Path) -> ModelIdentity:
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
        expected = metadata.get("weights_sha256")
        shipped = Path(weights).resolve() == (Path(root) / "models" / "model.pt").resolve()
        # A bundle of one's own weights leaves the checksum out of its metadata; one that states it means it.
        if shipped and expected is not None and digest != expected:
            raise BundleError(f"{weights}: does not belong to this bundle (its checksum differs); install it again")
        return cls(f"{metadata['name']} {metadata['version']}", digest)

    def derivation(self, brightness: float, denoise: float) -> str:
        """One line for a derived file: what made it, with all that decides the pixels; at most 1024 characters."""
        return (
            f"Enhanced with {self.name} (weights {self.weights_sha256[:16]}), brightness {brightness:g}, "
            f"denoise {denoise:g}: brightness, contrast and noise changed; not for quantitative use"
        )

    def unchanged(self, undamaged: bool) -> str:
        """The same for an image that was left alone, because it is undamaged or because no pixel of it is valid."""
        return f"{'Judged undamaged' if undamaged else 'Found without a valid pixel'} by {self.name}: pixels unchanged"
