"""What was done to an image, as the metadata of a derived file tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DERIVATION = "Enhanced with LowLightEnhance: brightness, contrast and noise changed; not for quantitative use"


@dataclass(frozen=True)
class Processing:
    """What made a derived image.

    Attributes:
        description: one line for people, of at most 1024 characters, that names model and parameters.
        model: name and version of the model; empty if none was at work.
        weights_sha256: of the model's weights.
        parameters: what the user asked for, the same for all images of a run; decides with the model which derived
            images form a series.
        denoised: whether noise was taken away.
        brightened: whether brightness and contrast were changed.
    """

    description: str = DERIVATION
    model: str = ""
    weights_sha256: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    denoised: bool = False
    brightened: bool = True

    @classmethod
    def of(cls, derivation: str | Processing | None) -> Processing:
        """From what a caller of `lowlight.imaging.write` gives."""
        if isinstance(derivation, Processing):
            return derivation
        return cls(derivation or DERIVATION)

    @property
    def enhanced(self) -> bool:
        """Whether anything was done to the pixels at all."""
        return self.brightened or self.denoised

    @property
    def run(self) -> str:
        """What images of one run have in common, as text that can be hashed."""
        if not self.model:
            return self.description
        return "\0".join([self.model, self.weights_sha256, *(f"{k}={v}" for k, v in sorted(self.parameters.items()))])

    @property
    def contribution(self) -> str:
        """Model, full checksum and parameters, for Contribution Description."""
        parts = [f"model {self.model}", f"weights SHA-256 {self.weights_sha256}"] if self.model else []
        parts += [f"{name} {value}" for name, value in self.parameters.items()]
        return "; ".join([*parts, self.description])
