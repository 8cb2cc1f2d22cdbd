"""A real MONAI Label server with the app of LowLightEnhance, started by its documented command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from orthanc import free_port

LONGEST = 480.0
"""Seconds after which an answer that does not come is a failure: tests run on small, busy machines."""

ENVIRONMENT = Path(f"{sys.prefix}-label")
"""Where the Makefile has MONAI Label installed."""


class Label:
    """A server that runs.

    Attributes:
        root: its address. studies: folder of its images. app: folder of the app. process: itself.
    """

    def __init__(self, app: Path, studies: Path, log: Path) -> None:
        self.port = free_port()
        self.root, self.studies, self.app, self._log = f"http://127.0.0.1:{self.port}", studies, app, log
        # As somebody types it: by paths that are relative to where they are.
        near, environment = app.parent, os.path.relpath(ENVIRONMENT, app.parent)
        program = [sys.executable, "-m", "lowlight", "label-app", app.name, "--environment", environment]
        options = ["--studies", os.path.relpath(studies, near), "--port", self.port]
        with log.open("wb") as stream:
            line = [str(part) for part in [*program, *options]]
            self.process = subprocess.Popen(line, cwd=near, stdout=stream, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request, whatever comes of it."""
        return requests.request(method, self.root + path, timeout=LONGEST, **options)

    def answer(self, method: str, path: str, **options: Any) -> Any:
        """What a request that is granted answers, as JSON."""
        response = self.ask(method, path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def infer(self, image: str, model: str = "lowlight", output: str = "image", **params: Any) -> requests.Response:
        """Ask for an image."""
        fields = {"params": json.dumps(params)}
        return self.ask("POST", f"/infer/{model}", params={"image": image, "output": output}, data=fields)

    def enhanced(self, image: str, target: Path, **options: Any) -> Path:
        """The enhanced image, as a file."""
        response = self.infer(image, **options)
        assert response.status_code == 200, response.text
        target.write_bytes(response.content)
        return target

    def wait_until_ready(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + LONGEST
        while True:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            try:
                self.answer("GET", "/info/")
            except requests.ConnectionError:
                time.sleep(0.1)
            else:
                return


@contextmanager
def running(folder: Path, images: dict[str, Path]) -> Iterator[Label]:
    """A server for copies of these images, by their names there."""
    studies = folder / "studies"
    studies.mkdir()
    for name, source in images.items():
        shutil.copyfile(source, studies / name)
    label = Label(folder / "app", studies, folder / "log")
    try:
        label.wait_until_ready()
        yield label
    finally:
        label.process.terminate()
        try:
            label.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            label.process.kill()
            label.process.wait()
            raise
