"""The real DICOM files of the collection: each is enhanced, or refused for the reason that the docs state."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dicom_validation import is_dumped, new_kinds_of_error

from lowlight.imaging import read, write

pytestmark = pytest.mark.acceptance

LIMIT = 2.5e9  # bytes, of a mammogram


def documented(bundle: Path) -> dict[str, tuple[str, str]]:
    """Status and reason of each file, as the docs have them."""
    table = (bundle / "docs" / "dicom.md").read_text(encoding="utf-8").partition("## Real files")[2]
    rows = re.findall(r"^\| (\S+\.dcm) \| (\w+) \| (.*?) ?\|$", table, re.MULTILINE)
    return {name: (status, reason) for name, status, reason in rows}


def test_every_file_ends_as_documented_and_passes_the_checks(bundle: Path, shared: Path, tmp_path: Path) -> None:
    # Without a network: what the strengths do has tests of its own, and 96 frames take minutes.
    command = [sys.executable, "-m", "lowlight", "enhance", shared / "dicom", "-o", tmp_path, "--json"]
    told = subprocess.run(
        [*command, "--brightness", "0", "--denoise", "0"], capture_output=True, text=True, timeout=900
    )
    entries = [json.loads(line) for line in told.stdout.splitlines()][:-1]
    found = {
        Path(entry["input"]).name: (entry["status"], (entry["message"] or "").partition(": ")[2])
        for entry in entries
        if entry["input"].endswith(".dcm")
    }
    assert found == documented(bundle)
    for entry in entries:
        if entry["status"] != "done":
            continue
        source, result = Path(entry["input"]), Path(entry["output"])
        image = read(source)
        write(image, (image.pixels * 0.9).astype(image.pixels.dtype), tmp_path / "changed.dcm")
        for path in (result, tmp_path / "changed.dcm"):
            assert is_dumped(path), source.name
            assert new_kinds_of_error(source, path, tmp_path / "inflated.dcm") == set(), source.name


def test_a_mammogram_fits_into_memory(shared: Path, tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "mammogram.py"
    source = shared / "dicom" / "dicom-test-f__RG3_J2KR.dcm"
    told = subprocess.run([sys.executable, script, source], capture_output=True, text=True, check=True, timeout=1800)
    found = re.search(r"([\d.]+) GB at most", told.stdout)
    assert found is not None, told.stdout
    assert float(found[1]) * 1e9 <= LIMIT
