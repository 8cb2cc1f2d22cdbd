"""The user's settings: default strengths that lie over those of the bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlight import Enhancer
from lowlight.enhance.settings import VARIABLE, Settings, settings_file
from lowlight.errors import InputError

DEFAULTS = {"default": {"brightness": 1.0, "denoise": 1.0}}


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_bundles_strengths_stand(tmp_path: Path) -> None:
    assert Settings.read(tmp_path / "none.yaml").over(DEFAULTS, "w") == (DEFAULTS, [])


def test_a_modality_has_its_own_strength_and_keeps_the_other(tmp_path: Path) -> None:
    file = written(tmp_path / "s.yaml", "strengths: {default: {denoise: 0.5}, xray: {brightness: 0.7}}")
    merged, left_out = Settings.read(file).over(DEFAULTS, "w")
    assert merged == {"default": {"brightness": 1.0, "denoise": 0.5}, "xray": {"brightness": 0.7, "denoise": 0.5}}
    assert left_out == []


def test_strengths_found_with_other_weights_do_not_count(tmp_path: Path) -> None:
    file = written(tmp_path / "s.yaml", "strengths: {xray: {brightness: 0.7, weights_sha256: old}}")
    assert Settings.read(file).over(DEFAULTS, "new") == (DEFAULTS, ["xray"])
    assert Settings.read(file).over(DEFAULTS, "old")[0]["xray"]["brightness"] == 0.7


@pytest.mark.parametrize(
    "text",
    [
        "strengths: [1, 2]",
        "strengths: {xray: 0.7}",
        "strengths: {xray: {brightness: 1.6}}",
        "strengths: {xray: {denoise: yes}}",
        "strengths: {xray: {denoise: .nan}}",
        "- a\n- b",
        "strengths: {",
    ],
)
def test_a_damaged_file_is_refused_and_named(text: str, tmp_path: Path) -> None:
    file = written(tmp_path / "s.yaml", text)
    with pytest.raises(InputError, match=r"s\.yaml: .*mend or delete this settings file"):
        Settings.read(file)


def test_writing_one_modality_keeps_what_else_the_file_holds(tmp_path: Path) -> None:
    file = written(tmp_path / "s.yaml", "theme: dark\nstrengths: {fundus: {brightness: 0.9}}")
    Settings.read(file).with_strengths("xray", {"brightness": 0.7}).write()
    again = Settings.read(file)
    assert again.others == {"theme": "dark"}
    assert again.entries == {"fundus": {"brightness": 0.9}, "xray": {"brightness": 0.7}}


def test_the_engine_uses_them_unless_a_strength_is_named(
    enhancer: Enhancer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "s.yaml", "strengths: {xray: {brightness: 0.7, denoise: 0.4}}")
    monkeypatch.setenv(VARIABLE, str(file))
    assert settings_file() == file
    own = Enhancer(device="cpu")
    image = np.tile(np.arange(40, dtype=np.uint8), (32, 1))
    result = own(image, modality="xray", force=True)
    assert (result.brightness, result.denoise) == (0.7, 0.4)
    np.testing.assert_array_equal(result.image, enhancer(image, 0.7, 0.4, modality="xray").image)
    assert own(image, modality="fundus", force=True).brightness == 1.0
    assert own(image, 0.9, modality="xray").brightness == 0.9


def test_the_place_of_the_file_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert settings_file().name == "settings.yaml"
    assert "lowlight" in str(settings_file())
