"""The evaluation workflow and the command line measure alike, each in a process of its own."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from bundle_runs import monai_bundle, run
from PIL import Image
from skimage import data


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Validation images of two modalities, one of them large enough for MS-SSIM, and one to train on."""
    folder = tmp_path_factory.mktemp("collection")
    pictures = {
        "train/fundus/eye.png": data.retina()[::14, ::14],
        "val/fundus/eye.png": data.retina()[::7, ::7],
        **{f"val/fundus/turned{turns}.png": np.rot90(data.retina()[turns::20, ::20], turns) for turns in range(1, 5)},
        "val/xray/hand.png": data.camera()[::2, ::2],
    }
    for name, pixels in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / name)
    return folder


def summary(file: Path) -> dict[tuple[str, str], dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return {(row["group"], row["measure"]): row for row in csv.DictReader(stream)}


def test_workflow_and_command_line_give_the_same_figures(collection: Path, tmp_path: Path) -> None:
    command = monai_bundle("evaluating", "--config_file", "['configs/train.yaml','configs/evaluate.yaml']")
    command += ["--dataset_dir", collection, "--output_dir", tmp_path / "out", "--images_dir", tmp_path / "images"]
    run(command, tmp_path / "workflow.txt").succeeded()
    images = tmp_path / "images"
    command = [sys.executable, "-m", "lowlight", "evaluate", images / "clean", images / "enhanced"]
    command += ["--input", images / "dark", "--by", "modality", "--csv", tmp_path / "scores.csv"]
    run(command, tmp_path / "command.txt", tmp_path).succeeded()

    workflow, command_line = summary(tmp_path / "out/summary.csv"), summary(tmp_path / "scores_summary.csv")
    assert {group for group, _ in command_line} == {"fundus", "xray", "all"}
    assert {group for group, _ in workflow} == {"fundus", "xray", "light", "medium", "heavy", "all"}
    assert {measure for group, measure in workflow if group == "all"} == {
        measure for group, measure in command_line if group == "all"
    }
    for key, told in command_line.items():
        assert workflow[key]["count"] == told["count"], key
        for column in ("mean", "median", "low", "high"):
            # One clean X-ray alone has no interval. The images were rounded to 16 bits on their way.
            if told[column] or workflow[key][column]:
                assert float(workflow[key][column]) == pytest.approx(float(told[column]), rel=1e-3, abs=1e-3), key
    assert command_line["fundus", "psnr"]["low"]
    assert not command_line["xray", "psnr"]["low"]
    assert command_line["all", "psnr"]["count"] == "18"
    assert command_line["all", "ms_ssim"]["count"] == "6"
    with (tmp_path / "out/metrics.csv").open(newline="") as stream:
        metrics = {name: float(value) for name, value in csv.reader(stream)}
    for measure in ("psnr", "ssim", "ms_ssim", "detail_fidelity"):
        assert metrics[f"val_{measure}"] == pytest.approx(float(workflow["all", measure]["mean"]), abs=1e-3)
