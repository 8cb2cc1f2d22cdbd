"""What programs of other houses say of DICOM files: dciodvfy (dicom3tools) and dcmdump (dcmtk)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pydicom


def kinds_of_error(path: Path) -> set[str]:
    """What dciodvfy finds wrong, without the values and the elements in which it occurs."""
    told = subprocess.run(["dciodvfy", path], capture_output=True, timeout=60)
    lines = (told.stderr + told.stdout).decode("latin-1").splitlines()
    if told.returncode < 0:
        lines.append(f"Error - ended by signal {-told.returncode}")
    return {_kind(line) for line in lines if line.startswith("Error")}


def new_kinds_of_error(source: Path, result: Path, inflated: Path) -> set[str]:
    """Errors of a result that its source does not have.

    Args:
        source, result: DICOM files.
        inflated: where a copy may be written of a source that dciodvfy cannot read because it is deflated.
    """
    dataset = pydicom.dcmread(source)
    if dataset.file_meta.TransferSyntaxUID == pydicom.uid.DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        pydicom.dcmwrite(inflated, dataset, implicit_vr=False, little_endian=True)
        source = inflated
    return kinds_of_error(result) - kinds_of_error(source)


def is_dumped(path: Path) -> bool:
    """Whether dcmdump reads it to the end."""
    return subprocess.run(["dcmdump", "-q", path], capture_output=True, timeout=60).returncode == 0


def _kind(line: str) -> str:
    without_values = re.sub(r'"[^"]*"|<[^>]*>', "", line)
    # The same fault in the UID of the source and in the reference to it is one kind.
    return re.sub(r"\(0x.*|\d+|Conditional Element=.*", "", without_values)
