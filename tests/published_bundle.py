"""A bundle of one's own: a copy of this one with other weights, published as the model card says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from skimage import data
from torch import nn

from lowlight.model.network import DualPathNet

PATIENCE = 900
"""Seconds after which exporting counts as hanging: it needs half a minute on a quiet machine."""


@dataclass(frozen=True)
class Published:
    """A bundle's folder, the weights that were given to it, and what publishing them printed."""

    folder: Path
    weights: Path
    output: str


def plausible_weights(file: Path, seed: int = 0) -> Path:
    """Weights of the shipped architecture that nobody has trained, but that brighten, correct and doubt."""
    torch.manual_seed(seed)
    network = DualPathNet()
    # Training begins at no residual at all, on which everything would agree.
    nn.init.normal_(network.denoise.exit.conv.weight, std=0.05)
    scene = torch.from_numpy(data.retina() / 255).float().permute(2, 0, 1)
    lit = ((0.1, 300), (0.3, 500), (1.0, 700))
    frames = torch.stack([light * scene[:, top : top + 160, top : top + 160] for light, top in lit])
    network.tone.statistics.learn(network.tone.statistics.measure(frames))
    torch.save(network.state_dict(), file)
    return file


def copied(bundle: Path, folder: Path) -> Path:
    """The whole bundle in another folder, without what work has left in it."""
    shutil.copytree(bundle, folder, ignore=shutil.ignore_patterns("runs", "eval", "__pycache__"))
    return folder


def published(bundle: Path, folder: Path) -> Published:
    """A copy with weights of its own, made by the command that the model card names."""
    weights = plausible_weights(folder / "trained.pt")
    copy = copied(bundle, folder / "bundle")
    command = [sys.executable, "-m", "monai.bundle", "run", "publishing", "--config_file", "configs/export.yaml"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        [*command, "--weights", str(weights)],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return Published(copy, weights, ended.stdout)
