"""Numbers as lines and areas: what the inline SVG of a page is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 64
WIDTH, HEIGHT = 256, 72
"""The drawing's own units; a page scales it."""


@dataclass(frozen=True)
class Histogram:
    """How often each brightness occurs, as an SVG path.

    Attributes:
        path: closed area in `WIDTH` x `HEIGHT` units, black left and white right. Heights go with the square root of
            the share, so that what is rare can be seen beside what is common.
        text: the same in words.
    """

    path: str
    text: str


def histogram(luminance: NDArray[np.floating[Any]], valid: NDArray[np.bool_] | None = None) -> Histogram:
    """The histogram of an image in display space.

    Args:
        luminance: (H, W), 0 black and 1 white; what lies outside counts at the ends.
        valid: bool (H, W), False where a pixel does not count; None: all count.
    """
    pixels = luminance.ravel() if valid is None else luminance[valid]
    if not pixels.size:
        return Histogram("", "no pixel to count")
    counts = np.bincount((np.clip(pixels, 0, 1) * (BINS - 1e-3)).astype(np.int64), minlength=BINS)
    heights = np.sqrt(counts / counts.max()) * (HEIGHT - 2)
    step = WIDTH / BINS
    corners = "".join(f"V{HEIGHT - height:.1f}H{step * (index + 1):g}" for index, height in enumerate(heights))
    dark, bright = float(np.mean(pixels < 0.25)), float(np.mean(pixels > 0.75))
    text = f"{dark:.0%} of the pixels in the darkest quarter of the range, {bright:.0%} in the brightest"
    return Histogram(f"M0 {HEIGHT}{corners}V{HEIGHT}Z", text)
