"""What a request for an image may ask for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lowlight.services.monai_label.refusals import bad_request

MODALITIES = ("xray", "dermatology", "endoscopy", "ultrasound", "fundus")
STRENGTHS = {"brightness": 1.5, "denoise": 1.0}
"""Largest value of each."""

BESIDE = {"model", "image", "description", "device", "client_id", "user", "result_extension", "result_dtype"}
"""What the server and MONAI Label's clients add of their own accord; it makes no difference here."""


@dataclass(frozen=True)
class Wishes:
    """Options of one request.

    Attributes:
        brightness, denoise: strengths; None: the default for the modality.
        modality: whose default strengths; None: what the file says.
        force: enhance an image that is judged undamaged, too.
    """

    brightness: float | None = None
    denoise: float | None = None
    modality: str | None = None
    force: bool = False

    @classmethod
    def of(cls, request: dict[str, Any]) -> Wishes:
        """The wishes in a request.

        Raises:
            HTTPException: 400; an option that does not exist, or has a value that it cannot have.
        """
        unknown = sorted(set(request) - BESIDE - set(cls.__dataclass_fields__))
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise bad_request(f'There is no option "{unknown[0][:40]}"; options are {known}.')
        modality = request.get("modality") or None
        if modality is not None and modality not in MODALITIES:
            raise bad_request(f"modality is none of {', '.join(MODALITIES)}.")
        force = request.get("force") or False
        if not isinstance(force, bool):
            raise bad_request("force is neither true nor false.")
        strengths = {name: _strength(name, request.get(name)) for name in STRENGTHS}
        return cls(**strengths, modality=modality, force=force)

    def shown(self) -> dict[str, Any]:
        """The options as MONAI Label's clients show them to their users: each with its default."""
        return {"brightness": None, "denoise": None, "modality": ["", *MODALITIES], "force": False}

    def as_parameters(self) -> dict[str, str]:
        """What was asked for, for the metadata of the result."""
        wishes = {"brightness": self.brightness, "denoise": self.denoise, "force": self.force or None}
        return {name: str(value) for name, value in wishes.items() if value is not None}


def _strength(name: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    largest = STRENGTHS[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise bad_request(f"{name} is no number.")
    if not 0 <= value <= largest:
        raise bad_request(f"{name} lies outside 0 to {largest:g}.")
    return float(value)
