"""From a bundle's folder to what enhances: an engine, default strengths, identity."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lowlight.bundle import BFLOAT16, DEFAULT_SIZE
from lowlight.enhance.definition import Definition
from lowlight.enhance.identity import ModelIdentity
from lowlight.enhance.onnx_engine import OnnxEngine
from lowlight.enhance.result import FramePrediction
from lowlight.enhance.views import ManyViews
from lowlight.enhance.watching import Watch
from lowlight.errors import BundleError, DependencyError, LowLightError

if TYPE_CHECKING:
    from lowlight.enhance.torch_engine import TorchEngine

ENGINES = ("auto", "onnx", "torch", BFLOAT16)
IN_TORCH = ("torch", BFLOAT16)
ON_PROCESSOR = ("auto", "cpu")
"""Devices that ONNX Runtime serves here."""

CUDA_DRIVER = {"win32": "nvcuda.dll"}
"""Name of the library that comes with the driver of a GPU; elsewhere `libcuda.so.1`."""


class Engine(Protocol):
    """What runs the network.

    Attributes:
        name: "onnx", "torch" or "torch-bfloat16". device: as torch names it.
    """

    name: str
    device: str

    def decide_tone(self, display: NDArray[np.float32]) -> NDArray[np.float32]:
        """The one tone of frames (F, C, H, W) that belong together, in this engine's own form: for `predict`.

        The last two axes are the frame's: a tone can be turned and mirrored as its frame can.
        """

    def decide_tones(self, display: NDArray[np.float32]) -> NDArray[np.float32]:
        """The tone that each of these frames (F, C, H, W) would get for itself, one behind the other (F, ...).

        Tones can be averaged: the mean, weighted or not, is that of their log-gain and log-gamma at every pixel, and
        keeps within their bounds.
        """

    def tone_shape(self, height: int, width: int) -> tuple[int, ...]:
        """The shape that a tone for frames of this size has in this engine's form."""

    def check_size(self, shape: tuple[int, int, int, int]) -> None:
        """Whether frames of this shape (F, C, H, W) can be done at all, before anything is made of them.

        Raises:
            InputError: they need more memory than the engine may take.
        """

    def beside(self, held: int) -> Engine:
        """The same engine for a caller who holds so many bytes besides what this one counts itself."""

    def predict(
        self, display: NDArray[np.float32], watch: Watch | None = None, tone: NDArray[np.float32] | None = None
    ) -> list[FramePrediction]:
        """What the network makes of frames (F, C, H, W) that belong together, black 0 and white 1: one tone for all.

        C is 3, or 1 of grey frames.

        `watch` hears of every frame, or of every tile of a single one. `tone`: one that `decide_tone` decided for
        frames of the same size, instead of one for these; or one for each of them, as `decide_tones` gives them.

        Raises:
            MemoryError: there is not enough memory, where the library can tell.
            StoppedError: by `watch`.
        """


@dataclass(frozen=True)
class Loaded:
    """A bundle, ready to enhance."""

    engine: Engine
    strengths: dict[str, dict[str, float]]
    model: ModelIdentity


def load(
    root: Path,
    engine: str,
    device: str,
    frugal: bool = False,
    max_memory: int | None = None,
    size: str = DEFAULT_SIZE,
) -> Loaded:
    """Open a bundle with an engine, one of `ENGINES`; `frugal`: to run in as little memory as possible;
    `max_memory`: in so many bytes, for which ONNX Runtime is taken; `size`: one of those of its inference.yaml.

    "auto" takes torch where it has a GPU, or where another device than the processor is asked for; else ONNX Runtime,
    if it can run what the bundle's inference.yaml, weights and exported graph define together; else torch.

    Raises:
        ValueError: no such engine; `max_memory` is no number of bytes.
        BundleError: something is missing, damaged, or does not belong together; there is no such size; the engine has
            no such device, or none that can do it, or its memory cannot be bounded.
        DependencyError: the package that the engine needs is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if max_memory is not None and (
        isinstance(max_memory, bool) or not isinstance(max_memory, Integral) or max_memory < 1
    ):
        raise ValueError(f"max_memory must be a positive whole number of bytes, got {max_memory!r}")
    definition = Definition.of(root, size)
    opened, model = _open(definition, engine, device, frugal, max_memory)
    if definition.views > 1:
        opened = ManyViews(opened)
    return Loaded(opened, definition.made("strengths")["strengths"], model)


def _open(
    definition: Definition, engine: str, device: str, frugal: bool, max_memory: int | None
) -> tuple[Engine, ModelIdentity]:
    if max_memory is not None:
        if engine in IN_TORCH or device not in ON_PROCESSOR:
            raise BundleError('memory can be bounded with the engine "onnx" on the processor only')
        return OnnxEngine.open(definition, frugal, max_memory)
    if engine == "onnx" and device not in ON_PROCESSOR:
        raise BundleError(f'engine "onnx" runs on the processor, not on "{device}"; use the engine "torch" for that')
    if engine in IN_TORCH or (engine == "auto" and not _for_processor(device)):
        return _torch().open(definition, device, frugal, bfloat16=engine == BFLOAT16)
    try:
        return OnnxEngine.open(definition, frugal)
    except LowLightError as error:
        if engine == "onnx":
            raise
        try:
            torch_engine = _torch()
        except DependencyError:
            raise error from None
    return torch_engine.open(definition, device, frugal)


def _for_processor(device: str) -> bool:
    """Whether the processor is asked for, or all there is."""
    if device != "auto":
        return device in ON_PROCESSOR
    # Loading torch takes seconds: it is only asked where a driver says that there may be a GPU.
    return not (_has_gpu_driver() and _torch_has_gpu())


def _has_gpu_driver() -> bool:
    try:
        ctypes.CDLL(CUDA_DRIVER.get(sys.platform, "libcuda.so.1"))
    except OSError:
        return False
    return True


def _torch_has_gpu() -> bool:
    try:
        from lowlight.enhance.torch_engine import gpu_available
    except ModuleNotFoundError:
        return False
    return gpu_available()


def _torch() -> type[TorchEngine]:
    try:
        from lowlight.enhance.torch_engine import TorchEngine
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"this needs the package {error.name}, which is not installed; pip install 'lowlight-enhance[bundle]'"
        ) from error
    return TorchEngine
