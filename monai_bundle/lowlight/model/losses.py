"""The training objective: MSE + perceptual + SSIM, and what the two paths and the uncertainty need besides."""

from __future__ import annotations

import math

import torch
from monai.losses import SSIMLoss
from torch import Tensor, nn
from torch.nn import functional

from lowlight.model.network import split_prediction

BLOCK = 8
"""Side in pixels of the blocks whose means are the low frequencies that the tone path answers for."""


class EnhancementLoss(nn.Module):
    """Weighted sum of the terms below; a term of weight 0 costs nothing.

    Args:
        mse: mean squared error of the enhanced image.
        absolute: mean absolute error (Charbonnier-like robustness to outliers).
        log_mse: mean over images of log10(MSE): a tenth of the negative PSNR, so that every image counts by its ratio.
        fitted: mean squared error of the enhanced image after the affine change of brightness that fits it to the truth
            best, image by image: what a wrong exposure, which the denoise path cannot know, would drown.
        ssim: 1 - SSIM of the luminance, Gaussian window of sigma 1.5 (Wang et al. 2004), MONAI's SSIMLoss.
        perceptual: weight of `perceptual_loss`.
        low_frequency: absolute error of the block means of T(y) alone: the tone path must not lean on the residual.
        likelihood: Gaussian negative log-likelihood of the actual error under the expected one; trains only the
            uncertainty (the error enters as a constant), so that it cannot trade fidelity for calibration.
        perceptual_loss: module of (output, truth), (B, 3, H, W) in [0, 1] -> scalar: `FeaturePerceptualLoss`, or
            `monai.losses.PerceptualLoss` for those who have its weights. Needed when `perceptual` > 0.
        perceptual_share: share of the batch on which the perceptual term is computed. Features cost more than the
            network itself; over many batches a part of each has the same mean gradient.

    Call with the network's output (B, 9, H, W) and the truth (B, 3, H, W) in [0, 1]; returns a scalar. After each call
    `terms` holds the unweighted terms as floats, for logs.
    """

    def __init__(
        self,
        mse: float = 4.0,
        absolute: float = 1.0,
        log_mse: float = 0.0,
        ssim: float = 0.2,
        perceptual: float = 0.05,
        low_frequency: float = 0.5,
        likelihood: float = 0.02,
        perceptual_loss: nn.Module | None = None,
        perceptual_share: float = 1.0,
        fitted: float = 0.0,
    ) -> None:
        super().__init__()
        if perceptual > 0 and perceptual_loss is None:
            raise ValueError("perceptual > 0 needs a perceptual_loss module")
        self.weights = {
            "mse": mse,
            "absolute": absolute,
            "log_mse": log_mse,
            "fitted": fitted,
            "ssim": ssim,
            "perceptual": perceptual,
            "low_frequency": low_frequency,
            "likelihood": likelihood,
        }
        self.perceptual_loss, self.perceptual_share = perceptual_loss, perceptual_share
        self.structural_loss = SSIMLoss(spatial_dims=2, data_range=1.0, kernel_type="gaussian", win_size=11)
        self.terms: dict[str, float] = {}

    def forward(self, prediction: Tensor, truth: Tensor) -> Tensor:
        # Differences of nearly equal squares, as in SSIM, have no digits left in bfloat16.
        with torch.autocast(prediction.device.type, enabled=False):
            return self._total(prediction, truth)

    def _total(self, prediction: Tensor, truth: Tensor) -> Tensor:
        parts = split_prediction(prediction.float())
        shown = _shown(parts.enhanced)
        error = shown - truth
        per_image = error.square().mean((1, 2, 3))
        terms = {"mse": per_image.mean()}
        if self.weights["absolute"]:
            terms["absolute"] = error.abs().mean()
        if self.weights["log_mse"]:
            terms["log_mse"] = torch.log10(per_image + 1e-5).mean()
        if self.weights["fitted"]:
            terms["fitted"] = (_fitted(shown, truth) - truth).square().mean()
        if self.weights["ssim"]:
            terms["ssim"] = self.structural_loss(shown.mean(1, keepdim=True), truth.mean(1, keepdim=True))
        if self.weights["perceptual"] and self.perceptual_loss is not None:
            count = max(1, round(self.perceptual_share * len(truth)))
            terms["perceptual"] = self.perceptual_loss(shown[:count], truth[:count])
        if self.weights["low_frequency"]:
            brightness_error = _block_means(parts.enhanced - parts.residual) - _block_means(truth)
            terms["low_frequency"] = brightness_error.abs().mean()
        if self.weights["likelihood"]:
            terms["likelihood"] = gaussian_likelihood(error.detach(), parts.log_error)
        self.terms = {name: float(value.detach()) for name, value in terms.items()}
        return torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()


class ToneLoss(nn.Module):
    """Error of brightness alone, for a tone path that is trained by itself: weighted sum of the terms below.

    Args:
        mse: mean squared error.
        absolute: mean absolute error.
        log_mse: mean over images of log10(MSE), so that an image that is nearly right still counts.

    Call with area means (B, 3, h, w) of T(y) and of the truth, display space; returns a scalar. After each call `terms`
    holds the unweighted terms as floats, for logs.
    """

    def __init__(self, mse: float = 4.0, absolute: float = 1.0, log_mse: float = 0.05) -> None:
        super().__init__()
        self.weights = {"mse": mse, "absolute": absolute, "log_mse": log_mse}
        self.terms: dict[str, float] = {}

    def forward(self, toned: Tensor, truth: Tensor) -> Tensor:
        error = _shown(toned.float()) - truth.float()
        per_image = error.square().mean((1, 2, 3))
        # An image that is as near as 1e-4 (40 dB) is done: the logarithm must not pull at it any more.
        terms = {
            "mse": per_image.mean(),
            "absolute": error.abs().mean(),
            "log_mse": torch.log10(per_image + 1e-4).mean(),
        }
        self.terms = {name: float(value.detach()) for name, value in terms.items()}
        return torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()


def gaussian_likelihood(error: Tensor, log_error: Tensor) -> Tensor:
    """Mean negative log-likelihood of errors (B, C, H, W) under a Gaussian of standard deviation exp(log_error).

    log_error is (B, 1, H, W). The least value lies where exp(log_error) is the root-mean-square error (Kendall and Gal
    2017).
    """
    square = error.square().mean(1, keepdim=True)
    return (0.5 * square * torch.exp(-2 * log_error) + log_error).mean() + 0.5 * math.log(2 * math.pi)


def _shown(image: Tensor) -> Tensor:
    """What a display clips to [0, 1], but with a small gradient left for what lies outside."""
    clipped = image.clamp(0, 1)
    return clipped + 0.1 * (image - clipped)


def _fitted(image: Tensor, truth: Tensor) -> Tensor:
    """The affine function of images (B, C, H, W) that is nearest to the truth; its coefficients count as constants."""
    with torch.no_grad():
        mean, true_mean = (each.mean((1, 2, 3), keepdim=True) for each in (image, truth))
        spread = (image - mean).square().mean((1, 2, 3), keepdim=True)
        both = ((image - mean) * (truth - true_mean)).mean((1, 2, 3), keepdim=True)
        # A flat patch fits anything: its slope says nothing, and must not multiply gradients.
        slope = ((both + 1e-4) / (spread + 1e-4)).clamp(0.5, 2.0)
    return true_mean + slope * (image - mean)


def _block_means(image: Tensor) -> Tensor:
    size = min(BLOCK, *image.shape[-2:])
    return functional.avg_pool2d(image, size)
