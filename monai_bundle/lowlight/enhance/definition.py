"""What a bundle's inference.yaml defines: the one definition of network, weights, inferer and default strengths."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lowlight.bundle import DEFAULT_SIZE
from lowlight.errors import BundleError
from lowlight.imaging.libraries import one_line

OURS = "lowlight."
SHIPPED_WEIGHTS = "$@bundle_root + '/models/model.pt'"
PARTS = ("network_def", "inferer", "strengths")
"""Of inference.yaml, what enhancing needs beside the weights."""

_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C, where PyYAML has it, is six times as fast

VIEWS = (1, 8)
"""How often a size may have the network see each frame: once, or in all ways in which it can be turned and mirrored."""

_OWN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Definition:
    """The parts of inference.yaml that an engine needs, for one of its sizes.

    Attributes:
        root: the bundle's folder.
        file: its inference.yaml.
        parts: those named in `PARTS`, as they stand in the file, with what the size has otherwise.
        plain: they hold nothing but literals and classes of this package, and the weights are the bundle's own. Such a
            file is read without MONAI, whose import alone takes longer than enhancing an image, and without evaluating
            expressions; any other goes through MONAI's own parser. Either way it is the same definition.
        size: which of the sizes. name: of its files below models/, without what follows the point.
        views: in how many ways the network sees each frame.
    """

    root: Path
    file: Path
    parts: Mapping[str, Any]
    plain: bool
    size: str = DEFAULT_SIZE
    name: str = "model"
    views: int = 1

    @classmethod
    def of(cls, root: Path, size: str = DEFAULT_SIZE) -> Definition:
        """Read a bundle's inference.yaml. One without a table of sizes has the default size alone.

        Raises:
            BundleError: the file is missing or damaged, or has no such size.
        """
        file = root / "configs" / "inference.yaml"
        if not file.is_file():
            raise BundleError(f"{file}: missing; the bundle is incomplete, install it again")
        try:
            config = yaml.load(file.read_text(encoding="utf-8"), Loader=_SAFE_LOADER)
            sizes: dict[str, Any] = dict(config.get("sizes") or {})
            sizes.setdefault(DEFAULT_SIZE, {})
            if size not in sizes:
                raise BundleError(f'{file}: has no size "{size}"; it has {", ".join(sizes)}')
            chosen = _Size(**(sizes[size] or {}))
            parts = {name: config[name] for name in PARTS}
            if chosen.network_def:
                parts["network_def"] = {**parts["network_def"], **chosen.network_def}
            plain = all(_is_plain(part) for part in parts.values())
            plain &= chosen.weights is not None or config["weights"] == SHIPPED_WEIGHTS
        except (KeyError, TypeError, ValueError, AttributeError, OSError, yaml.YAMLError) as error:
            raise BundleError(f"{file}: cannot be read ({one_line(error)}); install it again") from error
        return cls(root, file, parts, plain, size, chosen.weights or cls.name, chosen.views)

    @property
    def weights_file(self) -> Path:
        """Where the bundle keeps the weights of this size."""
        return self.root / "models" / f"{self.name}.pt"

    @property
    def graph_file(self) -> Path:
        """Where it keeps the network of this size for ONNX Runtime."""
        return self.weights_file.with_suffix(".onnx")

    @property
    def has_own_weights(self) -> bool:
        """Whether this size has other weights than the default one."""
        return self.name != Definition.name

    def made(self, *names: str) -> dict[str, Any]:
        """Parts by name, "weights" too, with what they name made: may load torch and MONAI, and raise what they do."""
        if self.plain:
            weights = {"weights": self.weights_file}
            return {name: weights.get(name) or _instantiate(self.parts[name]) for name in names}
        from monai.bundle import ConfigParser

        parser = ConfigParser()
        parser.read_config(self.file)
        parser["bundle_root"] = str(self.root)
        if self.size != DEFAULT_SIZE:
            parser["network_def"] = self.parts["network_def"]
        if self.has_own_weights:
            parser["weights"] = str(self.weights_file)
        return {name: parser.get_parsed_content(name) for name in names}


@dataclass(frozen=True)
class _Size:
    """A line of the table of sizes.

    Raises:
        TypeError, ValueError: it is none.
    """

    network_def: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    views: int = 1

    def __post_init__(self) -> None:
        if self.weights is not None and not _OWN_NAME.fullmatch(self.weights):
            raise ValueError(f"{self.weights} is no name of weights in models")
        if self.views not in VIEWS:
            raise ValueError(f"views is one of {VIEWS}, not {self.views}")


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
