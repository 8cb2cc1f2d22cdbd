"""What a bundle's inference.yaml defines: the one definition of network, weights, inferer and default strengths."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lowlight.errors import BundleError
from lowlight.imaging.libraries import one_line

OURS = "lowlight."
SHIPPED_WEIGHTS = "$@bundle_root + '/models/model.pt'"
PARTS = ("network_def", "inferer", "strengths")
"""Of inference.yaml, what enhancing needs beside the weights."""


@dataclass(frozen=True)
class Definition:
    """The parts of inference.yaml that an engine needs.

    Attributes:
        root: the bundle's folder.
        file: its inference.yaml.
        parts: those named in `PARTS`, as they stand in the file.
        plain: they hold nothing but literals and classes of this package, and the weights are the bundle's own. Such a
            file is read without MONAI, whose import alone takes longer than enhancing an image, and without evaluating
            expressions; any other goes through MONAI's own parser. Either way it is the same definition.
    """

    root: Path
    file: Path
    parts: Mapping[str, Any]
    plain: bool

    @classmethod
    def of(cls, root: Path) -> Definition:
        """Read a bundle's inference.yaml.

        Raises:
            BundleError: the file is missing or damaged.
        """
        file = root / "configs" / "inference.yaml"
        if not file.is_file():
            raise BundleError(f"{file}: missing; the bundle is incomplete, install it again")
        try:
            config = yaml.safe_load(file.read_text(encoding="utf-8"))
            parts = {name: config[name] for name in PARTS}
            plain = all(_is_plain(part) for part in parts.values()) and config["weights"] == SHIPPED_WEIGHTS
        except (KeyError, TypeError, ValueError, OSError, yaml.YAMLError) as error:
            raise BundleError(f"{file}: cannot be read ({one_line(error)}); install it again") from error
        return cls(root, file, parts, plain)

    def made(self, *names: str) -> dict[str, Any]:
        """Parts by name, "weights" too, with what they name made: may load torch and MONAI, and raise what they do."""
        if self.plain:
            weights = {"weights": self.root / "models" / "model.pt"}
            return {name: weights.get(name) or _instantiate(self.parts[name]) for name in names}
        from monai.bundle import ConfigParser

        parser = ConfigParser()
        parser.read_config(self.file)
        parser["bundle_root"] = str(self.root)
        return {name: parser.get_parsed_content(name) for name in names}


def network_signature(network_def: Mapping[str, Any]) -> str:
    """What two definitions of the same network have in common, whatever the order of their lines."""
    return json.dumps(network_def, sort_keys=True)


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
