"""What an enhancement gives back: the image, what was changed, how sure it is, and live strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.pixels import from_display, to_display
from lowlight.model import tone


@dataclass(frozen=True)
class FramePrediction:
    """The network's answer for one frame, enough to blend without the network.

    Attributes:
        residual: r, float32 (3, H, W), display space. log_error: float32 (H, W). log_gain, log_gamma: float32 (H, W).
    """

    residual: NDArray[np.float32]
    log_error: NDArray[np.float32]
    log_gain: NDArray[np.float32]
    log_gamma: NDArray[np.float32]


@dataclass(frozen=True)
class Result:
    """An enhanced image and how it came about. The source is referred to, never changed.

    Attributes:
        source: the input: (H, W) or (H, W, 3), with `frames` (F, H, W) or (F, H, W, 3); any integer or float dtype.
        value_range: (black, white) in units of the source.
        brightness, denoise: the strengths of `image`, in [0, 1.5] and [0, 1].
        frames: whether the first axis is time or slices.
        predictions: one a frame. mask: (H, W), True where the image may change; None: everywhere.
        image: enhanced, same shape, dtype and units as the source; integers rounded and clipped to the value range.
        derivation: one line that says what made it, for the metadata of a derived file.
        report: JSON-serialisable facts: strengths, value range, exposure before and after, model, device, seconds.
    """

    source: NDArray[Any]
    value_range: tuple[float, float]
    brightness: float
    denoise: float
    frames: bool
    predictions: Sequence[FramePrediction] = field(repr=False)
    mask: NDArray[np.bool_] | None = None
    derivation: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    image: NDArray[Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", self.blend(self.brightness, self.denoise))

    def blend(self, brightness: float | None = None, denoise: float | None = None) -> NDArray[Any]:
        """The image for other strengths, without running the network.

        Args:
            brightness: b in [0, 1.5]; 0 keeps the exposure, 1 is the network's guess. None: as in `image`.
            denoise: n in [0, 1]; 0 keeps noise and detail. None: as in `image`.

        Returns:
            Array of the source's shape and dtype. With both 0 it equals the source bit for bit; so does a frame that
            holds one value only, at any strengths.

        Raises:
            ValueError: a strength outside its range.
        """
        b = self.brightness if brightness is None else float(brightness)
        n = self.denoise if denoise is None else float(denoise)
        if b == 0 and n == 0:
            return self.source.copy()
        sources = self.source if self.frames else self.source[None]
        blended = np.empty_like(sources)
        for target, source, prediction in zip(blended, sources, self.predictions, strict=True):
            if source.min() == source.max():
                # One value everywhere is no scene: whatever a network draws into it would be invented.
                target[...] = source
                continue
            y = to_display(source, self.value_range)
            display = tone.blend(y, prediction.residual, prediction.log_gain, prediction.log_gamma, b, n)
            target[...] = from_display(np.asarray(display), source, self.value_range)
        if self.mask is not None:
            blended[:, ~self.mask] = sources[:, ~self.mask]
        return blended if self.frames else blended[0]

    @property
    def gain(self) -> NDArray[np.float32]:
        """Factor by which the tone curve lifts mid grey (0.5 after the curve) at each pixel: (H, W), frames first.

        1: unchanged; 4: what was an eighth of white is now half of it.
        """
        lifted = [
            tone.inverse_tone_curve(np.full_like(p.log_gain, 0.5), p.log_gain, p.log_gamma) for p in self.predictions
        ]
        return self._stack([(0.5 / dark).astype(np.float32) for dark in lifted])

    @property
    def residual(self) -> NDArray[np.float32]:
        """Correction of the denoise path in display space (1 = black to white), in the shape of the source."""
        grey = self.source.ndim == (3 if self.frames else 2)
        return self._stack([p.residual[0] if grey else np.moveaxis(p.residual, 0, -1) for p in self.predictions])

    @property
    def uncertainty(self) -> NDArray[np.float32]:
        """Expected root-mean-square error of the full-strength result in display space: (H, W), frames first."""
        return self._stack([np.exp(p.log_error) for p in self.predictions])

    def _stack(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.stack(parts) if self.frames else parts[0]
