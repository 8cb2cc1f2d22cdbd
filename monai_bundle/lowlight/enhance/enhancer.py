"""The engine: loads the bundle once and enhances arrays."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.bundle import DEFAULT_SIZE, bundle_root
from lowlight.enhance.judging import Judgement, Subject, judge_beforehand
from lowlight.enhance.loading import load
from lowlight.enhance.pixels import check_image, resolve_range, to_channels
from lowlight.enhance.result import FramePrediction, Result
from lowlight.enhance.settings import Settings
from lowlight.enhance.streaming import Frame, Survey, stream
from lowlight.enhance.tiling import Progress
from lowlight.enhance.watching import Watch
from lowlight.errors import InputError


class Enhancer:
    """Enhances images with the network, weights, inferer and default strengths that `inference.yaml` names.

    Args:
        bundle: folder of the bundle; None: the one that ships with this package. A bundle's configuration can name
            code to run: open only bundles that you trust.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", ...
        engine: "onnx" (ONNX Runtime, on the processor), "torch", or "auto": on a processor ONNX Runtime, if the bundle
            has a model.onnx of its weights, else torch. Their results differ by less than 1e-4 of the range.
            "torch-bfloat16" computes the denoise path in 16 bits, on devices that have units for it: about half of the
            time where that was measured (AMX), for results that differ by a grey level in up to a third of the pixels.
        frugal: run in as little memory as possible, in small tiles, which takes about twice the time.
        max_memory: bytes that a process which does nothing else may take, on a processor: tiles are as small as it asks
            for, and images that are too large even so are refused. None: no matter.
        size: of the network: "fast", "default", or "best", which takes about seven times as long as the default; one
            that the bundle's inference.yaml has.
        settings: the user's, whose default strengths lie over those of the bundle; None: those that are kept for this
            user (`lowlight.enhance.settings`), if there are any.

    Attributes:
        engine: what runs the network. model: whose weights. strengths: defaults per modality. outdated: modalities
            whose settings were found with other weights and do not count.

    Raises:
        ValueError: no such engine; a bound of memory that is no number of bytes.
        InputError: the user's settings are damaged.
        BundleError: configuration or weights are missing or do not belong together; no such device or size.
        DependencyError: the package that the engine needs is not installed.

    Example:
        >>> import numpy as np
        >>> result = Enhancer(device="cpu")(np.full((32, 48), 20, np.uint8))
        >>> result.image.shape, result.image.dtype
        ((32, 48), dtype('uint8'))
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        device: str = "auto",
        engine: str = "auto",
        frugal: bool = False,
        settings: Settings | None = None,
        max_memory: int | None = None,
        size: str = DEFAULT_SIZE,
    ) -> None:
        settings = Settings.read() if settings is None else settings
        loaded = load(Path(bundle) if bundle is not None else bundle_root(), engine, device, frugal, max_memory, size)
        self.engine, self.model = loaded.engine, loaded.model
        self.strengths, self.outdated = settings.over(loaded.strengths, self.model.weights_sha256)

    def __call__(
        self,
        image: NDArray[Any],
        brightness: float | None = None,
        denoise: float | None = None,
        modality: str | None = None,
        value_range: tuple[float, float] | None = None,
        mask: NDArray[np.bool_] | None = None,
        frames: bool = False,
        progress: Progress | None = None,
        force: bool = False,
        valid: NDArray[np.bool_] | None = None,
        tables: Mapping[int, Sequence[int]] | None = None,
        watch: Watch | None = None,
        tone: NDArray[np.float32] | None = None,
    ) -> Result:
        """Enhance one image, or frames that belong together, unless it needs nothing.

        An image that is judged undamaged (`lowlight.artifacts`) comes back as it is, bit for bit, and the network does
        not run: see `Result.undamaged`. Who names a strength wants it applied: then nothing is judged beforehand. An
        image without a valid pixel comes back as it is whatever is asked for: see `Result.blank`.

        Args:
            image: (H, W) or (H, W, 3) of any integer or float dtype; with `frames` (F, H, W) or (F, H, W, 3).
            brightness: strength b in [0, 1.5]; None: the default for the modality.
            denoise: strength n in [0, 1]; None: the default for the modality.
            modality: xray, dermatology, endoscopy, ultrasound, fundus; None or another name: the general default.
            value_range: (black, white) in units of the pixels; None: the dtype's range, (0, 1) for floats.
            mask: bool (H, W), True where the image may change; None: everywhere. The exposure is judged on all of it.
            frames: the first axis is time or slices; the tone is decided once for all of them.
            progress: called with (parts done, parts in all): frames, or tiles of a single one.
            force: enhance, whatever the image is judged to be.
            valid: bool, shape of `image` without its channels, False where a pixel is padding and not to be judged;
                None: all but a uniform border.
            tables: quantisation tables of the JPEG file that the image comes from (Pillow's ``Image.quantization``):
                they tell its quality where the pixels no longer do.
            watch: hears more than `progress`, in its place, and can end the call from another thread.
            tone: what `decide_tone` decided for images of this size that this one belongs to; None: decide it anew.
                With `frames` also one for each frame, as `lowlight.enhance.streaming` averages them.

        Raises:
            InputError: NaN or infinite values, a shape or dtype that is none of the above, an undeclared float range.
            ValueError: a strength outside its range.
            StoppedError: by `watch`. MemoryError: there is not enough memory.
        """
        watch = watch or Watch.of_progress(progress)
        started = time.perf_counter()
        if not hasattr(image, "dtype"):
            raise InputError("image", f"a {type(image).__name__} has no depth", "give a NumPy array of a stated dtype")
        image = np.asarray(image)
        check_image(image, frames)
        black_white = resolve_range(image, value_range)
        strength = self.strength(modality, brightness, denoise)
        mask = None if mask is None else np.asarray(mask, bool)
        if mask is not None and mask.shape != (image.shape[1:3] if frames else image.shape[:2]):
            raise InputError("mask", f"its shape is {mask.shape}", "it must have the height and width of the image")
        if valid is not None and valid.shape != image.shape[: 3 if frames else 2]:
            raise InputError("valid", f"its shape is {valid.shape}", "it must be the image's, without channels")
        if tone is not None:
            self._check_tone(tone, image.shape[1:3] if frames else image.shape[:2], len(image) if frames else 1)
        height, width, channels = (*image.shape[1:], 1)[:3] if frames else (*image.shape, 1)[:3]
        self.engine.check_size((len(image) if frames else 1, channels, height, width))
        subject = Subject(image, black_white, frames, valid, tables)
        judged = judge_beforehand(subject, brightness, denoise, force, watch)
        undamaged = judged is not None and judged.undamaged
        if undamaged or subject.blank:
            strength = {"brightness": 0.0, "denoise": 0.0}
            predictions = unchanged_frames(image, frames)
            watch.tell("enhancing", len(predictions), len(predictions))
        else:
            predictions = self.engine.predict(frames_to_display(image, black_white, frames), watch, tone)
        return Result(
            source=image,
            value_range=black_white,
            brightness=strength["brightness"],
            denoise=strength["denoise"],
            frames=frames,
            predictions=predictions,
            mask=mask,
            judged=judged,
            valid=valid,
            tables=tables,
            undamaged=undamaged,
            blank=subject.blank,
            derivation=(
                self.model.unchanged(undamaged) if undamaged or subject.blank else self.model.derivation(**strength)
            ),
            facts={
                "modality": modality,
                "expected_error": None if undamaged or subject.blank else expected_error(predictions),
                **self._known(),
                "seconds": round(time.perf_counter() - started, 3),
            },
        )

    def decide_tone(
        self, image: NDArray[Any], value_range: tuple[float, float] | None = None, frames: bool = False
    ) -> NDArray[np.float32]:
        """The tone of an image, or of frames that belong together, for those that join them later.

        Args:
            image, value_range, frames: as for a call.

        Returns:
            Float32 array in the engine's own form: it fits this engine, and images of this size.

        Raises:
            InputError: as for a call.
        """
        image = np.asarray(image)
        check_image(image, frames)
        return self.engine.decide_tone(frames_to_display(image, resolve_range(image, value_range), frames))

    def stream(
        self,
        frames: Iterable[Frame | NDArray[Any]],
        rate: float = 25.0,
        brightness: float | None = None,
        denoise: float | None = None,
        modality: str | None = None,
        survey: Survey | None = None,
        batch: int = 1,
        watch: Watch | None = None,
    ) -> Iterator[Result]:
        """Enhance frames as they come, of a film or a camera, with a tone that does not flicker.

        The tone follows within about a second what really changes in a scene, and begins anew at a cut. Each result is
        given out before the next frame is asked for, and nothing of earlier ones is held but their mean tone.

        Args:
            frames: arrays (H, W) or (H, W, 3) of any integer or float dtype, in the order in which they are shown; or
                `Frame`s that say when, and what is black and white.
            rate: frames a second, of plain arrays.
            brightness, denoise, modality: as for a call.
            survey: what `lowlight.enhance.streaming.survey` found in the same frames: scenes that it judged undamaged
                come back as they are. None: a camera cannot be looked at beforehand, and every frame is enhanced.
            batch: frames that the network sees at once: more of them keep a GPU busy, and each waits for the others.
                On a processor it is no faster.
            watch: can end the stream from another thread.

        Returns:
            One `Result` a frame, in order; `facts["scene"]` is the number of its scene.

        Raises:
            InputError: as for a call, by the frame that it is about. ValueError: a strength or batch out of range.

        Example:
            >>> import numpy as np
            >>> film = (np.full((32, 48), 20 + number, np.uint8) for number in range(3))
            >>> [result.facts["scene"] for result in Enhancer(device="cpu").stream(film)]
            [0, 0, 0]
        """
        strength = self.strength(modality, brightness, denoise)
        if batch < 1 or rate <= 0:
            raise ValueError(f"batch and rate must be positive, got {batch} and {rate}")
        return stream(self, frames, rate, strength, modality, survey, batch, watch or Watch())

    def result_of(
        self,
        image: NDArray[Any],
        value_range: tuple[float, float],
        strength: dict[str, float],
        prediction: FramePrediction,
        facts: Mapping[str, Any],
    ) -> Result:
        """The result for an image (H, W) or (H, W, 3) from what the network said of it.

        Args:
            image, value_range: as for a call, the range resolved. strength: of `strength`.
            facts: what belongs into the report besides what is known here.
        """
        return Result(
            source=image,
            value_range=value_range,
            brightness=strength["brightness"],
            denoise=strength["denoise"],
            frames=False,
            predictions=[prediction],
            derivation=self.model.derivation(**strength),
            facts={**self._known(), "expected_error": expected_error([prediction]), **facts},
        )

    def _known(self) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "weights_sha256": self.model.weights_sha256,
            "size": self.model.size,
            "engine": self.engine.name,
            "device": self.engine.device,
        }

    def left_alone(
        self, image: NDArray[Any], value_range: tuple[float, float], judged: Judgement | None = None
    ) -> Result:
        """The result for an image (H, W) or (H, W, 3) that was judged undamaged: itself."""
        return Result(
            source=image,
            value_range=value_range,
            brightness=0.0,
            denoise=0.0,
            frames=False,
            predictions=unchanged_frames(image, frames=False),
            judged=judged,
            undamaged=True,
            derivation=self.model.unchanged(undamaged=True),
            facts={"modality": None, "expected_error": None, **self._known(), "seconds": 0.0},
        )

    def _check_tone(self, tone: NDArray[np.float32], size: tuple[int, ...], count: int) -> None:
        one = self.engine.tone_shape(*size)
        shapes = (one, (count, *one[1:]))
        if tone.shape not in shapes or tone.dtype != np.float32 or not np.isfinite(tone).all():
            raise InputError(
                "tone",
                "was decided by another engine, for images of another size, or is damaged",
                "decide it with this engine and for images of this size",
            )

    def strength(self, modality: str | None, brightness: float | None, denoise: float | None) -> dict[str, float]:
        """The strengths that a call with these arguments uses: given ones checked, missing ones from the defaults."""
        return choose_strengths(self.strengths, modality, brightness, denoise)


def choose_strengths(
    defaults: dict[str, dict[str, float]], modality: str | None, brightness: float | None, denoise: float | None
) -> dict[str, float]:
    """Given strengths checked, missing ones from the defaults of the modality (or from "default").

    Raises:
        ValueError: a strength outside its range.
    """
    default = defaults.get(modality or "", defaults["default"])
    chosen = {
        "brightness": default["brightness"] if brightness is None else float(brightness),
        "denoise": default["denoise"] if denoise is None else float(denoise),
    }
    if not 0 <= chosen["brightness"] <= 1.5:
        raise ValueError(f"brightness must lie in [0, 1.5], got {brightness}")
    if not 0 <= chosen["denoise"] <= 1:
        raise ValueError(f"denoise must lie in [0, 1], got {denoise}")
    return chosen


def frames_to_display(image: NDArray[Any], value_range: tuple[float, float], frames: bool) -> NDArray[np.float32]:
    """The network's input for an image or its frames: float32 (frames, C, H, W), black 0, white 1; of grey C is 1."""
    return np.stack([to_channels(frame, value_range) for frame in (image if frames else image[None])])


def unchanged_frames(image: NDArray[Any], frames: bool) -> list[FramePrediction]:
    """One `FramePrediction` a frame that changes nothing, without a network."""
    shape = image.shape[1:3] if frames else image.shape[:2]
    return [FramePrediction.of_unchanged(*shape)] * (len(image) if frames else 1)


def expected_error(predictions: list[FramePrediction]) -> float:
    """Mean over all pixels of the root-mean-square error that the network expects at full strength, of range."""
    return float(np.mean([np.exp(prediction.log_error).mean() for prediction in predictions]))
