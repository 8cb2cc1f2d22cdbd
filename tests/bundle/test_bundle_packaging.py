"""The bundle is found and works from a wheel, from the bare folder, and from this checkout alike."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from bundle_runs import BUNDLE, REPOSITORY, run

PROBE = """
import json, sys
import numpy as np
import lowlight
from lowlight.bundle import bundle_root
result = lowlight.Enhancer(device="cpu")(np.full((32, 48), 20, np.uint8))
found = {"package": lowlight.__file__, "root": str(bundle_root()), "shape": result.image.shape}
print(json.dumps(found))
"""
"""What a user's program does first; it says where things were found."""


def probe(folder: Path, elsewhere: Path) -> dict[str, str]:
    """Run the probe with a folder first on the path, from a directory that has nothing to do with it."""
    elsewhere.mkdir()
    ended = run([sys.executable, "-c", PROBE], elsewhere / "log.txt", elsewhere, PYTHONPATH=str(folder))
    found: dict[str, str] = json.loads(ended.succeeded().splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of this checkout, in which work has left its traces."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(BUNDLE, source / "monai_bundle", ignore=shutil.ignore_patterns("runs", "eval", "__pycache__"))
    for trace in ("runs/train/model.pt", "eval/metrics.csv", "lowlight/model/__pycache__/tone.cpython-311.pyc"):
        (source / "monai_bundle" / trace).parent.mkdir(parents=True, exist_ok=True)
        (source / "monai_bundle" / trace).write_bytes(b"left over")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run([*command, "--wheel-dir", built, source], built / "log.txt", built).succeeded()
    (file,) = built.glob("*.whl")
    return file


def test_the_wheel_holds_the_package_and_the_whole_bundle(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {
        f"lowlight/{path.relative_to(BUNDLE / 'lowlight').as_posix()}"
        for path in (BUNDLE / "lowlight").rglob("*")
        if path.suffix in (".py", ".yaml", ".html", ".css", ".js", ".txt")
    }
    bundle = {
        f"lowlight/_bundle/{path.relative_to(BUNDLE).as_posix()}"
        for folder in ("configs", "models", "docs")
        for path in (BUNDLE / folder).iterdir()
        if path.is_file()
    }
    assert names == package | bundle | {"lowlight/py.typed", "lowlight/_bundle/LICENSE"}
    for name in ("configs/inference.yaml", "configs/metadata.json", "models/model.pt", "docs/data_license.txt"):
        assert f"lowlight/_bundle/{name}" in names


def test_an_installed_wheel_finds_its_bundle_inside_itself(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel]
    run(command, tmp_path / "log.txt", tmp_path).succeeded()
    found = probe(site, tmp_path / "elsewhere")
    assert found == {
        "package": str(site / "lowlight" / "__init__.py"),
        "root": str(site / "lowlight" / "_bundle"),
        "shape": [32, 48],
    }


def test_the_bare_bundle_folder_out_of_a_zip_is_enough(tmp_path: Path) -> None:
    kept = shutil.copytree(BUNDLE, tmp_path / "kept", ignore=shutil.ignore_patterns("runs", "eval", "__pycache__"))
    archive = shutil.make_archive(str(tmp_path / "bundle"), "zip", kept)
    shutil.rmtree(kept)
    folder = tmp_path / "unpacked"
    shutil.unpack_archive(archive, folder)
    found = probe(folder, tmp_path / "elsewhere")
    assert (found["package"], found["root"]) == (str(folder / "lowlight" / "__init__.py"), str(folder))


def test_this_checkout_finds_its_own_folder() -> None:
    from lowlight.bundle import bundle_root

    assert bundle_root() == BUNDLE
