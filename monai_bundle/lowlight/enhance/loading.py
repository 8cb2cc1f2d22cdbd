"""From a bundle's folder to what enhances: network with weights, inferer, default strengths, identity."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from lowlight.bundle import file_sha256
from lowlight.enhance.inferer import DualPathInferer
from lowlight.errors import BundleError
from lowlight.model.network import DualPathNet

OURS = "lowlight."

SHIPPED_WEIGHTS = "$@bundle_root + '/models/model.pt'"


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


@dataclass(frozen=True)
class Engine:
    """What `inference.yaml` defines, ready to run."""

    network: DualPathNet
    inferer: DualPathInferer
    strengths: dict[str, dict[str, float]]
    model: ModelIdentity


def load_engine(root: Path, device: torch.device) -> Engine:
    """Build what a bundle's inference.yaml and metadata.json define.

    Raises:
        BundleError: something is missing, damaged, or does not belong together.
    """
    config_file = root / "configs" / "inference.yaml"
    if not config_file.is_file():
        raise BundleError(f"{config_file}: missing; the bundle is incomplete, install it again")
    try:
        content = _read(config_file, root)
        network, weights = content["network_def"], Path(content["weights"])
        identity = ModelIdentity.of(root, weights)
        network.load_state_dict(torch.load(weights, map_location=device, weights_only=True))
    except BundleError:
        raise
    except Exception as error:
        # Whatever a damaged YAML file, a wrong argument or foreign weights raise, the way out is the same.
        raise BundleError(f"{root}: the bundle cannot be loaded ({error}); install it again") from error
    return Engine(network.to(device).eval(), content["inferer"], content["strengths"], identity)


def _read(config_file: Path, root: Path) -> dict[str, Any]:
    """The parts of inference.yaml that an engine needs, instantiated.

    The shipped file names only classes of this package with literal arguments. Such a file is read without MONAI,
    whose import alone takes longer than enhancing an image, and without evaluating expressions; any other file goes
    through MONAI's own parser. Either way it is the same definition.
    """
    config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    parts = {name: config[name] for name in ("network_def", "inferer", "strengths")}
    if all(_is_plain(part) for part in parts.values()) and config["weights"] == SHIPPED_WEIGHTS:
        content: dict[str, Any] = {name: _instantiate(part) for name, part in parts.items()}
        return {**content, "weights": root / "models" / "model.pt"}
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(config_file)
    parser["bundle_root"] = str(root)
    return {name: parser.get_parsed_content(name) for name in (*parts, "weights")}


def _is_plain(part: Any) -> bool:
    """Whether a part of a configuration holds literals and classes of this package alone."""
    if isinstance(part, dict):
        return str(part.get("_target_", OURS)).startswith(OURS) and all(_is_plain(value) for value in part.values())
    if isinstance(part, list):
        return all(_is_plain(value) for value in part)
    return not (isinstance(part, str) and part[:1] in ("$", "@", "%"))


def _instantiate(part: Any) -> Any:
    if not isinstance(part, dict) or "_target_" not in part:
        return part
    arguments = {name: _instantiate(value) for name, value in part.items() if name != "_target_"}
    module, _, name = part["_target_"].rpartition(".")
    return getattr(importlib.import_module(module), name)(**arguments)
