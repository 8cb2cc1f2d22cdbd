"""The documented training command on the image collection, and images that are dark by themselves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.acceptance
LIMIT = 900  # seconds


def training(bundle: Path, shared: Path, output: Path, log: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", "configs/train.yaml"]
    command += ["--dataset_dir", str(shared / "data"), "--output_dir", str(output), "--max_epochs", "2"]
    # An epoch of a few iterations shows the workflow; reading all 1405 images is part of it.
    command += ["--iterations_per_epoch", "6", "--val_interval", "2", "--validation_size", "160"]
    with log.open("ab") as stream:
        return subprocess.Popen(command, cwd=bundle, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)


def test_two_epochs_on_the_collection_survive_a_kill(bundle: Path, shared: Path, tmp_path: Path) -> None:
    output, log = tmp_path / "run", tmp_path / "log.txt"
    first = training(bundle, shared, output, log)
    deadline = time.monotonic() + LIMIT
    while not (output / "checkpoint_epoch=1.pt").exists():
        assert first.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, "no checkpoint in time"
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()

    second = training(bundle, shared, output, log)
    assert second.wait(timeout=LIMIT) == 0, log.read_text()[-2000:]
    text = log.read_text()
    assert "Resumed from" in text
    for modality in ("xray", "dermatology", "endoscopy", "ultrasound", "fundus", "natural"):
        assert f"psnr_{modality}" in text
        assert f"ssim_{modality}" in text
    assert (output / "model.pt").stat().st_size <= 4e6


def test_no_image_that_is_dark_by_itself_is_darkened(shared: Path, tmp_path: Path) -> None:
    """Many of them are well exposed pictures of dark scenes: they may stay as they are, but must not get worse."""
    source = shared / "data" / "real_dark"
    command = [sys.executable, "-m", "lowlight", "enhance", str(source), "-o", str(tmp_path)]
    subprocess.run(command, check=True, timeout=LIMIT)
    files = sorted(source.glob("*.jpg"))
    assert files
    for file in files:
        before = np.asarray(Image.open(file).convert("L"), float).mean()
        after = np.asarray(Image.open(tmp_path / f"{file.stem}.png").convert("L"), float).mean()
        assert after >= 0.95 * before, file.name
