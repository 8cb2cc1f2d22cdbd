"""`lowlight enhance --cluster`: several processes make and say what one makes and says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from cli_runs import dark, fingerprints, grey, lowlight, retina, save
from dicom_files import grey_clip


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the workers have it: the last bit of what the network says depends on how many threads add it up."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    """Images of several kinds, a clip that shares one tone, and files that are refused and skipped."""
    source = tmp_path / "in"
    for number in range(6):
        save(dark(grey(64 + number)), source / "a" / f"{number}.png")
    save(grey(128), source / "good.png")
    save(dark(retina(64)), source / "b" / "colour.jpg")
    grey_clip(source / "clip", 3)
    (source / "a" / "3b.png").write_bytes(b"")
    (source / "b" / "junk.png").write_text("junk")
    (source / "README").write_text("about")
    save(dark(grey(64)).astype("uint16") * 4, source / "twelve.png")
    return source


def test_results_messages_and_pages_are_those_of_one_process(
    mixture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, pages = [], []
    for name, where in (("one", ()), ("two", ("--cluster", "local[2]"))):
        page = tmp_path / f"{name}.html"
        ended = lowlight(capsys, "enhance", mixture, "-o", tmp_path / name, "--report", page, *where)
        out = re.sub(r"\(\d+\.\d s\)", "", ended.out.replace(str(tmp_path / name), "OUT"))
        told.append((ended.code, out, ended.err))
        pages.append(re.sub(r"<time.*?</time>", "", page.read_text()))
    assert told[1] == told[0]
    assert told[0][0] == 1
    assert pages[1] == pages[0]
    assert fingerprints(tmp_path / "two") == fingerprints(tmp_path / "one")


def test_json_lines_are_those_of_one_process(mixture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for name, where in (("one", ()), ("two", ("--cluster", "local[2]"))):
        ended = lowlight(capsys, "enhance", mixture, "-o", tmp_path / name, "--force", "--json", *where)
        assert ended.err == ""
        found.append([_timeless(entry, tmp_path / name) for entry in (*ended.entries, ended.summary)])
    assert found[1] == found[0]
    clip = [entry for entry in found[1] if entry.get("parameters", {}).get("files_with_one_tone") == 3]
    assert len(clip) == 3


def _timeless(entry: dict[str, Any], out: Path) -> dict[str, Any]:
    parameters = {name: value for name, value in entry.get("parameters", {}).items() if name != "seconds"}
    output = None if entry.get("output") is None else str(Path(entry["output"]).relative_to(out))
    return {**entry, "seconds": None, "parameters": parameters, "output": output}


@pytest.mark.parametrize("where", ["local", "local[0]", "local[x]", "http://host:1", "tcp://host", "host:8786"])
def test_addresses_that_are_none_are_wrong_usage(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = lowlight(capsys, "enhance", tmp_path, "-o", tmp_path / "out", "--cluster", where)
    assert ended.code == 2
    assert "is none of local[N], tcp://HOST:PORT, tls://HOST:PORT" in " ".join(ended.err.replace("│", "").split())


def test_without_dask_a_line_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def find(name: str, *rest: str | None) -> object:
        return None if name == "distributed" else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    save(dark(grey()), tmp_path / "in" / "a.png")
    for command in (("enhance", "--cluster", "local[2]"), ("archive",)):
        ended = lowlight(capsys, *command, tmp_path / "in", "-o", tmp_path / "out")
        assert ended.code == 1
        assert ended.err.endswith("distributed, which is not installed; pip install 'lowlight-enhance[cluster]'\n")


def test_tls_without_certificates_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = save(dark(grey(64)), tmp_path / "a.png")
    ended = lowlight(capsys, "enhance", image, "-o", tmp_path / "out", "--cluster", "tls://127.0.0.1:9")
    assert ended.code == 1
    assert "tls://127.0.0.1:9: Dask has no certificates for TLS; name them in its configuration" in ended.err
