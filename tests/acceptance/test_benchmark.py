"""What the shipped weights reach on the fixed benchmark (180 observations) through the command line."""

import csv
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowlight.model.metrics import PSNR, SSIM, LightnessOrderError

pytestmark = pytest.mark.acceptance
SEVERITIES = ("light", "medium", "heavy")
LEAST_PSNR, LEAST_SSIM = 24.0, 0.74


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, timeout=1800)


def score(shared: Path, results: Path, table: Path) -> list[dict[str, str]]:
    run(sys.executable, shared / "bench" / "score.py", results, "--csv", table)
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def enhanced(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole benchmark, enhanced by `lowlight enhance` with its defaults."""
    out = tmp_path_factory.mktemp("enhanced")
    run(sys.executable, "-m", "lowlight", "enhance", shared / "bench" / "dark", "-o", out)
    return out


@pytest.fixture(scope="module")
def rows(shared: Path, enhanced: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    return score(shared, enhanced, tmp_path_factory.mktemp("score") / "ours.csv")


@pytest.fixture(scope="module")
def input_rows(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    return score(shared, shared / "bench" / "dark", tmp_path_factory.mktemp("score") / "input.csv")


def means(rows: list[dict[str, str]], column: str) -> dict[str, float]:
    groups = defaultdict(list)
    for row in rows:
        for group in (row["modality"], "all"):
            groups[group].append(float(row[column]))
    return {group: float(np.mean(values)) for group, values in groups.items()}


def test_mean_psnr_and_ssim(rows: list[dict[str, str]]) -> None:
    assert len(rows) == 180
    found = means(rows, "psnr")["all"], means(rows, "ssim")["all"]
    assert found[0] >= LEAST_PSNR, found
    assert found[1] >= LEAST_SSIM, found


@pytest.mark.parametrize("column", ["psnr", "ssim", "psnr_fit"])
def test_each_modality_is_better_than_its_input(rows, input_rows, column: str) -> None:
    ours, theirs = means(rows, column), means(input_rows, column)
    worse = {group: (ours[group], theirs[group]) for group in ours if ours[group] <= theirs[group]}
    assert not worse


def as_tensor(path: Path):
    import torch

    pixels = np.asarray(Image.open(path))
    values = torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max)
    return (values[None] if values.ndim == 2 else values.permute(2, 0, 1))[None]


def test_lightness_order_is_not_worse_than_the_inputs_by_more_than_two_percent(shared: Path, enhanced: Path) -> None:
    metric = LightnessOrderError()
    ours, inputs = [], []
    for severity in SEVERITIES:
        for dark in sorted((shared / "bench" / "dark" / severity).glob("*.jpg")):
            truth = as_tensor(shared / "bench" / "clean" / f"{dark.stem}.png")
            ours.append(float(metric.measure(as_tensor(enhanced / severity / f"{dark.stem}.png"), truth)))
            inputs.append(float(metric.measure(as_tensor(dark), truth)))
    assert np.mean(ours) <= 1.02 * np.mean(inputs), (np.mean(ours), np.mean(inputs))


def test_our_psnr_and_ssim_agree_with_the_benchmarks_own_script(shared: Path, enhanced: Path, rows) -> None:
    for row in rows[::9]:
        truth = as_tensor(shared / "bench" / "clean" / f"{row['name']}.png")
        output = as_tensor(enhanced / row["severity"] / f"{row['name']}.png")
        assert abs(float(PSNR().measure(output, truth)) - float(row["psnr"])) <= 0.01
        assert abs(float(SSIM().measure(output, truth)) - float(row["ssim"])) <= 0.001
