"""The training, evaluation and several-process workflows, run as the README says."""

from __future__ import annotations

import csv
import re
import sqlite3
import sys
from pathlib import Path

import pytest
import torch
from bundle_runs import TRAINING, monai_bundle, run, workflow
from conftest import Training
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lowlight.model.network import DualPathNet


def check_weights(file: Path) -> None:
    """A state dict of the shipped architecture, of finite numbers."""
    state = torch.load(file, map_location="cpu", weights_only=True)
    DualPathNet().load_state_dict(state)
    assert all(bool(tensor.isfinite().all()) for tensor in state.values())


def checkpoints(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("checkpoint_epoch=*.pt")]


def test_a_killed_training_resumes_from_its_last_epoch_says_so_and_finishes(training: Training) -> None:
    output = training.resumed.succeeded()
    before, epochs = training.epochs_before, training.epochs
    expected = f"checkpoint_epoch={before}.pt: {before} of {epochs} epochs are done."
    assert re.search("Resumed from .*" + re.escape(expected), output)
    # The validation's epochs are the trainer's: two more were done, none was done again.
    assert {int(epoch) for epoch in re.findall(r"Epoch\[(\d+)\] Metrics -- .*val_psnr", output)} == {epochs - 1, epochs}
    assert checkpoints(training.folder) == [f"checkpoint_epoch={epochs}.pt"]
    check_weights(training.folder / "model.pt")


def test_psnr_and_ssim_are_reported_per_modality_and_the_losses_term_by_term(training: Training) -> None:
    reports = re.findall(r"Epoch\[\d+\] Metrics -- (.*)", training.resumed.succeeded())
    validations = [report for report in reports if "val_psnr" in report]
    assert len(validations) == 2
    for report in validations:
        values = dict(re.findall(r"(\w+): (-?[\d.]+)", report))
        for modality in ("fundus", "xray", "unknown"):
            assert 0 < float(values[f"psnr_{modality}"]) < 60
            assert -1 <= float(values[f"ssim_{modality}"]) <= 1
    terms = [report for report in reports if "loss_mse" in report]
    assert len(terms) == 2
    assert all("loss_perceptual" in report and "loss_ssim" in report for report in terms)


def test_tensorboard_and_mlflow_hold_the_same_figures_as_the_console(training: Training) -> None:
    printed = re.findall(r"val_psnr: ([\d.]+)", training.resumed.succeeded())[-1]
    events = [EventAccumulator(str(file)).Reload() for file in training.folder.glob("events.out.tfevents.*")]
    points = [point for each in events if "val_psnr" in each.Tags()["scalars"] for point in each.Scalars("val_psnr")]
    last = max(points, key=lambda point: point.step)
    assert last.step == training.epochs
    assert last.value == pytest.approx(float(printed), abs=1e-3)
    assert any("train_loss" in each.Tags()["scalars"] for each in events)
    with sqlite3.connect(f"file:{training.folder / 'mlruns.db'}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT key, value, step FROM metrics").fetchall()
    logged = {key: value for key, value, step in rows if step == training.epochs}
    assert logged["val_psnr"] == pytest.approx(float(printed), abs=1e-3)
    assert {"psnr_fundus", "ssim_fundus", "psnr_xray", "ssim_xray", "loss_mse"} <= set(logged)


def test_evaluation_measures_every_severity_and_modality(training: Training, images: Path, tmp_path: Path) -> None:
    training.resumed.succeeded()
    command = monai_bundle("evaluating", "--config_file", "['configs/train.yaml','configs/evaluate.yaml']")
    command += ["--dataset_dir", images, "--output_dir", tmp_path / "out", "--weights", training.folder / "model.pt"]
    output = run(command, tmp_path / "log.txt").succeeded()
    assert "Weights loaded from" in output
    # Three images at three severities.
    assert "9 of 9 observations done." in output
    with (tmp_path / "out" / "metrics.csv").open(newline="") as stream:
        means = {name: float(value) for name, value in csv.reader(stream)}
    groups = {"light", "medium", "heavy", "fundus", "xray", "unknown"}
    for metric in ("psnr", "ssim", "contrast", "lightness_order_error", "detail_fidelity", "spurious_detail"):
        assert {f"{metric}_{group}" for group in groups} | {f"val_{metric}"} <= set(means)
        severities = [means[f"{metric}_{severity}"] for severity in ("light", "medium", "heavy")]
        assert means[f"val_{metric}"] == pytest.approx(sum(severities) / 3, rel=1e-4)
    assert "colour_difference_fundus" in means
    assert "colour_difference_xray" not in means, "grey images have no colour difference"
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"metrics.csv", "observations.csv", "summary.csv"}


def test_two_processes_train_together_and_leave_what_one_would_leave(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command: list[str | Path] = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += monai_bundle("training", "--config_file", "['configs/train.yaml','configs/multi_gpu_train.yaml']")[1:]
    command += ["--dataset_dir", images, "--output_dir", folder, "--max_epochs", "2", *TRAINING]
    output = run(command, tmp_path / "log.txt", OMP_NUM_THREADS="1").succeeded()
    # The first process alone reports and saves, in the format of a process alone.
    assert len(re.findall(r"Epoch\[\d+\] Metrics -- .*val_psnr", output)) == 2
    assert len(re.findall("Saved .*checkpoint_epoch=", output)) == 2
    assert "psnr_fundus" in output
    check_weights(folder / "model.pt")
    assert checkpoints(folder) == ["checkpoint_epoch=2.pt"]
    state = torch.load(folder / "checkpoint_epoch=2.pt", map_location="cpu", weights_only=True)
    for part in ("network", "averaged"):
        DualPathNet().load_state_dict(state[part])


def test_fine_tuning_starts_from_the_given_weights_and_so_does_their_average(
    bundle: Path, images: Path, tmp_path: Path
) -> None:
    tiny = {"max_epochs": 1, "iterations_per_epoch": 1, "batch_size": 1, "patch_size": 32, "num_workers": 0}
    places = {"dataset_dir": str(images), "output_dir": str(tmp_path)}
    start = bundle / "models" / "model.pt"
    changed = {"initial_weights": str(start), "learning_rate": 1e-9, "val_interval": 1, "validation_size": 64}
    tuning = workflow("train", "train.yaml", **tiny, **places, **changed)
    tuning.initialize()
    tuning.run()
    before, after = (torch.load(file, map_location="cpu", weights_only=True) for file in (start, tmp_path / "model.pt"))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=1e-5, atol=1e-6)
