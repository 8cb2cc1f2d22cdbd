"""Frozen features for the perceptual loss, from a small network trained on the project's own images.

Perceptual losses compare images by the features of a trained classifier (Johnson, Alahi and Fei-Fei 2016). The usual
classifiers need weights from the network and know photographs; this one learns what a medical image shows and how it is
turned (rotation prediction, Gidaris et al. 2018), needs no labels beyond the modality, and ships with the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

MODALITIES = ("xray", "dermatology", "endoscopy", "ultrasound", "fundus", "natural")


class FeatureNet(nn.Module):
    """A small classifier whose intermediate features serve the perceptual loss.

    Args:
        widths: channels of its stages; stage k works at 1 / 2^k of the image.
        modalities: number of modality classes; four more logits tell the rotation in quarter turns.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 48), modalities: int = len(MODALITIES)) -> None:
        super().__init__()
        stages = []
        channels = 3
        for level, width in enumerate(widths):
            stages.append(
                nn.Sequential(
                    nn.Conv2d(channels, width, 3, stride=1 if level == 0 else 2, padding=1),
                    nn.LeakyReLU(0.1),
                    nn.Conv2d(width, width, 3, padding=1),
                    nn.LeakyReLU(0.1),
                )
            )
            channels = width
        self.stages = nn.ModuleList(stages)
        self.head = nn.Sequential(
            nn.Conv2d(channels, 64, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(64, 64, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
        )
        self.classify = nn.Linear(64, modalities + 4)

    def features(self, image: Tensor) -> list[Tensor]:
        """Features after each stage for images (B, 3, H, W) in [0, 1]; shapes (B, widths[k], H / 2^k, W / 2^k)."""
        found = []
        current = image - 0.5
        for stage in self.stages:
            current = stage(current)
            found.append(current)
        return found

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, modalities + 4): modality classes, then quarter turns."""
        return self.classify(self.head(self.features(image)[-1]).mean((-2, -1)))


class ModalityAndTurnLoss(nn.Module):
    """Cross-entropy of the modality logits plus that of the four rotation logits; target (B, 2) integers."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        modality, turn = target.long().unbind(1)
        return functional.cross_entropy(logits[:, :-4], modality) + functional.cross_entropy(logits[:, -4:], turn)


class FeaturePerceptualLoss(nn.Module):
    """Mean absolute difference of frozen, channel-normalised features of output and truth.

    Args:
        network: a `FeatureNet`.
        weights: its trained weights, a state dict saved by torch; None keeps those of `network` (tests).

    Both inputs are (B, 3, H, W) in [0, 1]. The result is a scalar >= 0, 0 for equal images.
    """

    def __init__(self, network: FeatureNet, weights: str | Path | None) -> None:
        super().__init__()
        if weights is not None:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.network = network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> FeaturePerceptualLoss:
        """The features stay frozen whatever mode the loss is put into."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, output: Tensor, truth: Tensor) -> Tensor:
        total = output.new_zeros(())
        with torch.no_grad():
            targets = self.network.features(truth)
        for mine, target in zip(self.network.features(output), targets, strict=True):
            # Unit mean energy per image and stage, so that no stage and no bright image drowns the others.
            scale = target.square().mean((1, 2, 3), keepdim=True).add(1e-6).rsqrt()
            total = total + ((mine - target) * scale).abs().mean()
        return total / len(targets)
