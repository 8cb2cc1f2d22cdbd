"""Running the bundle as its users do, in processes of their own, and real images to run it on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from monai.bundle import ConfigWorkflow
from PIL import Image
from pydicom.data import get_testdata_file
from skimage import data

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BUNDLE = REPOSITORY / "monai_bundle"
PATIENCE = 480
"""Seconds after which a process counts as hanging: it needs ten to thirty on a quiet machine."""

TINY = ("--iterations_per_epoch", "2", "--batch_size", "2", "--patch_size", "32", "--val_interval", "1")
TRAINING = ("--num_workers", "0", "--validation_size", "64", *TINY)
"""Settings of a training that takes a second per epoch."""


@dataclass(frozen=True)
class Ended:
    """A process that has ended; `output` holds what it printed, errors included."""

    code: int
    output: str

    def succeeded(self) -> str:
        """The output, if all went well."""
        assert self.code == 0, self.output
        return self.output


def environment(**more: str) -> dict[str, str]:
    """Variables for a child: the CPU, as many threads as here, no other experiment tracking than asked for."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
    fixed = {
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
    }
    return {**inherited, **fixed, **more}


def start(command: Sequence[str | Path], log: Path, cwd: Path = BUNDLE, **variables: str) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to a file."""
    with log.open("wb") as stream:
        return subprocess.Popen(
            [str(part) for part in command],
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environment(**variables),
            start_new_session=True,
        )


def run(command: Sequence[str | Path], log: Path, cwd: Path = BUNDLE, **variables: str) -> Ended:
    """Run a process to its end; one that hangs is killed with its children and fails the test."""
    child = start(command, log, cwd, **variables)
    try:
        code = child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        kill(child)
        raise AssertionError(f"hangs: {log.read_text(errors='replace')}") from None
    return Ended(code, log.read_text(errors="replace"))


def kill(child: subprocess.Popen[bytes]) -> None:
    """What `kill -9` does, to the process and all that it started."""
    os.killpg(child.pid, 9)
    child.wait()


def until(condition: Callable[[], bool], child: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something is so; fails if the process ends before, or if it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"took too long: {log.read_text(errors='replace')}"
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=0.02)
            raise AssertionError(f"ended with {child.returncode}: {log.read_text(errors='replace')}")


def monai_bundle(run_id: str | None, *options: str | Path) -> list[str | Path]:
    """The command line of a bundle workflow."""
    return [sys.executable, "-m", "monai.bundle", "run", *([run_id] if run_id else []), *options]


def workflow(kind: str, *files: str, **overrides: Any) -> ConfigWorkflow:
    """A workflow inside this process, for what needs no process of its own."""
    return ConfigWorkflow(
        config_file=[str(BUNDLE / "configs" / file) for file in files],
        meta_file=str(BUNDLE / "configs" / "metadata.json"),
        logging_file=False,
        workflow_type=kind,
        bundle_root=str(BUNDLE),
        **overrides,
    )


def write_images(folder: Path) -> Path:
    """Eight small real images of every kind of file: train/ and val/ with a folder per modality."""
    fundus = np.ascontiguousarray(data.retina()[::14, ::14])
    photograph = np.ascontiguousarray(data.coffee()[::5, ::5])
    grey = np.ascontiguousarray(data.camera()[::6, ::6])
    pictures = {
        "train/fundus/left.png": fundus,
        "train/fundus/right.png": np.ascontiguousarray(fundus[:, ::-1]),
        "train/natural/coffee.jpg": photograph,
        "train/natural/camera.tif": grey,
        "val/fundus/turned.png": np.ascontiguousarray(np.rot90(fundus)),
    }
    for name, pixels in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    for name, source in {"train/xray/ct": "CT_small.dcm", "val/xray/mr.dcm": "MR_small.dcm"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(get_testdata_file(source)), folder / name)
    stack = np.stack([grey, grey[::-1]], axis=-1).transpose(1, 0, 2)
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(stack), np.eye(4)), folder / "val/natural.nii.gz")
    return folder
