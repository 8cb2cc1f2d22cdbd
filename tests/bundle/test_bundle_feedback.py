"""feedback.yaml as a user runs it: weights that moved towards what readers preferred, and what became of agreement."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from bundle_runs import BUNDLE, TRAINING, monai_bundle, run
from PIL import Image

from lowlight import Enhancer
from lowlight.imaging import collect
from lowlight.model.network import DualPathNet
from lowlight.study.making import Case, Design, make
from lowlight.study.observers import Population
from lowlight.study.simulating import simulate


def rated_study(folder: Path, retina: np.ndarray, enhancer: Enhancer) -> Path:
    """96 comparisons of 12 images by simulated readers."""
    folder.mkdir()
    small = retina[::8, ::8]
    for number in range(12):
        dark = np.roll(small, 3 * number, axis=number % 2) * (0.2 + 0.01 * number)
        Image.fromarray(dark.astype(np.uint8)).save(folder / f"{number}.png")
    cases = [Case((found,), "fundus") for found in collect([folder])]
    design = Design(("pair",), [(0.7, 1.0), (1.0, 1.0)], original=False, readers=8, repeats=0)
    make(folder / "asked.study", cases, design, enhancer)
    return simulate(folder / "asked.study", folder / "rated.study", Population({"fundus": 0.7}), seed=1)


def test_a_training_from_ratings_moves_the_tone_path_and_reports(
    images: Path, retina: np.ndarray, enhancer: Enhancer, tmp_path: Path
) -> None:
    study = rated_study(tmp_path / "rated", retina, enhancer)
    stages = ",".join(f"'configs/{name}.yaml'" for name in ("train", "observations", "tone", "feedback"))
    command = monai_bundle("training", "--config_file", f"[{stages}]", "--dataset_dir", images, "--study", study)
    command += ["--output_dir", tmp_path / "out", *TRAINING, "--max_epochs", "1"]
    command += ["--observations", "12", "--frame_sizes", "[48,64]", "--num_workers", "0"]

    refused = run(command, tmp_path / "refused.txt")
    assert refused.code == 1
    last = refused.output.strip().splitlines()[-1]
    assert "96 comparisons of 12 images are too few" in last
    assert "at least 120 comparisons" in last
    assert "Traceback" not in refused.output

    output = run([*command, "--least_comparisons", "90"], tmp_path / "log.txt").succeeded()
    assert "SIMULATION: Held-out answers agreed with" in output
    told = json.loads((tmp_path / "out" / "feedback.json").read_text(encoding="utf-8"))
    assert told["held_out"] == 24
    assert set(told) >= {"before", "after", "p", "favourite_strengths", "validation", "validation_before"}
    assert told["validation_before"].keys() == told["validation"].keys()
    tuned = torch.load(tmp_path / "out" / "model.pt", weights_only=True)
    shipped = torch.load(BUNDLE / "models" / "model.pt", weights_only=True)
    changed = {name for name in shipped if not torch.equal(tuned[name], shipped[name])}
    assert changed
    assert changed <= {f"tone.{name}" for name, _ in DualPathNet().tone.named_parameters()}
