"""benchmarks/training_curves.py reads what a training left and draws all of it, a resumed run as one curve."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

SCRIPT = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "training_curves.py"
PER_EPOCH = 20
"""Iterations."""


@pytest.fixture(scope="module")
def curves() -> ModuleType:
    spec = importlib.util.spec_from_file_location("training_curves", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def train(folder: Path, first: int, last: int, offset: float = 0.0, started: float = 1000.0) -> None:
    """Events as train.yaml writes them, of epochs `first` to `last`; `started` is the time on the clock."""
    with SummaryWriter(str(folder), filename_suffix=f".{first}") as trainer, SummaryWriter(str(folder)) as evaluator:
        for epoch in range(first, last + 1):
            for iteration in range((epoch - 1) * PER_EPOCH + 1, epoch * PER_EPOCH + 1):
                trainer.add_scalar(
                    "train_loss", 1 / iteration + offset, iteration, walltime=started + iteration / PER_EPOCH
                )
            for term in ("mse", "low_frequency"):
                trainer.add_scalar(f"loss_{term}", 1 / epoch + offset, epoch, walltime=started + epoch)
            for name, gain in (("val", 0), ("light", 2), ("medium", 0), ("heavy", -2)):
                for measure, scale in (("psnr", 1.0), ("ssim", 0.03)):
                    tag = f"val_{measure}" if name == "val" else f"{measure}_{name}"
                    evaluator.add_scalar(tag, scale * (20 + gain + epoch + offset), epoch, walltime=started + epoch)


def test_a_resumed_run_is_one_curve_without_what_was_done_twice(curves: ModuleType, tmp_path: Path) -> None:
    train(tmp_path, 1, 4, offset=0.5)
    train(tmp_path, 3, 6, started=2000.0)
    stage = curves.read_run(tmp_path, "tone")
    assert stage.epochs == 6
    psnr = stage.validation("psnr")
    assert list(psnr) == ["all", "light", "medium", "heavy"]
    np.testing.assert_allclose(psnr["all"], [[1, 21.5], [2, 22.5], [3, 23], [4, 24], [5, 25], [6, 26]])
    np.testing.assert_allclose(psnr["heavy"][-1], [6, 24])
    assert set(stage.terms) == {"mse", "low frequency"}
    assert len(stage.loss) == 6 * PER_EPOCH
    np.testing.assert_allclose(stage.loss[[0, -1], 0], [1 / PER_EPOCH, 6])
    np.testing.assert_allclose(stage.loss[2 * PER_EPOCH, 1], 1 / (2 * PER_EPOCH + 1))


def test_an_epoch_that_is_not_over_counts_by_its_iterations(curves: ModuleType, tmp_path: Path) -> None:
    train(tmp_path, 1, 3)
    with SummaryWriter(str(tmp_path), filename_suffix=".4") as trainer:
        for iteration in range(3 * PER_EPOCH + 1, 3 * PER_EPOCH + 6):
            trainer.add_scalar("train_loss", 0.1, iteration, walltime=2000.0)
    assert curves.read_run(tmp_path, "tone").epochs == pytest.approx(3 + 5 / PER_EPOCH)


def test_the_smoothed_loss_is_a_mean_of_its_neighbours(curves: ModuleType) -> None:
    np.testing.assert_allclose(curves.smoothed(np.full(7, 2.0), 4), 2.0)
    np.testing.assert_allclose(curves.smoothed(np.array([0.0, 3, 0, 0, 9, 0]), 3), [1.5, 1, 1, 3, 3, 4.5])


def test_the_picture_shows_every_stage(tmp_path: Path) -> None:
    train(tmp_path / "tone", 1, 8)
    train(tmp_path / "denoise", 1, 2)
    shown = {}
    for name, runs in {"one": ["tone"], "two": ["the tone path=tone", "denoise"]}.items():
        command = [sys.executable, str(SCRIPT), *runs, "-o", f"{name}.png"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert ended.returncode == 0, ended.stderr
        shown[name] = ended.stdout
    assert shown["two"].strip() == "two.png: the tone path 8 epochs, denoise 2 epochs"
    one, two = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")) for name in ("one", "two"))
    assert two.shape[1] > one.shape[1]
    # The colour of each severity is in both validation panels, which are the lower half.
    for shade in ((0xE0, 0xA1, 0x00), (0xD1, 0x49, 0x5B), (0x3D, 0x5A, 0x98)):
        rows = np.flatnonzero((two == shade).all(-1).any(1)) / len(two)
        assert ((rows > 0.5) & (rows < 0.72)).any()
        assert (rows > 0.78).any()


def test_a_folder_without_events_is_named(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), "-o", str(tmp_path / "curves.png")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 2
    assert f"{tmp_path}: no events of a training in it" in ended.stderr
    assert not (tmp_path / "curves.png").exists()
