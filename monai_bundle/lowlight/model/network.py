"""DualPathNet: one path for brightness and contrast, one for noise, blur and compression."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlight.model.resampling import area_resize, spline_resize
from lowlight.model.statistics import FrameStatistics
from lowlight.model.tone import tone_curve

NEGATIVE_SLOPE = 0.1
LOG_ERROR_RANGE = (-7.0, 0.0)
CHANNELS_BESIDE = 3
"""Of a prediction, beside the channels of the enhanced frame and of its residual."""
HEAD_WIDTH = 128
"""Width of the layers in which the tone path decides the frame's gain and gamma."""
DAMAGE_WIDTH = 64
"""Width of the layers in which it decides whether the frame was damaged at all."""
NOTHING_SEEN = 1 / 255
"""Brightness of a frame's brightest place up to which it shows nothing, one level of an 8-bit image; from twice that on
the tone counts in full."""
DAMAGE_DROPOUT = 0.2
"""Share of each of them that is hidden while it learns to."""
SURE_OF_DAMAGE = 1.0
"""Log-odds of damage at which half of the tone is applied: an image is left alone in doubt."""


class Prediction(NamedTuple):
    """The parts of one network output; every tensor is (B, channels, H, W).

    enhanced: T(y) + r, as many channels as the frame, display space, not clipped.
    residual: r, as many channels; |r| <= residual_bound + the difference between T(y) and its local median.
    log_error: 1 channel, natural log of the expected root-mean-square error of `enhanced` at full strengths.
    log_gain, log_gamma: 1 channel each, the tone maps g and c.
    """

    enhanced: Tensor
    residual: Tensor
    log_error: Tensor
    log_gain: Tensor
    log_gamma: Tensor


def split_prediction(prediction: Tensor) -> Prediction:
    """Name the channels of `DualPathNet`'s output: (B, 9, H, W), of grey frames (B, 5, H, W)."""
    frame = (prediction.shape[1] - CHANNELS_BESIDE) // 2
    if frame not in (1, 3) or prediction.shape[1] != prediction_channels(frame):
        raise ValueError(f"expected 9 or 5 channels (see Prediction), got {prediction.shape[1]}")
    return Prediction(*prediction.split([frame, frame, 1, 1, 1], dim=1))


def prediction_channels(frame: int) -> int:
    """Channels of the network's output for a frame of so many."""
    return 2 * frame + CHANNELS_BESIDE


class Convolution(nn.Sequential):
    """A convolution that keeps the size (or divides it by `strides`), and the activation.

    MONAI's block of this name does the same; importing MONAI takes ten seconds on an old laptop, and whoever only
    enhances one image should not wait for it.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int = 3, strides: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        padding = 0 if kernel_size == strides else kernel_size // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, strides, padding)
        if activate:
            self.activation = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)


class ResidualBlock(nn.Module):
    """x + conv(activation(conv(x))), no normalisation. Starts near the identity, so that deep stacks train at once."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = Convolution(width, width, activate=False)
        nn.init.normal_(last.conv.weight, std=1e-2)
        nn.init.zeros_(last.conv.bias)  # type: ignore[arg-type]
        self.conv = nn.Sequential(OrderedDict(unit0=Convolution(width, width), unit1=last))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


def _residual_blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


def has_colour(y: Tensor) -> Tensor:
    """Which frames of (B, C, H, W) hold a pixel whose channels differ: (B,) bool."""
    if y.shape[1] == 1:
        return torch.zeros_like(y[:, 0, 0, 0], dtype=torch.bool)
    return (y.amax(1) - y.amin(1)).amax((-2, -1)) > 0


class TonePath(nn.Module):
    """Decides the exposure of a frame from a small picture of it and from statistics of all its pixels.

    The picture says where the light is missing; the statistics, more than the scene, say how much of it. A head that
    leans on the picture learns the training images by heart.

    How an image should be exposed and whether it is damaged at all are two questions, and who answers the first for
    good images too answers it worse: where an image may be good, the least error is half of what a dark one needs. So
    the second is answered apart, from the statistics, and the tone is applied by as much as that is sure. An untrained
    path takes every frame for damaged, until `lowlight.training.tone_stage.learn_damage` has shown it good ones. A
    frame without anything brighter than one level of an 8-bit image keeps its tone as well.

    `see` reduces a frame to that picture and those statistics, by no weights; `decide` does the rest. Frames that have
    been seen once can so be decided on again and again.

    Args:
        size: side of the square grid of cells that it sees.
        widths: channels at size, size/2, size/4, ...
        blocks: residual blocks per level.
        dropout: share of the picture's summary that is hidden from the head in training.
        controls: the maps are B-splines over controls x controls values.
        gain_range: bounds of g's frame-wide part. gamma_range: bounds of c's frame-wide part.
        local_gain: bound of the local deviation of g. local_gamma: that of c. They bound the maps' gradients too: a
            B-spline's slope per control interval is at most the difference of neighbouring controls.
    """

    middle: Tensor
    half_range: Tensor
    local_bound: Tensor

    def __init__(
        self,
        size: int,
        widths: Sequence[int],
        blocks: int,
        dropout: float,
        controls: int,
        gain_range: tuple[float, float],
        gamma_range: tuple[float, float],
        local_gain: float,
        local_gamma: float,
    ) -> None:
        super().__init__()
        self.size, self.controls = size, controls
        self.register_buffer("middle", torch.tensor([sum(gain_range) / 2, sum(gamma_range) / 2]), persistent=False)
        half_ranges = [(gain_range[1] - gain_range[0]) / 2, (gamma_range[1] - gamma_range[0]) / 2]
        self.register_buffer("half_range", torch.tensor(half_ranges), persistent=False)
        self.register_buffer("local_bound", torch.tensor([local_gain, local_gamma]), persistent=False)
        levels: list[nn.Module] = [Convolution(6, widths[0]), _residual_blocks(widths[0], blocks)]
        for fine, coarse in itertools.pairwise(widths):
            levels += [Convolution(fine, coarse, kernel_size=2, strides=2), _residual_blocks(coarse, blocks)]
        self.trunk = nn.Sequential(*levels)
        deepest = widths[-1]
        self.statistics = FrameStatistics()
        self.exposure = nn.Sequential(
            nn.Linear(FrameStatistics.count, HEAD_WIDTH), nn.SiLU(), nn.Linear(HEAD_WIDTH, HEAD_WIDTH), nn.SiLU()
        )
        layers: list[nn.Module] = []
        for width in (FrameStatistics.count, DAMAGE_WIDTH):
            layers += [nn.Linear(width, DAMAGE_WIDTH), nn.SiLU(), nn.Dropout(DAMAGE_DROPOUT)]
        self.damage = nn.Sequential(*layers, nn.Linear(DAMAGE_WIDTH, 1))
        self.presume_damage()
        self.dropout = nn.Dropout(dropout)
        decision = nn.Linear(HEAD_WIDTH, deepest + 2)
        # Training starts near the middle of the ranges, where tanh still has a slope for every frame.
        with torch.no_grad():
            decision.weight[:2] *= 0.2
        self.frame = nn.Sequential(nn.Linear(2 * deepest + HEAD_WIDTH, HEAD_WIDTH), nn.SiLU(), decision)
        self.local = nn.Sequential(Convolution(deepest, deepest), Convolution(deepest, 2, 1, activate=False))

    @torch.no_grad()
    def presume_damage(self) -> None:
        """Take every frame for damaged."""
        last = self.damage[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, SURE_OF_DAMAGE + 4)

    def forward(self, y: Tensor) -> Tensor:
        """Controls (B, 2, controls, controls) of g and c for the observation y (B, C, H, W), black 0 and white 1."""
        return self.decide(*self.see(y))

    def see(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (B, 6, size, size) and raw statistics (B, `FrameStatistics.count`) of observations y (B, C, H, W);
        C is 3, or 1 for grey, which is seen as three equal channels."""
        y = y.clamp(0, 1)
        return self._cells(y), self.statistics.measure(y)

    def decide(self, cells: Tensor, statistics: Tensor) -> Tensor:
        """Controls, as `forward`, from what `see` has seen."""
        features = self.trunk(cells)
        summary = self.dropout(torch.cat([features.mean((-2, -1)), features.amax((-2, -1))], dim=1))
        measured = self.statistics(statistics)
        frame = self.frame(torch.cat([summary, self.exposure(measured)], dim=1))
        whole, context = frame[:, :2], frame[:, 2:]
        local = self.local(features + context[:, :, None, None])
        whole = self.middle + self.half_range * torch.tanh(whole)
        local = self.local_bound[:, None, None] * torch.tanh(area_resize(local, (self.controls, self.controls)))
        share = torch.sigmoid(2 * (self.damage(measured) - SURE_OF_DAMAGE))
        # A frame that shows nothing is left alone, too: what would be made of it is not in it.
        share = share * ((FrameStatistics.brightest(statistics) - NOTHING_SEEN) / NOTHING_SEEN).clamp(0, 1)
        return (whole[:, :, None, None] + local) * share[:, :, None, None]

    def _cells(self, y: Tensor) -> Tensor:
        """What each cell shows: mean colour, its logarithm, contrast inside the cell, and pixel-to-pixel change.

        The last two tell noise from structure, and with it how much light there was.
        """
        # One channel at a time: of a large frame, each that is held beside the others counts.
        luminance = y if y.shape[1] == 1 else y.mean(1, keepdim=True)
        mean, square = self._means(y), self._means(luminance * luminance)
        change = self._means(functional.pad((luminance[..., 1:] - luminance[..., :-1]).abs(), (0, 1)))
        level = mean.mean(1, keepdim=True)
        contrast = (square - level * level).clamp(min=0)
        # Square roots and logarithms open up the dark end, where everything happens; the offsets keep gradients finite.
        return torch.cat(
            [
                torch.sqrt(mean + 1e-4).expand(-1, 3, -1, -1),
                torch.log(level + 1e-2) / 2 + 1,
                4 * torch.sqrt(contrast + 1e-6),
                4 * torch.sqrt(change + 1e-6),
            ],
            dim=1,
        )

    def _means(self, values: Tensor) -> Tensor:
        return area_resize(values, (self.size, self.size))


def local_median(x: Tensor) -> Tensor:
    """Median of the medians of the three rows of each 3 x 3 neighbourhood of (B, C, H, W): what a pixel would be if it
    were none of the impulses around it.

    Nearly the median of all nine (it may lie one rank off), at a fraction of the comparisons (Narendra 1981). At the
    border the image is mirrored, whose least side is 2: a repeated pixel would outvote its neighbours.
    """
    for axis in (-1, -2):
        padded = functional.pad(x, (1, 1, 0, 0) if axis == -1 else (0, 0, 1, 1), mode="reflect")
        length = x.shape[axis]
        before, middle, after = (padded.narrow(axis, first, length) for first in range(3))
        low, high = torch.minimum(before, middle), torch.maximum(before, middle)
        x = torch.maximum(low, torch.minimum(high, after))
    return x


def upsampled(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A convolution of single pixels, whose outputs are the 2 x 2 pixels of each channel (Shi et al. 2016): (B, C, 2 H,
    2 W) of features (B, c, H, W), by weights (4 C, c, 1, 1) and biases (4 C,).

    Exported as one transposed convolution, which writes every pixel where it belongs at once. The bias of each of the
    four is its own, which a transposed convolution does not know; added by rows, because an engine is slow at short
    repeats. In torch those additions would cost more than the shuffle.
    """
    if not torch.compiler.is_exporting():
        return functional.pixel_shuffle(functional.conv2d(features, weight, bias), 2)
    width = 2 * features.shape[-1]
    filters = weight[..., 0, 0].unflatten(0, (-1, 2, 2)).permute(3, 0, 1, 2)
    pixels = functional.conv_transpose2d(features, filters, stride=2)
    rows = bias.unflatten(0, (-1, 1, 2, 1, 2)).expand(-1, -1, -1, features.shape[-1], -1).reshape(-1, 1, 2, width)
    return (pixels.unflatten(2, (features.shape[-2], 2)) + rows).flatten(2, 3)


class DenoisePath(nn.Module):
    """A U-shaped multiscale net at half resolution; no pooling over the frame and no normalisation over space.

    A white impulse in a dark frame is far brighter after the tone curve than any bounded correction takes back. So the
    net also says, pixel by pixel, how much of the local median stands in for the pixel itself.

    Args:
        widths: channels per level; level k works at 1 / 2^(k+1) of the frame.
        blocks: residual blocks per level on the way down; the way up has the same number, the deepest level one stack.
        residual_bound: largest |r| but for the part that the local median stands in for.

    It computes in the type of its own weights, and in the order in which they lie in memory: `.to(torch.bfloat16,
    memory_format=torch.channels_last)` makes it several times as fast where a device has units for that. It takes
    features of any type, and what it says is in 32 bits at least.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], residual_bound: float) -> None:
        super().__init__()
        self.residual_bound = residual_bound
        self.stride = 2 ** len(widths)
        self.entry = Convolution(4 * 9 + 2, widths[0])
        self.down_blocks = nn.ModuleList(_residual_blocks(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True))
        pairs = list(itertools.pairwise(widths))
        self.downs = nn.ModuleList(Convolution(fine, coarse, 2, 2, activate=False) for fine, coarse in pairs)
        self.deepest = _residual_blocks(widths[-1], blocks[-1])
        self.ups = nn.ModuleList(Convolution(coarse, 4 * fine, 1, activate=False) for fine, coarse in pairs)
        self.up_blocks = nn.ModuleList(_residual_blocks(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True))
        self.exit = Convolution(widths[0], 4 * 6, kernel_size=1, activate=False)
        last = self.exit.conv
        assert last.bias is not None
        # Training starts near r = 0. The expected error starts near a seventh of its range: starting sharp would drown
        # the other losses at first.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        nn.init.constant_(last.bias[16:20], 1.0)
        nn.init.constant_(last.bias[20:], -3.0)

    @property
    def _layout(self) -> torch.memory_format:
        weight = self.entry.conv.weight
        last = weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
        return torch.channels_last if last else torch.contiguous_format

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, widths[0], H/2, W/2) from those that `enter` gives, for `leave`; H and W are multiples of
        `stride`."""
        skips = []
        for blocks, down in zip(self.down_blocks, self.downs, strict=True):
            features = blocks(features)
            skips.append(features)
            features = down(features)
        features = self.deepest(features)
        for skip, up, blocks in zip(
            reversed(skips), reversed(list(self.ups)), reversed(list(self.up_blocks)), strict=True
        ):
            features = blocks(upsampled(features, *up.parameters()) + skip)
        return features

    def enter(self, pixels: Tensor) -> Tensor:
        """What the net sees of a frame, as features (B, widths[0], H/2, W/2).

        A 3 x 3 convolution of places of 2 x 2 pixels is one of 6 x 6 pixels in steps of 2: the same sums, without
        copying pixels into places. Of the maps it sees the mean of each place, which is a quarter of the weight on each
        pixel. And three equal channels are one with the sum of their weights.

        Args:
            pixels: (B, 3 C + 2, H, W): y, T(y), what T(y) differs by from its local median, g and c; C is 3, or 1 for
                grey.
        """
        conv = self.entry.conv
        weight, of_maps = conv.weight.split([4 * 9, 2], dim=1)
        weight = weight.unflatten(1, (3, 3, 2, 2))  # kind, channel, row and column in a place
        if pixels.shape[1] == 3 + 2:
            weight = weight.sum(2, keepdim=True)
        of_maps = (of_maps / 4)[:, :, None, None].expand(-1, -1, 2, 2, -1, -1)
        weight = torch.cat([weight.flatten(1, 2), of_maps], 1).permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)
        pixels = pixels.to(weight.dtype, memory_format=self._layout)
        features: Tensor = self.entry.activation(functional.conv2d(pixels, weight, conv.bias, stride=2, padding=2))
        return features

    def leave(self, features: Tensor, grey: bool) -> Tensor:
        """What the net says of each pixel (B, 6, H, W): residuals of brightness (1) and of colour (3), log error (1),
        the share of the departure from the local median that is taken back (1). Of grey frames (B, 3, H, W): without
        the residuals of colour."""
        conv = self.exit.conv
        weight, bias = conv.weight, conv.bias
        assert bias is not None
        if grey:
            weight, bias = (torch.cat([part[:4], part[16:]]) for part in (weight, bias))
        if torch.compiler.is_exporting():
            return upsampled(features, weight, bias)
        # Plane by plane again, as the frame is.
        places = functional.conv2d(features, weight, bias)
        kind = torch.promote_types(places.dtype, torch.float32)
        places = places.to(kind, memory_format=torch.contiguous_format)
        return functional.pixel_shuffle(places, 2)


class DualPathNet(nn.Module):
    """Brightens by a smooth, increasing curve and corrects noise, impulses, blur and JPEG by a bounded residual.

    The tone path sees the whole frame as a small grid and gives a log-gain map g and a log-gamma map c; the denoise
    path sees y, T(y), g and c at half resolution and gives the residual r and its own expected error.
    Result: T(y) + r.

    A frame whose three channels are equal gets an equal residual in all three: grey in, grey out.

    Args:
        spatial_dims: 2; other values are refused.
        in_channels: 3; grey frames may be given as one channel, which is the same as three equal ones, and faster.
        tone_size, tone_widths, tone_blocks, tone_dropout, tone_controls: see `TonePath`.
        gain_range, gamma_range, local_gain, local_gamma: bounds of the maps (natural logarithms), see `TonePath`.
        denoise_widths, denoise_blocks, residual_bound: see `DenoisePath`.

    Example:
        >>> network = DualPathNet()
        >>> split_prediction(network(torch.rand(1, 3, 37, 50))).enhanced.shape
        torch.Size([1, 3, 37, 50])
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 3,
        tone_size: int = 32,
        tone_widths: Sequence[int] = (16, 32, 64),
        tone_blocks: int = 1,
        tone_dropout: float = 0.1,
        tone_controls: int = 8,
        gain_range: Sequence[float] = (-0.5, 3.0),
        gamma_range: Sequence[float] = (-1.3, 0.5),
        local_gain: float = 0.8,
        local_gamma: float = 0.3,
        denoise_widths: Sequence[int] = (24, 40, 64),
        denoise_blocks: Sequence[int] = (1, 2, 3),
        residual_bound: float = 1.0,
    ) -> None:
        super().__init__()
        if spatial_dims != 2 or in_channels != 3:
            raise ValueError(f"DualPathNet works on 2-D frames of 3 channels, not {spatial_dims}-D of {in_channels}")
        gain, gamma = (float(gain_range[0]), float(gain_range[1])), (float(gamma_range[0]), float(gamma_range[1]))
        tone_bounds = (gain, gamma, local_gain, local_gamma)
        self.tone = TonePath(tone_size, tone_widths, tone_blocks, tone_dropout, tone_controls, *tone_bounds)
        self.denoise = DenoisePath(denoise_widths, denoise_blocks, residual_bound)

    def forward(self, y: Tensor) -> Tensor:
        """Enhance frames.

        Args:
            y: (B, 3, H, W) floating, or (B, 1, H, W) for grey; display space: 0 black, 1 white. Any H, W >= 1.

        Returns:
            (B, 9, H, W): enhanced (3), residual (3), log error (1), log gain (1), log gamma (1); see `Prediction`. Of
            grey frames (B, 5, H, W), the first two having one channel.
        """
        maps = spline_resize(self.tone(y), (y.shape[-2], y.shape[-1]))
        return self.apply_tone(y, maps, has_colour(y))

    def apply_tone(self, y: Tensor, maps: Tensor, colour: Tensor) -> Tensor:
        """The second half of `forward`, for a tone decided elsewhere: by the whole frame for a tile, by a clip for all
        its frames.

        Args:
            y: (B, C, H, W), a frame or a part of it whose corner lies on a multiple of `denoise.stride`.
            maps: (B, 2, H, W), g and c of these pixels.
            colour: (B,) bool, False where the whole frame is grey.

        Returns:
            As `forward`.
        """
        features, toned, departure = self.prepare(y, maps)
        finished = self.finish(self.denoise(features), toned, departure, colour)
        return torch.cat([finished[..., : y.shape[-2], : y.shape[-1]], maps], dim=1)

    def prepare(self, y: Tensor, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The part of `apply_tone` before the denoise path.

        Returns:
            Features that `denoise` starts from; T(y), and what it differs by from its local median: (B, C, h, w), where
            h and w are rounded up to multiples of the stride.
        """
        toned = tone_curve(y, maps[:, :1], maps[:, 1:])
        height, width = y.shape[-2:]
        stride = self.denoise.stride
        # Rounded up in this form, because an exporter has to see that the sum is a multiple of the stride.
        right, below = (stride * ((side + stride - 1) // stride) - side for side in (width, height))
        if torch.compiler.is_exporting() or right or below:
            both = functional.pad(torch.cat([y, toned, maps], 1), (0, right, 0, below), mode="replicate")
            y, toned, maps = both.split([y.shape[1], y.shape[1], 2], dim=1)
        departure = toned - local_median(toned)
        return self.denoise.enter(torch.cat([y, toned, departure, maps], 1)), toned, departure

    def finish(self, features: Tensor, toned: Tensor, departure: Tensor, colour: Tensor) -> Tensor:
        """The part of `apply_tone` after the denoise path, from what that gives and from what `prepare` gave: the
        prediction (B, 2 C + 1, h, w) but for its maps."""
        channels = toned.shape[1]
        said = self.denoise.leave(features, grey=channels == 1)
        change, log_error, impulse = said[:, :1], said[:, -2:-1], torch.sigmoid(said[:, -1:])
        if channels == 3:
            chroma = said[:, 1:4]
            chroma = (chroma - chroma.mean(1, keepdim=True)) * colour[:, None, None, None].to(said.dtype)
            change = change + chroma
        bound = self.denoise.residual_bound
        residual = bound * torch.tanh(change / bound) - impulse * departure
        low, high = LOG_ERROR_RANGE
        log_error = low + (high - low) * torch.sigmoid(log_error)
        return torch.cat([toned + residual, residual, log_error], dim=1)
