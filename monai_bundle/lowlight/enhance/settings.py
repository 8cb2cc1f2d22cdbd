"""The user's settings: default strengths that lie over those of the bundle.

The file is YAML, in the user's configuration folder (or where the variable LOWLIGHT_SETTINGS points):

    strengths:
      xray: {brightness: 0.7, denoise: 1.0}
      ultrasound: {denoise: 0.5, weights_sha256: 7cf3a094..., note: fitted to 240 comparisons by 8 readers}

`lowlight study calibrate` writes it; people may, too. A strength that is not named stays the bundle's. Strengths are
relative to what a network thinks best: an entry that names the weights it was found with does not count for others.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lowlight.errors import InputError
from lowlight.imaging.atomic import atomic_path
from lowlight.imaging.libraries import one_line

VARIABLE = "LOWLIGHT_SETTINGS"
LARGEST = {"brightness": 1.5, "denoise": 1.0}
"""The largest value of each strength; the least is 0."""

Strengths = dict[str, dict[str, float]]
"""From a modality, or "default", to its brightness and denoise."""


def settings_file() -> Path:
    """Where the user's settings are kept; the file need not exist."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else _default_file()


def is_users_own(file: Path) -> bool:
    """Whether this is the user's settings file, the one in the configuration folder or the one in use, by any name."""
    from lowlight.imaging.atomic import is_same_file

    return any(is_same_file(file, own) for own in (settings_file(), _default_file()))


def _default_file() -> Path:
    from platformdirs import user_config_path

    return user_config_path("lowlight", appauthor=False) / "settings.yaml"


@dataclass(frozen=True)
class Settings:
    """What a settings file says.

    Attributes:
        file: where it is, or would be.
        entries: by modality what stands there: brightness, denoise, weights_sha256, note.
        others: what else the file holds, which is kept when it is written again.
    """

    file: Path
    entries: Mapping[str, Mapping[str, Any]]
    others: Mapping[str, Any]

    @classmethod
    def read(cls, file: str | Path | None = None) -> Settings:
        """Read a settings file; one that does not exist says nothing.

        Args:
            file: None: the user's.

        Raises:
            InputError: the file is damaged, or names a strength outside its range.
        """
        path = settings_file() if file is None else Path(file)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise InputError(path, f"cannot be read ({one_line(error)})", "mend or delete this settings file") from None
        content = {} if content is None else content
        if not isinstance(content, dict) or not isinstance(content.get("strengths", {}) or {}, dict):
            raise InputError(path, "holds no table of settings", "mend or delete this settings file")
        entries = content.get("strengths") or {}
        for modality, entry in entries.items():
            _check(path, modality, entry)
        return cls(path, entries, {name: value for name, value in content.items() if name != "strengths"})

    def over(self, defaults: Strengths, weights_sha256: str) -> tuple[Strengths, list[str]]:
        """Default strengths with these settings laid over them, and which modalities' settings do not count.

        Args:
            defaults: a bundle's, with the key "default".
            weights_sha256: of the bundle's weights; settings found with others are left out.
        """
        merged = {modality: dict(strengths) for modality, strengths in defaults.items()}
        left_out = []
        # The general default first: a modality without settings of its own follows it.
        for modality, entry in sorted(self.entries.items(), key=lambda pair: pair[0] != "default"):
            if entry.get("weights_sha256", weights_sha256) != weights_sha256:
                left_out.append(modality)
                continue
            base = merged.get(modality, merged["default"])
            merged[modality] = {**base, **{name: float(entry[name]) for name in LARGEST if name in entry}}
        return merged, left_out

    def with_strengths(self, modality: str, entry: Mapping[str, Any]) -> Settings:
        """The same with another entry for one modality."""
        _check(self.file, modality, entry)
        return Settings(self.file, {**self.entries, modality: dict(entry)}, self.others)

    def write(self) -> Path:
        """Write the file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        content = {**self.others, "strengths": {modality: dict(entry) for modality, entry in self.entries.items()}}
        with atomic_path(self.file) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return self.file


def _check(path: Path, modality: Any, entry: Any) -> None:
    if not isinstance(modality, str) or not isinstance(entry, Mapping):
        raise InputError(path, f"the strengths of {modality!r} are no table", "mend or delete this settings file")
    for name, largest in LARGEST.items():
        value = entry.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= largest:
            fault = f"{name} of {modality} is {value!r}, not a number from 0 to {largest:g}"
            raise InputError(path, fault, "mend or delete this settings file")
