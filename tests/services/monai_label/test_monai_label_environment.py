"""The server's environment is pinned as the rest is, and what cannot be started is refused with a line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from label_runs import ENVIRONMENT

REPOSITORY = Path(__file__).resolve().parents[3]
REQUIREMENTS = REPOSITORY / "monai_bundle/lowlight/services/monai_label/requirements.txt"


def pins(file: Path) -> dict[str, str]:
    """Versions by name."""
    lines = (line.strip() for line in file.read_text().splitlines())
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def start(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`lowlight label-app`, to its end."""
    line = [sys.executable, "-m", "lowlight", "label-app", *map(str, arguments), "--environment", str(ENVIRONMENT)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_pins_agree_with_those_of_the_package() -> None:
    ours, servers = pins(REPOSITORY / "constraints.txt"), pins(REQUIREMENTS)
    assert servers["monailabel"] == "0.8.5"
    assert {name: version for name, version in servers.items() if ours.get(name, version) != version} == {}


def test_the_app_is_written_without_a_server(tmp_path: Path) -> None:
    ended = start(tmp_path / "app")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "app" / "main.py").is_file()
    assert "--studies" in ended.stdout


def test_a_folder_that_is_not_there_and_a_foreign_app_are_refused(tmp_path: Path) -> None:
    missing = start(tmp_path / "app", "--studies", tmp_path / "nowhere")
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "no such folder" in missing.stderr
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "main.py").write_text("another app")
    foreign = start(tmp_path / "other")
    assert foreign.returncode == 1
    assert "another MONAI Label app" in foreign.stderr
    assert (tmp_path / "other" / "main.py").read_text() == "another app"


def test_damaged_records_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    records = tmp_path / "datastore_v2.json"
    records.write_text("{")
    ended = start(tmp_path / "app", "--studies", tmp_path)
    assert ended.returncode == 1
    assert "datastore_v2.json" in ended.stderr
    assert records.read_text() == "{"
