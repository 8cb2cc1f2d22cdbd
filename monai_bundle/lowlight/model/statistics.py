"""Numbers about a whole frame that tell how it was exposed, whatever it shows.

How dark an image is says little about how dark it should be: a lung and a night look alike. Noise, blur and JPEG say
more, because they came with the exposure and not with the scene. Coefficients of the 8 x 8 discrete cosine transform on
JPEG's own grid carry all three: which of them JPEG rounded to zero, how much energy is left at high frequencies, and
how that differs between dark and bright blocks (photon noise grows with the signal, an amplifier's does not). The
calmest blocks of each brightness say the same of noise alone, whatever texture the others hold. And where the lamp, a
catheter or burned-in text was white, the brightest pixels that are no impulses are the gain itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlight.model.resampling import area_resize

BLOCK = 8
"""Side of JPEG's blocks in pixels (ITU-T T.81, A.3.3)."""

LEVELS = 255.0
"""Grey levels from black to white in which the coefficients are counted: those of an 8-bit file."""

FINENESS = 1024.0
"""Steps per grey level to which coefficients are rounded."""

GRID = 64
"""Side of the grid of means whose quantiles describe the distribution of brightness."""

QUANTILES = 33
BANDS = ((1, 3), (4, 6), (7, 9), (10, 14))
"""First and last sum of the two frequencies in each band whose energy is looked at by brightness."""

BRIGHTNESSES = 4
CALM = (0.1, 0.5)
"""Of the blocks of one brightness, the energy that this share of them does not exceed: noise, and texture with it."""

EXTREMES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5)
"""Shares of the places that are darker (brighter) than the dark (bright) extremes that are looked at."""

LEAST_BRIGHT = 0.02
"""Added to the brightest places before their logarithm is taken."""

PER_SHARE = 1000
"""Shares are counted in thousandths."""

POOL = 4
"""Side in pixels of the places for extremes."""

LARGEST = 4.0
"""Bound of a standardised statistic, in standard deviations: an odd frame must not throw the tone off."""


def cosine_basis() -> Tensor:
    """Orthonormal two-dimensional cosines (64, 1, 8, 8): entry 8 u + v has frequencies u down and v across."""
    positions, frequencies = torch.arange(BLOCK)[None, :], torch.arange(BLOCK)[:, None]
    rows = torch.cos(math.pi * (2 * positions + 1) * frequencies / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    rows[0] = math.sqrt(1 / BLOCK)
    return torch.einsum("ux,vy->uvxy", rows, rows).reshape(BLOCK * BLOCK, 1, BLOCK, BLOCK)


def band_weights() -> Tensor:
    """Weights (bands, 63) that average the squares of a block's coefficients but the first over each of `BANDS`."""
    positions = torch.arange(1, BLOCK * BLOCK)
    both = positions // BLOCK + positions % BLOCK
    within = torch.stack([(both >= first) & (both <= last) for first, last in BANDS]).float()
    return within / within.sum(1, keepdim=True)


class FrameStatistics(nn.Module):
    """Statistics of frames, and what training has seen of them.

    `measure` takes them from frames, which needs all pixels and no weights: they can be kept and used again. Calling
    the module standardises such measurements (B, `count`) by the mean and spread of those seen in training.

    Mean and spread are learned from the first batches and used in training as well as after it, so that an image's
    statistics never depend on its neighbours in the batch, as they do in batch normalisation (Ioffe and Szegedy 2015).

    Args:
        memory: how many batches the mean and spread are learned from; then they stay, since weights that were trained
            with them would be off with others.
    """

    count = 4 * (BLOCK * BLOCK - 1) + 4 + QUANTILES + len(BANDS) * BRIGHTNESSES * len(CALM) + 6 * len(EXTREMES)
    basis: Tensor
    bands: Tensor
    mean: Tensor
    spread: Tensor
    batches: Tensor

    def __init__(self, memory: int = 1000) -> None:
        super().__init__()
        self.memory = memory
        self.register_buffer("basis", cosine_basis() * LEVELS, persistent=False)
        self.register_buffer("bands", band_weights(), persistent=False)
        self.register_buffer("mean", torch.zeros(self.count))
        self.register_buffer("spread", torch.ones(self.count))
        self.register_buffer("batches", torch.zeros(()))

    @torch.no_grad()
    def measure(self, y: Tensor) -> Tensor:
        """Raw statistics (B, `count`), float32, of frames (B, C, H, W) of any size with values in [0, 1].

        C is 3, or 1 for grey, which is measured as three equal channels.
        """
        with torch.autocast(y.device.type, enabled=False):
            y = y.float()
            return torch.cat([self._blocks(y), self._brightness(y), self._extremes(y)], dim=1)

    @torch.no_grad()
    def forward(self, measured: Tensor) -> Tensor:
        """Measurements (B, `count`) in standard deviations from the mean, within +-`LARGEST`; in training they count.

        Nothing here is learned by gradient: the statistics of a frame are given.
        """
        with torch.autocast(measured.device.type, enabled=False):
            if self.training:
                self._remember(measured)
            return ((measured - self.mean) / (self.spread + 1e-2)).clamp(-LARGEST, LARGEST)

    @staticmethod
    def brightest(measured: Tensor) -> Tensor:
        """The brightest place of each frame that is no impulse, in its brightest channel, 0 to 1: (B, 1), of
        measurements (B, `count`)."""
        extremes = measured[:, -6 * len(EXTREMES) :].unflatten(1, (3, 2, len(EXTREMES)))
        return torch.exp(extremes[:, :, 0, 0]).amax(1, keepdim=True) - LEAST_BRIGHT

    @torch.no_grad()
    def learn(self, measured: Tensor) -> None:
        """Take mean and spread from measurements (n, `count`) of all training frames at once, forgetting others."""
        self.mean.copy_(measured.mean(0))
        self.spread.copy_(measured.std(0, correction=0))
        self.batches.fill_(self.memory)

    def _remember(self, measured: Tensor) -> None:
        if self.batches >= self.memory:
            return
        self.batches += 1
        share = 1 / self.batches
        deviation = (measured - self.mean).square().mean(0)
        self.mean.lerp_(measured.mean(0), share)
        self.spread.copy_(torch.lerp(self.spread.square(), deviation, share).sqrt())

    def _blocks(self, y: Tensor) -> Tensor:
        # JPEG rounds the luma of Rec. 601 (ITU-T T.871), so that is where its zeros are.
        luma = y if y.shape[1] == 1 else 0.299 * y[:, :1] + 0.587 * y[:, 1:2] + 0.114 * y[:, 2:]
        coefficients = functional.conv2d(_at_least(luma, BLOCK), self.basis, stride=BLOCK).flatten(2)
        # Of 8-bit images many coefficients lie on a limit exactly; the last digit, which differs from one machine or
        # engine to the next, must not decide on which side.
        coefficients = torch.round(coefficients * FINENESS) / FINENESS
        level, detail = coefficients[:, :1] / (BLOCK * LEVELS), coefficients[:, 1:]
        energy = torch.log(detail.square() + 0.25) / 8
        zero = (detail.abs() < 1).to(y.dtype)
        # A black surround belongs to no exposure.
        lit = (level > 0.01).to(y.dtype)
        middle = _average(level, lit)[..., None]
        dark, bright = lit * (level < middle).to(y.dtype), lit * (level >= middle).to(y.dtype)
        parts = [_average(values, part) for values in (energy, zero) for part in (dark, bright)]
        parts += [_average(level, dark), _average(level, bright), lit.mean(-1), dark.mean(-1)]
        return torch.cat([*parts, self._calm(level, detail)], dim=1)

    def _calm(self, level: Tensor, detail: Tensor) -> Tensor:
        """How much energy each band has in the calmest and in the typical blocks of each brightness."""
        energies = self.bands @ detail.square()
        # Fewer blocks than brightnesses: the same block stands for several.
        blocks = level.shape[-1]
        count = torch.sym_max(blocks, BRIGHTNESSES)
        places = torch.arange(count, device=level.device) * blocks // count
        # Blocks of one brightness stay in their order, in every engine: the place breaks the tie.
        steps = torch.round(level[:, 0] * (BLOCK * LEVELS * FINENESS)).double()
        order = (steps * blocks + torch.arange(blocks, device=level.device)).argsort(dim=-1)[:, places]
        size = count // BRIGHTNESSES
        grouped = energies.gather(2, order[:, None].expand(-1, len(BANDS), -1))[..., : BRIGHTNESSES * size]
        calm = ranked(grouped.unflatten(-1, (BRIGHTNESSES, size)), CALM, largest=False)
        return (torch.log(calm + 0.05) / 4).flatten(1)

    def _extremes(self, y: Tensor) -> Tensor:
        """Darkest and brightest places of each channel, single pixels left out: they may be impulses."""
        # Channel by channel: of a large frame, every copy counts.
        channels = y.split(1, dim=1)
        bright = ranked(torch.cat([self._bright(channel) for channel in channels], dim=1), EXTREMES, largest=True)
        dark = 1 - ranked(torch.cat([self._bright(1 - channel) for channel in channels], dim=1), EXTREMES, largest=True)
        extremes = torch.cat([torch.log(bright + LEAST_BRIGHT), torch.sqrt(dark.clamp(min=0) + 1e-4)], dim=-1)
        return extremes.expand(-1, 3, -1).flatten(1)

    @staticmethod
    def _bright(image: Tensor) -> Tensor:
        """The brightest pixel of each place of (B, 1, H, W) that is no impulse: (B, 1, places)."""
        image = _at_least(image, POOL + 2)
        # Eroded by 3 x 3 (Serra 1982), which takes away whatever is brighter than its surroundings and smaller.
        eroded = -_largest(-image, 3, step=1)
        return _largest(eroded, POOL, step=POOL).flatten(2)

    def _brightness(self, y: Tensor) -> Tensor:
        means = area_resize(y if y.shape[1] == 1 else y.mean(1, keepdim=True), (GRID, GRID)).flatten(1)
        ordered = means.sort(dim=1).values
        places = torch.linspace(0, GRID * GRID - 1, QUANTILES, device=y.device).round().long()
        return torch.sqrt(ordered[:, places].clamp(min=0) + 1e-4)


def _at_least(image: Tensor, side: int) -> Tensor:
    """The image (B, C, H, W) with its last row and column repeated until it has `side` of each."""
    missing = [torch.sym_max(0, side - length) for length in (image.shape[-1], image.shape[-2])]
    return functional.pad(image, (0, missing[0], 0, missing[1]), mode="replicate")


def _largest(image: Tensor, side: int, step: int) -> Tensor:
    """The largest of each square of so many pixels of (B, 1, H, W), all `step` pixels. Not for gradients."""
    if image.device.type != "cpu" or torch.compiler.is_exporting():
        return functional.max_pool2d(image, side, step)
    # On a processor, torch pools one channel in one thread and remembers where it found what: shifted copies of the
    # image give the same in a fraction of the time.
    for axis in (-2, -1):
        places = (image.shape[axis] - side) // step + 1
        index: list[slice] = [slice(None)] * 4
        shifted = []
        for first in range(side):
            index[axis] = slice(first, first + (places - 1) * step + 1, step)
            shifted.append(image[tuple(index)])
        image = shifted[0]
        for other in shifted[1:]:
            image = torch.maximum(image, other)
    return image


def ranked(values: Tensor, shares: Sequence[float], largest: bool) -> Tensor:
    """Of values (..., n), those that the given shares of them exceed (`largest`) or stay below: (..., len(shares)).

    Shares rise and are half at most. From the last to the first, each looks only at what the one before has left over:
    a full sort takes several times as long.
    """
    found = []
    count = values.shape[-1]
    for share in reversed(shares):
        # In whole numbers, so that an exported graph works for every n.
        place = count * round(share * PER_SHARE) // PER_SHARE
        values = values.topk(place + 1, dim=-1, largest=largest, sorted=False).values
        found.append(values.amin(-1) if largest else values.amax(-1))
    return torch.stack(found[::-1], dim=-1)


def _average(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of (B, C, n) over n with weights (B, 1, n); 0 where there is no weight."""
    return (values * weights).sum(-1) / (weights.sum(-1) + 1e-3)
