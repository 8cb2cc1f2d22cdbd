"""The training objective: MSE + perceptual + SSIM, and what the two paths and the uncertainty need besides."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlight.model.network import prediction_channels, split_prediction

PREDICTED = prediction_channels(3)
"""Channels of the network's output for colour; what lies behind them is not its own."""

BLOCK = 8
"""Side in pixels of the blocks whose means are the low frequencies that the tone path answers for."""


DETAIL = 0.1
"""Contrast to its surroundings, as a share of black to white, from which on a pixel is all detail."""


CONTRAST_WINDOW = 15
"""Side in pixels of the surroundings against which contrast is measured."""

FAINTEST = 2e-5
"""Mean square of detail below which an image counts as flat, and no contrast is asked of it."""

DIAMETERS = (3, 6)
"""px, of the discs whose contrast to their surroundings tells a small finding."""

FAINTEST_FINDING = 0.03
"""Contrast, as a share of black to white, below which a disc is none."""

CONSPICUOUS = 3.0
"""How many times what such discs stand out nearby (root mean square) one must, to count as a finding."""

KEPT_ENOUGH = 0.9
"""Share of its true contrast from which on nothing more is asked of a finding."""

FEW_FINDINGS = 10
"""Findings in a batch up to which they count in part only: the mean over two or three is chance."""

UNREADABLE = 0.03
"""RMS contrast of the smallest discs in the noise at which what is invented counts half: far beyond, all texture is a
guess."""

DRIFT_BLOCK = 16
"""Side in pixels of the blocks whose brightness is held."""


class EnhancementLoss(nn.Module):
    """Weighted sum of the terms below; a term of weight 0 costs nothing (`lost` and `invented` are computed together).

    Args:
        mse: mean squared error of the enhanced image.
        absolute: mean absolute error (Charbonnier-like robustness to outliers).
        log_mse: mean over images of log10(MSE): a tenth of the negative PSNR, so that every image counts by its ratio.
        fitted: mean squared error of the enhanced image after the affine change of brightness that fits it to the truth
            best, image by image: what a wrong exposure, which the denoise path cannot know, would drown.
        detail: as `fitted`, each pixel weighted by how much of the truth there is fine detail: how far its luminance
            is from the mean of the 7 x 7 pixels around, fully from `DETAIL` on. Few pixels show a vessel, a hair or a
            calcification, and a mean over all hardly notices that they are gone.
        contrast: how far the detail of the truth comes back with less or more contrast than it has, see
            `contrast_loss`. The least squared error of what can only be guessed is a fainter copy of it: that is how a
            small finding gets lost.
        ssim: 1 - SSIM of the luminance, Gaussian window of sigma 1.5 (Wang et al. 2004), see `structural_loss`.
        lost, invented: what has become of small findings, and what looks like one and is none, see `findings_loss`. To
            a mean over pixels a dot of three of them is nothing; these two count findings.
        drift: absolute error of the block means of the enhanced image against those that it had at the start. What a
            tone path has decided, the other can learn to correct by what is wrong with it on training images.
        perceptual: weight of `perceptual_loss`.
        low_frequency: absolute error of the block means of T(y) alone: the tone path must not lean on the residual.
        likelihood: Gaussian negative log-likelihood of the actual error under the expected one; trains only the
            uncertainty (the error enters as a constant), so that it cannot trade fidelity for calibration.
        perceptual_loss: module of (output, truth), (B, 3, H, W) in [0, 1] -> scalar: `FeaturePerceptualLoss`, or
            `monai.losses.PerceptualLoss` for those who have its weights. Needed when `perceptual` > 0.
        perceptual_share: share of the batch on which the perceptual term is computed. Features cost more than the
            network itself; over many batches a part of each has the same mean gradient.

    Call with the network's output (B, 9, H, W) and the truth (B, 3, H, W) in [0, 1]; returns a scalar. `drift` needs
    (B, 12, H, W): behind the output the enhanced image of the network as it was at the start
    (`lowlight.training.denoise_stage.PatchInferer`). After each call `terms` holds the unweighted terms as floats, for
    logs.
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
        detail: float = 0.0,
        contrast: float = 0.0,
        lost: float = 0.0,
        invented: float = 0.0,
        drift: float = 0.0,
    ) -> None:
        super().__init__()
        if perceptual > 0 and perceptual_loss is None:
            raise ValueError("perceptual > 0 needs a perceptual_loss module")
        self.weights = {
            "mse": mse,
            "absolute": absolute,
            "log_mse": log_mse,
            "fitted": fitted,
            "detail": detail,
            "contrast": contrast,
            "lost": lost,
            "invented": invented,
            "drift": drift,
            "ssim": ssim,
            "perceptual": perceptual,
            "low_frequency": low_frequency,
            "likelihood": likelihood,
        }
        self.perceptual_loss, self.perceptual_share = perceptual_loss, perceptual_share
        self.terms: dict[str, float] = {}

    def forward(self, prediction: Tensor, truth: Tensor) -> Tensor:
        # Differences of nearly equal squares, as in SSIM, have no digits left in bfloat16.
        with torch.autocast(prediction.device.type, enabled=False):
            return self._total(prediction, truth)

    def _total(self, prediction: Tensor, truth: Tensor) -> Tensor:
        prediction, before = prediction[:, :PREDICTED], prediction[:, PREDICTED:]
        if self.weights["drift"] and before.shape[1] == 0:
            raise ValueError("drift > 0 needs what the network gave at the start, see PatchInferer")
        parts = split_prediction(prediction.float())
        shown = _shown(parts.enhanced)
        error = shown - truth
        per_image = error.square().mean((1, 2, 3))
        terms = {"mse": per_image.mean()}
        if self.weights["absolute"]:
            terms["absolute"] = error.abs().mean()
        if self.weights["log_mse"]:
            terms["log_mse"] = torch.log10(per_image + 1e-5).mean()
        if any(self.weights[name] for name in ("fitted", "detail", "contrast", "lost", "invented")):
            fitted = _fitted(shown, truth)
            fitted_error = (fitted - truth).square()
            if self.weights["fitted"]:
                terms["fitted"] = fitted_error.mean()
            if self.weights["detail"]:
                terms["detail"] = (_detail(truth) * fitted_error).mean()
            if self.weights["contrast"]:
                terms["contrast"] = contrast_loss(fitted, truth)
            if self.weights["lost"] or self.weights["invented"]:
                toned = _shown((parts.enhanced - parts.residual).detach())
                terms["lost"], terms["invented"] = findings_loss(fitted, truth, _fitted(toned, truth))
        if self.weights["ssim"]:
            terms["ssim"] = structural_loss(shown.mean(1), truth.mean(1))
        if self.weights["perceptual"] and self.perceptual_loss is not None:
            count = max(1, round(self.perceptual_share * len(truth)))
            terms["perceptual"] = self.perceptual_loss(shown[:count], truth[:count])
        if self.weights["low_frequency"]:
            brightness_error = _block_means(parts.enhanced - parts.residual) - _block_means(truth)
            terms["low_frequency"] = brightness_error.abs().mean()
        if self.weights["drift"]:
            was, now = (functional.avg_pool2d(each, DRIFT_BLOCK) for each in (before.float(), parts.enhanced))
            terms["drift"] = (now - was).abs().mean()
        if self.weights["likelihood"]:
            terms["likelihood"] = gaussian_likelihood(error.detach(), parts.log_error)
        self.terms = {name: float(value.detach()) for name, value in terms.items()}
        return torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()


def contrast_loss(image: Tensor, truth: Tensor) -> Tensor:
    """Mean over images (B, C, H, W) of (1 - k)^2, a scalar; k is the contrast with which the truth's detail comes back.

    Detail is what luminance has beyond the mean of the `CONTRAST_WINDOW` pixels around, a side; k is the slope of the
    regression of the image's detail on the truth's: noise and invented detail, which the truth does not explain, do
    not raise it.
    """
    own, true = (_beyond_mean(each) for each in (image, truth))
    slope = ((own * true).mean((1, 2, 3)) + FAINTEST) / (true.square().mean((1, 2, 3)) + FAINTEST)
    return (1 - slope).square().mean()


def _beyond_mean(image: Tensor) -> Tensor:
    luminance, reach = image.mean(1, keepdim=True), CONTRAST_WINDOW // 2
    return luminance - functional.avg_pool2d(
        luminance, CONTRAST_WINDOW, stride=1, padding=reach, count_include_pad=False
    )


def findings_loss(image: Tensor, truth: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """How much contrast small findings have lost, and how much is invented that looks like one; two scalars.

    A finding is a place where a disc (`DIAMETERS`) stands out of the truth further than those around it, by
    `FAINTEST_FINDING` at least and `CONSPICUOUS` times as far as discs nearby do, and is just as conspicuous in what
    was seen: of one that the noise hides nothing is asked.

    Lost: the mean over findings of the share of their contrast that is missing to `KEPT_ENOUGH`; exaggeration costs
    nothing here. A share, and not its square, because the least squared error of what is probably there is a fainter
    copy of it.

    Invented: the contrast, in units of `FAINTEST_FINDING`, that bright and dark discs have beyond one unit and beyond
    twice the truth's in the same direction within 2 px; squares are summed over diameters and directions, averaged over
    an image and counted by one pixel in 1000. The mean over images of the root, less where noise leaves nothing to
    read (`UNREADABLE`).

    Args:
        image: (B, C, H, W), brightness-fitted to the truth; gradients flow into it.
        truth: (B, C, H, W).
        seen: (B, C, H, W), the observation under its tone, brightness-fitted to the truth.
    """
    image, truth, seen = (each.mean(1) for each in (image, truth, seen))
    missing, invented = [], []
    noise = image.new_zeros(len(image))
    for diameter in DIAMETERS:
        discs = _Discs(diameter, image)
        given, wanted, shown = (discs.contrast(each) for each in (image, truth, seen))
        size = wanted.abs()
        found = (size >= FAINTEST_FINDING) & (size == functional.max_pool2d(size, 5, 1, 2))
        found &= discs.conspicuous(wanted, wanted) & discs.conspicuous(shown, wanted)
        missing.append((KEPT_ENOUGH - given[found] / wanted[found]).clamp(min=0))
        for direction in (1, -1):
            near = functional.max_pool2d(direction * wanted, 5, 1, 2).clamp(min=0)
            beyond = ((direction * given - 2 * near) / FAINTEST_FINDING - 1).clamp(min=0)
            invented.append(beyond.square().mean((1, 2)))
        if diameter == min(DIAMETERS):
            noise = (shown - wanted).square().mean((1, 2)).sqrt()
    every = torch.cat(missing)
    readable = 1 / (1 + (noise / UNREADABLE) ** 4)
    # The offset keeps the root's gradient finite where nothing is invented.
    much = (1000 * torch.stack(invented).sum(0) + 0.01).sqrt() - 0.1
    return every.sum() / (len(every) + FEW_FINDINGS), (readable * much).mean()


class _Discs:
    """How discs of one diameter in pixels stand out of images (B, H, W): differences of Gaussians that give 1 in the
    middle of a disc of 1. Close to what `lowlight.evaluation.planting` measures, in a form that gradients pass."""

    def __init__(self, diameter: int, like: Tensor) -> None:
        self.inner, self.outer, self.nearby = (
            [_gaussian(side, sigma, like) for side in like.shape[-2:]]
            for sigma in (diameter / 4, diameter, 2 * diameter)
        )

    def contrast(self, image: Tensor) -> Tensor:
        inner, outer = (rows @ image @ columns.T for rows, columns in (self.inner, self.outer))
        return (inner - outer) / (math.exp(-1 / 8) - math.exp(-2))

    def conspicuous(self, response: Tensor, direction: Tensor) -> Tensor:
        """Where a response in the direction of another one stands out of those nearby."""
        rows, columns = self.nearby
        return response * direction.sign() >= CONSPICUOUS * (rows @ response.square() @ columns.T).sqrt()


def _gaussian(length: int, sigma: float, like: Tensor) -> Tensor:
    """Weights (length, length) of a Gaussian around each place, scaled to a sum of 1 at the edges too."""
    places = torch.arange(length, device=like.device, dtype=like.dtype)
    weights = torch.exp(-((places[None, :] - places[:, None]) ** 2) / (2 * sigma * sigma))
    # What is next to nothing is nothing: denormal numbers make products thirty times as slow.
    weights = torch.where(weights < 1e-6, 0, weights)
    return weights / weights.sum(1, keepdim=True)


def structural_loss(image: Tensor, truth: Tensor) -> Tensor:
    """1 - SSIM (Wang et al. 2004) of images (B, H, W) whose white is 1, a scalar; H and W at least 11.

    The same value as `monai.losses.SSIMLoss` with its Gaussian window. That slides the window's 11 x 11 weights over
    the image, whose gradients took half of a training step on a processor; here rows and columns are averaged one
    after the other by matrix products.
    """
    rows, columns = (_windows(length, image) for length in image.shape[-2:])
    products = torch.stack([image, truth, image * image, truth * truth, image * truth])
    mean, true_mean, square, true_square, product = rows @ products @ columns.T
    spread, true_spread = square - mean * mean, true_square - true_mean * true_mean
    shared = product - mean * true_mean
    luminance = (2 * mean * true_mean + 0.01**2) / (mean * mean + true_mean * true_mean + 0.01**2)
    structure = (2 * shared + 0.03**2) / (spread + true_spread + 0.03**2)
    return 1 - (luminance * structure).mean()


def _windows(length: int, like: Tensor) -> Tensor:
    """Weights (length - 10, length) of a Gaussian of sigma 1.5 px over 11 px, at each place that it fits in."""
    places = torch.arange(length, device=like.device)
    distance = places[None, :] - places[: length - 10, None] - 5
    weights = torch.exp(-(distance.to(like.dtype) ** 2) / (2 * 1.5**2)) * (distance.abs() <= 5)
    return weights / weights.sum(1, keepdim=True)


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


def _detail(truth: Tensor) -> Tensor:
    """How much of each pixel of (B, C, H, W) is fine detail, 0 to 1: (B, 1, H, W)."""
    luminance = truth.mean(1, keepdim=True)
    around = functional.avg_pool2d(luminance, 7, stride=1, padding=3, count_include_pad=False)
    return ((luminance - around).abs() / DETAIL).clamp(max=1)


def _block_means(image: Tensor) -> Tensor:
    size = min(BLOCK, *image.shape[-2:])
    return functional.avg_pool2d(image, size)
