"""Fidelity, contrast and colour, as MONAI metrics that work per image and aggregate over a set.

All take images in display space, (B, C, H, W) with C = 1 or 3, values in [0, 1], and give (B, 1). They agree with
common practice: Gaussian SSIM of sigma 1.5, data range 1, population covariance.
"""

from __future__ import annotations

from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric
from monai.metrics import MultiScaleSSIMMetric as MonaiMultiScaleSSIM
from monai.metrics import SSIMMetric as MonaiSSIM
from monai.metrics.utils import do_metric_reduction
from monai.utils import MetricReduction
from torch import Tensor
from torch.nn import functional

LEAST_SQUARED_ERROR = 1e-10
"""Floor of the mean squared error: identical images have 100 dB instead of infinity, and means stay finite."""

CONTRAST_WINDOW = 15

LEAST_MULTISCALE_SIDE = 176
"""px below which the 11 px window does not fit into the fifth scale (1 / 16) of MS-SSIM."""


class PairMetric(CumulativeIterationMetric):
    """A metric of (output, truth) pairs. Subclasses give `measure`; `reduction` is one of MONAI's."""

    def __init__(self, reduction: MetricReduction | str = MetricReduction.MEAN) -> None:
        super().__init__()
        self.reduction = reduction

    def measure(self, output: Tensor, truth: Tensor) -> Tensor:
        """Measure each pair of images (B, C, H, W), display space [0, 1]: float32 (B, 1), units as the class says."""
        raise TypeError(f"{type(self).__name__} does not say how to measure")

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None, **_: Any) -> Tensor:
        if y is None or y_pred.shape != y.shape:
            raise ValueError(
                f"output and truth differ in shape: {tuple(y_pred.shape)}, {None if y is None else tuple(y.shape)}"
            )
        return self.measure(torch.as_tensor(y_pred).float(), torch.as_tensor(y).float())

    def aggregate(self, reduction: MetricReduction | str | None = None) -> Tensor:
        """The reduced value over everything measured since the last reset."""
        data = self.get_buffer()
        if not isinstance(data, Tensor):
            raise ValueError("nothing was measured yet")
        return do_metric_reduction(data, reduction or self.reduction)[0]


class PSNR(PairMetric):
    """Peak signal-to-noise ratio in dB, data range 1, over all channels; 100 dB for identical images."""

    def measure(self, output: Tensor, truth: Tensor) -> Tensor:
        error = (output.double() - truth.double()).square().flatten(1).mean(1, keepdim=True)
        return (-10 * torch.log10(error.clamp(min=LEAST_SQUARED_ERROR))).float()


class SSIM(PairMetric):
    """Structural similarity (Wang et al. 2004), Gaussian window of sigma 1.5 cut to 11 pixels, channel mean.

    Images smaller than the window in a direction use the largest odd window that fits.
    """

    def measure(self, output: Tensor, truth: Tensor) -> Tensor:
        window = min(11, *(side - 1 + side % 2 for side in output.shape[-2:]))
        metric = MonaiSSIM(
            spatial_dims=2, data_range=1.0, kernel_type="gaussian", kernel_sigma=1.5, win_size=window, reduction="none"
        )
        return metric(output, truth).reshape(len(output), 1)


class MultiScaleSSIM(PairMetric):
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003): five scales, their weights, channel mean.

    NaN, left out of means, for images with a side below 176 px: with fewer scales, or other weights, it would be
    another measure under the same name.
    """

    def measure(self, output: Tensor, truth: Tensor) -> Tensor:
        if min(output.shape[-2:]) < LEAST_MULTISCALE_SIDE:
            return torch.full((len(output), 1), float("nan"))
        metric = MonaiMultiScaleSSIM(spatial_dims=2, data_range=1.0, kernel_type="gaussian", reduction="none")
        return torch.as_tensor(metric(output, truth)).reshape(len(output), 1)


def local_contrast(image: Tensor) -> Tensor:
    """Mean local RMS contrast (standard deviation in 15 x 15 windows) of the grey image: (B, C, H, W) -> (B, 1)."""
    grey = image.mean(1, keepdim=True).double()
    half = CONTRAST_WINDOW // 2
    # Symmetric borders by repeated edges: "reflect" would refuse images smaller than the window.
    padded = functional.pad(grey, (half,) * 4, mode="replicate")
    mean = functional.avg_pool2d(padded, CONTRAST_WINDOW, stride=1)
    square = functional.avg_pool2d(padded * padded, CONTRAST_WINDOW, stride=1)
    return (square - mean * mean).clamp(min=0).sqrt().mean((1, 2, 3))[:, None].float()


class ContrastFidelity(PairMetric):
    """Local RMS contrast of the output over that of the truth: 1 restored, below 1 flat, above 1 exaggerated."""

    def measure(self, output: Tensor, truth: Tensor) -> Tensor:
        return local_contrast(output) / local_contrast(truth).clamp(min=1e-6)


class ContrastImprovementIndex(PairMetric):
    """Local RMS contrast of the output over that of the *input* (Laine et al. 1994): pass (output, input)."""

    def measure(self, output: Tensor, truth: Tensor) -> Tensor:
        return local_contrast(output) / local_contrast(truth).clamp(min=1e-6)


class ColourDifference(PairMetric):
    """Mean CIEDE2000 difference (CIE 142-2001) of sRGB images; NaN, left out of means, for one-channel images."""

    def measure(self, output: Tensor, truth: Tensor) -> Tensor:
        from skimage.color import deltaE_ciede2000, rgb2lab

        if output.shape[1] != 3:
            return torch.full((len(output), 1), float("nan"))
        pairs = zip(output.detach().cpu().double().numpy(), truth.detach().cpu().double().numpy(), strict=True)
        values = [
            deltaE_ciede2000(rgb2lab(a, channel_axis=0), rgb2lab(b, channel_axis=0), channel_axis=0).mean()
            for a, b in pairs
        ]
        return torch.tensor(values, dtype=torch.float32)[:, None]


class LightnessOrderError(PairMetric):
    """Share of pixel pairs whose order of lightness (largest channel) differs between output and reference.

    Wang et al. 2013: for every pair, "at least as light as" either holds in both images or in one only; here over a
    grid of at most 50 x 50 pixels and as a share, 0 (every order kept) to 1 (all turned). Pairs that a dark image no
    longer tells apart have lost their order and count.
    """

    def measure(self, output: Tensor, truth: Tensor) -> Tensor:
        return torch.stack([self._one(a, b) for a, b in zip(output, truth, strict=True)])[:, None]

    @staticmethod
    def _one(output: Tensor, truth: Tensor) -> Tensor:
        rows = torch.linspace(0, output.shape[-2] - 1, min(50, output.shape[-2])).long()
        columns = torch.linspace(0, output.shape[-1] - 1, min(50, output.shape[-1])).long()
        mine, theirs = (image.amax(0)[rows][:, columns].flatten() for image in (output, truth))
        order, expected = mine[:, None] >= mine[None, :], theirs[:, None] >= theirs[None, :]
        return (order != expected).float().mean()
