"""The network in torch: on any device, and where it is defined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from lowlight.bundle import BFLOAT16
from lowlight.enhance.definition import Definition
from lowlight.enhance.identity import ModelIdentity
from lowlight.enhance.inferer import DualPathInferer
from lowlight.enhance.result import FramePrediction
from lowlight.enhance.watching import Watch
from lowlight.errors import BundleError
from lowlight.imaging.libraries import one_line
from lowlight.model.network import DualPathNet
from lowlight.model.precision import has_bfloat16

NO_MEMORY = ("out of memory", "allocate memory", "not enough memory")
"""What torch says, on GPUs, on processors, and on processors under Windows, when there is not enough."""


class TorchEngine:
    """Runs `DualPathNet` itself.

    Args:
        network: with weights. inferer: how it sees frames. device: where.
        bfloat16: compute the denoise path in 16 bits. Tone and curve, whose steps would show, keep their 32, and what
            the residual is added to.

    Attributes:
        network, inferer: those, ready. device: its name.
    """

    def __init__(
        self, network: DualPathNet, inferer: DualPathInferer, device: torch.device, bfloat16: bool = False
    ) -> None:
        self.network, self.inferer = network.to(device).eval(), inferer
        if device.type in ("cpu", "cuda"):
            # What processors convolve faster, and units for 16 bits everywhere; inference.yaml has it, too.
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if bfloat16:
            self.network.denoise.to(torch.bfloat16)
        self.name = BFLOAT16 if bfloat16 else "torch"
        self.device = str(device)

    @classmethod
    def open(
        cls, definition: Definition, device: str, frugal: bool = False, bfloat16: bool = False
    ) -> tuple[TorchEngine, ModelIdentity]:
        """The network of a bundle with its weights, and which weights those are. `frugal`: in small tiles.

        Args:
            device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", ...
            bfloat16: as `TorchEngine`.

        Raises:
            BundleError: weights are missing or do not belong to the bundle or to the network; no such device, or none
                with units for bfloat16.
        """
        chosen = _device(device)
        if bfloat16 and not has_bfloat16(chosen):
            raise BundleError(f'device "{chosen}" has no units for bfloat16 that torch tells of; use the engine "auto"')
        try:
            made = definition.made("network_def", "inferer", "weights")
            identity = ModelIdentity.of(definition.root, made["weights"], definition.size)
            identity = replace(identity, precision="bfloat16" if bfloat16 else identity.precision)
            network = made["network_def"]
            network.load_state_dict(torch.load(made["weights"], map_location=chosen, weights_only=True))
        except BundleError:
            raise
        except Exception as error:
            # Whatever a wrong argument or foreign weights raise, the way out is the same.
            raise BundleError(
                f"{definition.root}: the bundle cannot be loaded ({one_line(error)}); install it again"
            ) from error
        inferer = made["inferer"]
        if frugal:
            inferer.tiling = inferer.tiling.frugal
        return cls(network, inferer, chosen, bfloat16), identity

    @torch.inference_mode()
    def decide_tone(self, display: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine`: spline controls (1, 2, n, n)."""
        controls: NDArray[np.float32] = self.inferer.tone(torch.from_numpy(display), self.network).float().cpu().numpy()
        return controls

    @torch.inference_mode()
    def decide_tones(self, display: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine`: spline controls (F, 2, n, n), of all frames at once."""
        controls: NDArray[np.float32] = (
            self.network.tone(torch.from_numpy(display).to(self.device)).float().cpu().numpy()
        )
        return controls

    def tone_shape(self, height: int, width: int) -> tuple[int, ...]:
        """See `Engine`: the same for every size."""
        controls = self.network.tone.controls
        return (1, 2, controls, controls)

    def check_size(self, shape: tuple[int, int, int, int]) -> None:
        """See `Engine`: nothing is too large beforehand."""

    def beside(self, held: int) -> TorchEngine:
        """See `Engine`."""
        return self

    @torch.inference_mode()
    def predict(
        self, display: NDArray[np.float32], watch: Watch | None = None, tone: NDArray[np.float32] | None = None
    ) -> list[FramePrediction]:
        """See `Engine`."""
        watch = watch or Watch()
        # Between layers is where torch can be stopped.
        hooks = [layer.register_forward_pre_hook(lambda *_: watch.check()) for layer in self.network.modules()]
        try:
            return self._predict(torch.from_numpy(display), watch, tone)
        except RuntimeError as error:
            if any(words in str(error) for words in NO_MEMORY):
                raise MemoryError from error
            raise
        finally:
            for hook in hooks:
                hook.remove()

    def _predict(self, frames: torch.Tensor, watch: Watch, tone: NDArray[np.float32] | None) -> list[FramePrediction]:
        several = len(frames) > 1
        tell = watch.parts("enhancing")
        if tone is None:
            controls = self.inferer.tone(frames, self.network, watch.parts("tone"))
        else:
            controls = torch.from_numpy(tone).to(self.device)
        whole = self.inferer.tiling.keeps_whole(*frames.shape[-2:])
        if len(controls) > 1 and whole:
            # As many at once as the caller sees fit to hand over: that is what keeps a GPU busy.
            together = split_frames(self.inferer.apply(frames.to(self.device), self.network, controls))
            tell(len(frames), len(frames))
            return together
        each = controls.expand(len(frames), -1, -1, -1)
        predictions = []
        for done, (frame, own) in enumerate(zip(frames, each, strict=True), 1):
            in_tiles = not several and not whole
            out = self.inferer.apply(frame[None].to(self.device), self.network, own[None], tell if in_tiles else None)
            predictions += split_frames(out)
            if not in_tiles:
                tell(done, len(frames))
        return predictions


def split_frames(out: torch.Tensor) -> list[FramePrediction]:
    """The network's output (F, 9 or 5, H, W) as one NumPy `FramePrediction` a frame."""
    return [FramePrediction.of_channels(channels) for channels in out.float().cpu().numpy()]


def gpu_available() -> bool:
    """Whether torch has a GPU to run on."""
    return torch.cuda.is_available()


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if gpu_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BundleError(f'device "{name}" is not available here; use "auto" or "cpu"') from error
    return device
