"""A batch of DICOM files to be killed, and what has to be true of what it leaves."""

from __future__ import annotations

import signal
from pathlib import Path

from cli_runs import start, until
from dicom_files import changed

from lowlight.imaging import isolation
from lowlight.imaging.limits import Limits

FILES = 30


def batch(folder: Path) -> Path:
    """Thirty small images of one study."""
    for number in range(FILES):
        uid = f"1.2.826.0.1.3680043.8.498.8.{number + 1}"
        changed(folder / f"{number:02}.dcm", "SC_rgb_rle.dcm", SOPInstanceUID=uid)
    return folder


def killed_after(source: Path, out: Path, results: int) -> None:
    """Start a batch and kill it once there are so many results."""
    child = start("enhance", source, "-o", out, "--brightness", "0.5")
    until(lambda: len(list(out.rglob("[!.]*.dcm"))) >= results, child)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)


def assert_whole(out: Path) -> None:
    """Every result can be read."""
    for path in out.rglob("[!.]*.dcm"):
        assert isolation.decode(path, Limits(), True).stored.shape == (100, 100, 3)


def completed(source: Path, out: Path) -> None:
    """Run the batch to its end."""
    child = start("enhance", source, "-o", out, "--brightness", "0.5")
    _, said = child.communicate(timeout=300)
    assert child.returncode == 0, said
