"""What an enhancement gives back: the image, what was changed, how sure it is, and live strengths."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.blending import BlendMemory, FramePrediction, blend_frame, denoising_of
from lowlight.enhance.judging import Judgement, Subject, judge
from lowlight.model import tone


@dataclass(frozen=True)
class Result:
    """An enhanced image and how it came about. The source is referred to, never changed.

    Attributes:
        source: the input: (H, W) or (H, W, 3), with `frames` (F, H, W) or (F, H, W, 3); any integer or float dtype.
        value_range: (black, white) in units of the source.
        brightness, denoise: the strengths of `image`, in [0, 1.5] and [0, 1]; both 0 if it is `undamaged`.
        frames: whether the first axis is time or slices.
        predictions: one a frame. mask: (H, W), True where the image may change; None: everywhere.
        judged: how damaged the source is; None: nobody asked yet, and reading the report finds it out.
        undamaged: the source was judged undamaged and left alone: `image` equals it bit for bit, at any strengths of
            `blend`; `gain` is 1, `residual` 0, `uncertainty` NaN, because no network saw it.
        blank: no pixel is valid, so the source was left alone in the same way, without being judged good.
        valid, tables: what judging needs beside the pixels, as given to `Enhancer`.
        derivation: one line that says what made it, for the metadata of a derived file.
        facts: what else belongs into the report, JSON-serialisable: model, device, seconds, ...
        memory: makes the next blend faster, see `slimmed`; None: nothing is remembered.
        image: enhanced, same shape, dtype and units as the source; integers rounded and clipped to the value range.
    """

    source: NDArray[Any]
    value_range: tuple[float, float]
    brightness: float
    denoise: float
    frames: bool
    predictions: Sequence[FramePrediction] = field(repr=False)
    mask: NDArray[np.bool_] | None = None
    judged: Judgement | None = None
    undamaged: bool = False
    blank: bool = False
    valid: NDArray[np.bool_] | None = field(default=None, repr=False)
    tables: Mapping[int, Sequence[int]] | None = field(default=None, repr=False)
    derivation: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    image: NDArray[Any] = field(init=False, repr=False)
    memory: BlendMemory | None = field(default=None, init=False, repr=False, compare=False)

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
        if self.unchanged or (b == 0 and n == 0):
            return self.source.copy()
        sources = self.source if self.frames else self.source[None]
        blended = np.empty_like(sources)
        for target, source, prediction in zip(blended, sources, self.predictions, strict=True):
            blend_frame(source, prediction, self.value_range, b, n, target, self.memory)
        if self.mask is not None:
            blended[:, ~self.mask] = sources[:, ~self.mask]
        return blended if self.frames else blended[0]

    def frame(self, number: int) -> Result:
        """One frame of several as an image by itself, with the tone that it has among them."""
        valid = None if self.valid is None else self.valid[number]
        source, predictions, image = self.source[number], [self.predictions[number]], self.image[number]
        return self._with(source=source, predictions=predictions, image=image, valid=valid, frames=False, judged=None)

    def told_of(self, **facts: Any) -> Result:
        """The same with more `facts`."""
        return self._with(facts={**self.facts, **facts})

    def slimmed(self) -> Result:
        """The same, to be kept for long and blended often: without what nothing needs (`FramePrediction.kept`), with
        what the last blend computed (`BlendMemory`), which its frames share."""
        grey = self.source.ndim == (3 if self.frames else 2)
        # Frames that were left alone share one prediction, and go on to do so.
        slim = {id(prediction): prediction for prediction in self.predictions}
        slim = {key: prediction.kept(grey) for key, prediction in slim.items()}
        predictions = [slim[id(prediction)] for prediction in self.predictions]
        return self._with(predictions=predictions, memory=BlendMemory())

    def _with(self, **changed: Any) -> Result:
        """A copy that does not blend its image anew, as `dataclasses.replace` would."""
        result = copy.copy(self)
        result.__dict__.pop("report", None)
        for name, value in changed.items():
            object.__setattr__(result, name, value)
        return result

    @property
    def unchanged(self) -> bool:
        """Whether the source was left alone: `undamaged` or `blank`."""
        return self.undamaged or self.blank

    @property
    def why_unchanged(self) -> str:
        """Why the source was left alone, for people; empty where it was enhanced."""
        if not self.unchanged:
            return ""
        return "judged undamaged, left unchanged" if self.undamaged else "no valid pixel, left unchanged"

    @cached_property
    def report(self) -> dict[str, Any]:
        """JSON-serialisable: what was found before and after, and how the one became the other.

        "undamaged": the image was judged undamaged and left alone; "unchanged": it was left alone, for that reason or
        because it holds no valid pixel. "before" and "after": `ArtifactReport.as_dict` of
        the source and of `image`, of a series of the frame "frame"; "brightness", "denoise", "value_range", and all
        `facts`. Judging takes time (a fifth to a half of enhancing), so it is done when this is first read.
        """
        subject = Subject(self.source, self.value_range, self.frames, self.valid, self.tables)
        judged = self.judged or judge(subject)
        before = judged.artifacts.as_dict()
        if np.array_equal(self.image, self.source):
            after = before
        else:
            after = subject.changed_to(self.image).examine(judged.frame).as_dict()
        return {
            "undamaged": self.undamaged,
            "unchanged": self.unchanged,
            "brightness": self.brightness,
            "denoise": self.denoise,
            "value_range": list(self.value_range),
            "before": before,
            "after": after,
            **({"frame": judged.frame} if self.frames else {}),
            **self.facts,
        }

    @property
    def gain(self) -> NDArray[np.float32]:
        """Factor by which the tone curve lifts mid grey (0.5 after the curve) at each pixel: (H, W), frames first.

        1: unchanged; 4: what was an eighth of white is now half of it.
        """
        return self.gain_at(1.0)

    def gain_at(self, brightness: float) -> NDArray[np.float32]:
        """`gain` of the curve that `blend` applies at this brightness, b in [0, 1.5]; at 0 it is 1 everywhere."""
        b = np.float32(brightness)
        lifted = [
            tone.inverse_tone_curve(np.full_like(p.log_gain, 0.5), b * p.log_gain, b * p.log_gamma)
            for p in self.predictions
        ]
        return self._stack([(0.5 / dark).astype(np.float32) for dark in lifted])

    @property
    def residual(self) -> NDArray[np.float32]:
        """Correction of the denoise path in display space (1 = black to white), in the shape of the source."""
        grey = self.source.ndim == (3 if self.frames else 2)
        return self._stack([p.residual[0] if grey else np.moveaxis(p.residual, 0, -1) for p in self.predictions])

    def residual_at(self, brightness: float, denoise: float) -> NDArray[np.float32]:
        """What the denoise path adds to the image that `blend` gives at these strengths, as `residual` is for both 1:
        the difference to the same brightness without denoising, in display space, not clipped."""
        grey = self.source.ndim == (3 if self.frames else 2)
        sources = self.source if self.frames else self.source[None]
        parts = [
            denoising_of(source, prediction, self.value_range, brightness, denoise)
            for source, prediction in zip(sources, self.predictions, strict=True)
        ]
        return self._stack([part[0] if grey else np.moveaxis(part, 0, -1) for part in parts])

    @property
    def uncertainty(self) -> NDArray[np.float32]:
        """Expected root-mean-square error of the full-strength result in display space: (H, W), frames first."""
        return self._stack([np.exp(p.log_error) for p in self.predictions])

    def _stack(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.stack(parts) if self.frames else parts[0]
