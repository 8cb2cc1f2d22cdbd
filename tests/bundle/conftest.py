"""What the bundle's tests share: one small data set, and one training that was killed and resumed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from bundle_runs import TRAINING, Ended, kill, monai_bundle, run, start, until, write_images


@dataclass(frozen=True)
class Training:
    """A training in two parts: killed once it had saved `epochs_before` epochs, then run to `epochs` with MLflow."""

    folder: Path
    epochs_before: int
    epochs: int
    resumed: Ended


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train/ and val/, eight small images."""
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def training(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Train, kill -9 as soon as an epoch is saved, start again."""
    folder = tmp_path_factory.mktemp("training")
    log = folder / "log.txt"
    command = monai_bundle("training", "--config_file", "configs/train.yaml", "--dataset_dir", images, *TRAINING)
    command += ["--output_dir", folder / "run"]
    # So many epochs that the kill cannot come too late.
    child = start([*command, "--max_epochs", "100000"], log)
    try:
        until(lambda: any((folder / "run").glob("checkpoint_epoch=*.pt")), child, log)
    finally:
        kill(child)
    done = max(int(path.stem.partition("=")[2]) for path in (folder / "run").glob("checkpoint_epoch=*.pt"))
    resumed = run([*command, "--max_epochs", str(done + 2), "--tracking", "mlflow"], log)
    return Training(folder / "run", done, done + 2, resumed)
