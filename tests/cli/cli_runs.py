"""Running the command line in tests, and real images to run it on."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lowlight.cli.app import run


@dataclass(frozen=True)
class Ended:
    """A command line that has ended."""

    code: int
    out: str
    err: str

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The JSON lines, without the summary."""
        return [json.loads(line) for line in self.out.splitlines()][:-1]

    @property
    def summary(self) -> dict[str, Any]:
        """The last JSON line."""
        content: dict[str, Any] = json.loads(self.out.splitlines()[-1])["summary"]
        return content

    def by_name(self) -> dict[str, dict[str, Any]]:
        """The JSON lines by the name of their input."""
        return {Path(entry["input"]).name: entry for entry in self.entries}


def lowlight(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Ended:
    """Run a command line inside this process."""
    code = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return Ended(code, captured.out, captured.err)


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start the program as a user does. It takes Ctrl-C even where the tests themselves run in the background."""
    command = [sys.executable, "-m", "lowlight", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, encoding="utf-8", preexec_fn=_take_interrupts, **options
    )


def _take_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(condition: Callable[[], bool], child: subprocess.Popen[str] | None, seconds: float = 60) -> None:
    """Wait until something is so; fails if the child ends before, or if it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "took too long"
        if child is None:
            time.sleep(0.02)
            continue
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=0.02)
            raise AssertionError(f"ended with {child.returncode}: {child.communicate()}")


def retina(side: int = 96) -> NDArray[np.uint8]:
    """A real fundus photograph, (side, side, 3), 8 bit."""
    with Image.open(str(files("skimage") / "data/retina.jpg")) as image:
        return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def grey(side: int = 96) -> NDArray[np.uint8]:
    """Its green channel, (side, side), 8 bit: what is looked at in a red-free photograph."""
    return np.ascontiguousarray(retina(side)[..., 1])


def dark(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same at a quarter of the light."""
    return image // 4


def save(pixels: NDArray[Any], path: Path) -> Path:
    """Write an image; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def load(path: Path) -> NDArray[Any]:
    """The pixels of an image file."""
    with Image.open(path) as image:
        return np.asarray(image)


def fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, hidden ones too."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def names(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too."""
    return list(fingerprints(folder))
