"""What the Extensions Index asks of the repository, and that the pages show pictures that are there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "LowLightEnhance"
CMAKE = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")


def field(name: str) -> str:
    found = re.search(rf'^set\(EXTENSION_{name} "([^"]*)"\)', CMAKE, re.MULTILINE)
    assert found, f"EXTENSION_{name} is not set"
    return found[1]


def test_the_extension_tells_what_the_index_asks_for():
    assert re.search(r"^project\(LowLightEnhance\)", CMAKE, re.MULTILINE)
    for name in ("HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS"):
        assert field(name)
    assert field("DEPENDS") == "PyTorch"
    assert (REPOSITORY / "LICENSE").is_file()


def test_icon_and_screenshots_of_the_index_are_in_the_repository():
    for address in (field("ICONURL"), *field("SCREENSHOTURLS").split()):
        assert (REPOSITORY / address.partition("/main/")[2]).is_file(), address


@pytest.mark.parametrize("page", ["README.md", "LowLightEnhance/README.md", "monai_bundle/docs/reader_study.md"])
def test_every_picture_and_page_that_is_named_is_there(page):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    named = [name for name in re.findall(r"\]\(([^)\s#]+)", text) if "://" not in name]
    assert named
    assert not [name for name in named if not (REPOSITORY / page).parent.joinpath(name).exists()]


def test_every_file_that_the_module_needs_is_installed_with_it():
    cmake = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    for path in (MODULE / "Resources").rglob("*.*"):
        name = path.relative_to(MODULE).as_posix()
        pattern = f"{path.relative_to(MODULE).parent.as_posix()}/*{path.suffix}"
        assert name in cmake or pattern in cmake, f"{name} is not installed"
    assert "LowLightEnhanceLib/*.py" in cmake


def test_the_module_never_imports_what_slicers_python_lacks_or_ships_in_another_version():
    """DICOM and the network are the worker's; NumPy, Qt and VTK are Slicer's own in every version."""
    theirs = {
        *("qt", "slicer", "vtk", "numpy", "SampleData", "PyTorchUtils", "ctk", "LowLightEnhanceLib"),
        *("typing", "annotations"),
    }
    for path in [MODULE / "LowLightEnhance.py", *(MODULE / "LowLightEnhanceLib").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                first = name.partition(".")[0]
                assert first in theirs or first in sys.stdlib_module_names, f"{path.name}: {name}"


def test_forms_are_in_qts_own_language():
    for path in (MODULE / "Resources" / "UI").glob("*.ui"):
        names = [widget.get("name") for widget in ElementTree.parse(path).iter("widget")]
        assert len(names) == len(set(names)), path.name


def test_a_checkout_stays_below_what_the_index_takes():
    listed = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "-z"], capture_output=True, text=True, check=False
    ).stdout.split("\0")
    files = [REPOSITORY / name for name in listed if name] or [
        p for p in REPOSITORY.rglob("*") if ".venv" not in p.parts
    ]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 50_000_000
