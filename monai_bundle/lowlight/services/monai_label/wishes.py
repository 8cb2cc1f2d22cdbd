"""What requests may ask for, field by field."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from lowlight.services.monai_label.refusals import bad_request

MODALITIES = ("xray", "dermatology", "endoscopy", "ultrasound", "fundus")
LARGEST_BRIGHTNESS, LARGEST_DENOISE = 1.5, 1.0

BESIDE = {
    *("model", "image", "description", "device", "client_id", "user", "gpus", "local_rank", "strategy"),
    *("result_extension", "result_dtype", "result_compress"),
}
"""What MONAI Label's server and clients add of their own accord; it makes no difference here."""

KEPT_AS = {"save_label", "label_tag"}
"""What MONAI Label itself does with a result, see `lowlight.services.monai_label.app`."""


@dataclass(frozen=True)
class Strengths:
    """Options of a request for an image.

    Attributes:
        brightness, denoise: strengths; None: the default for the modality.
        modality: whose default strengths; None: what the file says.
        force: enhance an image that is judged undamaged, too.
        any_modality: also DICOM images whose values are measured: CT, MR, PET, nuclear medicine.
    """

    brightness: float | None = None
    denoise: float | None = None
    modality: str | None = None
    force: bool = False
    any_modality: bool = False

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Strengths:
        """Those in a request.

        Raises:
            HTTPException: 400; an option that does not exist, or a value that it cannot have.
        """
        _only(request, [field.name for field in fields(cls)], KEPT_AS)
        modality = request.get("modality") or None
        if modality is not None and modality not in MODALITIES:
            raise bad_request(f"modality is none of {', '.join(MODALITIES)}.")
        return cls(
            _number("brightness", request.get("brightness"), 0, LARGEST_BRIGHTNESS),
            _number("denoise", request.get("denoise"), 0, LARGEST_DENOISE),
            modality,
            _flag("force", request.get("force")),
            _flag("any_modality", request.get("any_modality")),
        )

    @staticmethod
    def shown() -> dict[str, Any]:
        """The options as MONAI Label's clients show them to their users: each with its default, or what to choose."""
        return {
            "brightness": None,
            "denoise": None,
            "modality": ["", *MODALITIES],
            "force": False,
            "any_modality": False,
        }

    def as_parameters(self) -> dict[str, str]:
        """What was asked for, for the metadata of the result."""
        asked = {"brightness": self.brightness, "denoise": self.denoise, "force": self.force or None}
        return {name: str(value) for name, value in asked.items() if value is not None}


@dataclass(frozen=True)
class Training:
    """Options of a request to fine-tune; those that are numbers are settings of finetune.yaml, None: as it has them.

    Attributes:
        images: "undamaged", the images of the datastore that are judged so; or "all", for a folder of good images.
        max_epochs, iterations_per_epoch, observations, batch_size, learning_rate: see there.
    """

    images: str = "undamaged"
    max_epochs: int | None = None
    iterations_per_epoch: int | None = None
    observations: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Training:
        """Those in a request.

        Raises:
            HTTPException: 400; an option that does not exist, or a value that it cannot have.
        """
        _only(request, [field.name for field in fields(cls)])
        images = request.get("images") or "undamaged"
        if isinstance(images, list) or images not in ("undamaged", "all"):
            raise bad_request('images is neither "undamaged" nor "all".')
        counts = {
            name: _count(name, request.get(name), largest)
            for name, largest in (
                ("max_epochs", 1000),
                ("iterations_per_epoch", 10_000),
                ("observations", 1_000_000),
                ("batch_size", 1024),
            )
        }
        return cls(images, learning_rate=_number("learning_rate", request.get("learning_rate"), 1e-7, 0.1), **counts)

    @staticmethod
    def shown() -> dict[str, Any]:
        """As `Strengths.shown`."""
        return {"images": "undamaged", **{field.name: None for field in fields(Training) if field.name != "images"}}

    def settings(self) -> dict[str, Any]:
        """The settings of finetune.yaml that were asked for."""
        asked = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "images"}
        return {name: value for name, value in asked.items() if value is not None}


@dataclass(frozen=True)
class Proposal:
    """Options of a request for the next image.

    Attributes:
        seconds: how long images that were not measured yet may be measured before one is proposed.
        tag: of a reader: propose what this one has not rated; None: what nobody has rated.
    """

    seconds: float = 30.0
    tag: str | None = None

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Proposal:
        """Those in a request. Raises: HTTPException 400, as for `Strengths`."""
        _only(request, [field.name for field in fields(cls)])
        seconds = _number("seconds", request.get("seconds"), 0, 600)
        tag = request.get("tag")
        if tag is not None and not isinstance(tag, str):
            raise bad_request("tag is no text.")
        return cls(30.0 if seconds is None else seconds, tag)


def _only(request: Mapping[str, Any], known: Collection[str], besides: Collection[str] = ()) -> None:
    unknown = sorted(set(request) - BESIDE - set(known) - set(besides))
    if unknown:
        raise bad_request(f'There is no option "{unknown[0][:40]}"; options are {", ".join(known)}.')


def _flag(name: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise bad_request(f"{name} is neither true nor false.")


def _number(name: str, value: Any, smallest: float, largest: float) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise bad_request(f"{name} is no number.")
    if not smallest <= value <= largest:
        raise bad_request(f"{name} lies outside {smallest:g} to {largest:g}.")
    return float(value)


def _count(name: str, value: Any, largest: int) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise bad_request(f"{name} is no whole number from 1 to {largest}.")
    return value
