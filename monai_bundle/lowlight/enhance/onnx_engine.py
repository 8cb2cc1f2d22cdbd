"""The network in ONNX Runtime: on a processor faster than torch, and without torch's seconds of loading.

models/model.onnx (of another size: models/fast.onnx) is one graph of both paths, by `lowlight.enhance.exporting`:

- image (B, 3, H, W) float32 -> pred (B, 9, H, W), of grey (B, 1, H, W) -> (B, 5, H, W), as `DualPathNet` does; that is
  all that a plain use needs.
- With maps (B, 2, H, W) and colour (B,) bool given too, the tone path does not run: the tone is the given one. So a
  tile gets the tone of its whole frame, and a frame that of its clip.
- decided_maps and decided_colour are what pred was made with. With tone_only (bool) given as true they are all that is
  made, and the denoise path does not run: that has to be an input, since ONNX Runtime always runs a whole graph.

The maps, not the spline controls behind them, are what is handed on: they can be cut into tiles and averaged over
frames (the spline is linear in its controls) by NumPy alone.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.definition import Definition, network_signature
from lowlight.enhance.identity import ModelIdentity
from lowlight.enhance.pixels import ARRAY
from lowlight.enhance.result import FramePrediction
from lowlight.enhance.threads import named_threads
from lowlight.enhance.tiling import Area, Tiling
from lowlight.enhance.watching import Watch
from lowlight.errors import BundleError, DependencyError, InputError

WEIGHTS_KEY, NETWORK_KEY, STRIDE_KEY = "weights_sha256", "network_def", "stride"
"""What the file's metadata say of the network that it was exported from."""

NO_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate memory")
"""What ONNX Runtime says, on Linux, Windows and for its own pool, when there is not enough."""

IN_ANY_CASE = 170_000_000
"""Bytes that a process has that has loaded the network and an image, the image not counted."""

TONE_PATH = {1: 30, 3: 62}
"""Bytes for each pixel of a frame of so many channels while its tone is decided (benchmarks/memory.py)."""

DENOISE_PATH = {1: 300, 3: 450}
"""The same of a tile while the network sees it: half as much again, because the system does not get back all that the
tone path took."""

_MMAP_THRESHOLD, _LARGE_BLOCK = -3, 1 << 20

INFERER = "lowlight.enhance.inferer.DualPathInferer"
"""The inferer whose tiles this engine can do as well."""


class OnnxEngine:
    """Runs the exported network on the processor.

    Uses as many threads as OMP_NUM_THREADS says, like torch; without it, one a core.

    Args:
        session: of ONNX Runtime. tiling: how large frames are done. stride: of the network.
        max_memory: bytes that the process may take: tiles are as small as it asks for, and frames that are too large
            even so are refused; None: no matter.
        held: bytes of it that the caller takes besides.
    """

    name = "onnx"
    device = "cpu"

    def __init__(self, session: Any, tiling: Tiling, stride: int, max_memory: int | None = None, held: int = 0) -> None:
        self.session, self.tiling, self.stride, self.max_memory = session, tiling, stride, max_memory
        self.held = held

    @classmethod
    def open(
        cls, definition: Definition, frugal: bool = False, max_memory: int | None = None
    ) -> tuple[OnnxEngine, ModelIdentity]:
        """The exported network of a bundle, and which weights it was exported from.

        `frugal`: in small tiles, and without holding on to memory between its layers. `max_memory`: see `OnnxEngine`.

        Raises:
            DependencyError: ONNX Runtime is not installed.
            BundleError: the file is missing, damaged, or was exported from other weights or another network than the
                bundle's; the bundle's inference.yaml does something that only torch can follow.
        """
        inferer = definition.parts["inferer"]
        if not definition.plain or inferer.get("_target_") != INFERER:
            raise BundleError(f'{definition.file}: is not plain enough for ONNX Runtime; use the engine "torch"')
        identity = ModelIdentity.of(definition.root, definition.weights_file, definition.size)
        file = definition.graph_file
        if not file.is_file():
            raise BundleError(f'{file}: missing; write it with configs/export.yaml, or use the engine "torch"')
        if max_memory is not None:
            _give_back_at_once()
        session = open_session(file, keep_memory=not frugal and max_memory is None)
        described = session.get_modelmeta().custom_metadata_map
        expected = {
            WEIGHTS_KEY: identity.weights_sha256,
            NETWORK_KEY: network_signature(definition.parts["network_def"]),
        }
        if any(described.get(key) != value for key, value in expected.items()):
            raise BundleError(f"{file}: was exported from other weights; write it again with configs/export.yaml")
        tiling = Tiling(**{name: value for name, value in inferer.items() if name != "_target_"})
        return cls(session, tiling.frugal if frugal else tiling, int(described[STRIDE_KEY]), max_memory), identity

    def decide_tone(self, display: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine`: the tone maps (1, 2, H, W)."""
        return self._decide_together(display, Watch())[0]

    def decide_tones(self, display: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine`: the tone maps (F, 2, H, W)."""
        return np.concatenate([self._decide(frame[None], Watch())[0] for frame in display])

    def tone_shape(self, height: int, width: int) -> tuple[int, ...]:
        """See `Engine`."""
        return (1, 2, height, width)

    def check_size(self, shape: tuple[int, int, int, int]) -> None:
        """See `Engine`."""
        self._tiling_for(shape)

    def beside(self, held: int) -> OnnxEngine:
        """See `Engine`."""
        return OnnxEngine(self.session, self.tiling, self.stride, self.max_memory, held)

    def _tiling_for(self, shape: tuple[int, ...]) -> Tiling:
        """Tiles that keep within `max_memory`.

        Raises:
            InputError: there are none.
        """
        if self.max_memory is None:
            return self.tiling
        count, channels, height, width = shape
        pixels = height * width
        # The frames in display space, and what was read to make them.
        held = IN_ANY_CASE + self.held + pixels * count * channels * 6
        predictions = pixels * 4 * (2 + count * (channels + 1))
        frugal = self.tiling.frugal
        tile = min(pixels, (frugal.tile + 2 * frugal.halo) ** 2) * DENOISE_PATH[channels]
        least = held + max(pixels * TONE_PATH[channels], predictions + tile)
        if least > self.max_memory:
            raise InputError(
                ARRAY,
                f"it needs {least / 1e9:.1f} GB of memory",
                f"allow at least that instead of {self.max_memory / 1e6:.0f} MB",
            )
        return self.tiling.fitting((self.max_memory - held - predictions) // DENOISE_PATH[channels])

    def predict(
        self, display: NDArray[np.float32], watch: Watch | None = None, tone: NDArray[np.float32] | None = None
    ) -> list[FramePrediction]:
        """See `Engine`."""
        watch = watch or Watch()
        height, width = display.shape[-2:]
        count = len(display)
        tiling = self._tiling_for(display.shape)
        if tone is None and count == 1 and tiling.keeps_whole(height, width):
            channels = self._enhance({"image": display}, watch, self._run_options())
            predictions = [FramePrediction.of_channels(channels)]
            watch.tell("enhancing", 1, 1)
            return predictions
        if tone is None:
            maps, colours = self._decide_together(display, watch)
        else:
            maps, colours = tone, [_has_colour(frame[None]) for frame in display]
        each = np.broadcast_to(maps, (count, *maps.shape[1:]))
        predictions = []
        for done, (frame, own, colour) in enumerate(zip(display, each, colours, strict=True), 1):
            predictions.append(self._apply(frame[None], own[None], colour, tiling, watch, tell=count == 1))
            if count > 1:
                watch.tell("enhancing", done, count)
        return predictions

    def _decide_together(
        self, display: NDArray[np.float32], watch: Watch
    ) -> tuple[NDArray[np.float32], list[NDArray[np.bool_]]]:
        """The mean of the tone maps of all frames (1, 2, H, W), and of each frame whether it is coloured (1,)."""
        # A running sum: the maps of all frames of a long clip at once would double what its result takes.
        maps, colours = np.zeros((1, 2, *display.shape[-2:]), np.float32), []
        for done, frame in enumerate(display):
            watch.tell("tone", done, len(display))
            own, colour = self._decide(frame[None], watch)
            maps += own
            colours.append(colour)
        maps /= len(display)
        return maps, colours

    def _decide(self, frame: NDArray[np.float32], watch: Watch) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The tone maps (1, 2, H, W) of a frame for itself, and whether it is coloured (1,)."""
        # What the whole frame took must be given back before its tiles take theirs.
        options = self._run_options(gives_back=not self.tiling.keeps_whole(*frame.shape[-2:]))
        inputs = {"image": frame, "tone_only": np.array(True)}
        maps, colour = self._run(["decided_maps", "decided_colour"], inputs, options, watch)
        return maps, colour

    def _apply(
        self,
        frame: NDArray[np.float32],
        maps: NDArray[np.float32],
        colour: NDArray[np.bool_],
        tiling: Tiling,
        watch: Watch,
        tell: bool,
    ) -> FramePrediction:
        def enhance(seen: Area) -> NDArray[np.float32]:
            parts = {"image": frame, "maps": maps}
            cut = {name: np.ascontiguousarray(array[..., seen[0], seen[1]]) for name, array in parts.items()}
            inputs = {**cut, "colour": colour}
            # The last tiles, and no others, end where the frame ends; blending and writing need what they took.
            last = not whole and (seen[0].stop, seen[1].stop) == frame.shape[-2:]
            channels = self._enhance(inputs, watch, self._run_options(gives_back=last))
            prediction = FramePrediction.of_channels(channels)
            return np.concatenate([prediction.residual, prediction.log_error[None]])

        whole, grey = tiling.keeps_whole(*frame.shape[-2:]), frame.shape[1] == 1
        out = np.empty((2 if grey else 4, *frame.shape[-2:]), np.float32)
        tiling.fill(out, self.stride, enhance, watch.parts("enhancing") if tell else None)
        # Frames that share a tone share its maps in memory, too.
        return FramePrediction(out[:-1], out[-1], maps[0, 0], maps[0, 1])

    def _enhance(self, inputs: dict[str, NDArray[Any]], watch: Watch, options: Any) -> NDArray[np.float32]:
        """The channels (9 or 5, H, W) of one frame."""
        ((channels,),) = self._run(["pred"], inputs, options, watch)
        return channels

    def _run_options(self, gives_back: bool = False) -> Any:
        """`gives_back`: memory that the run leaves unused, which is otherwise kept for the next one."""
        from onnxruntime import RunOptions

        options = RunOptions()
        # What goes wrong is raised; no need to print it as well.
        options.log_severity_level = 4
        if gives_back and self.session.get_session_options().enable_cpu_mem_arena:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return options

    def _run(self, outputs: list[str], inputs: dict[str, NDArray[Any]], options: Any, watch: Watch) -> Any:
        def end() -> None:
            options.terminate = True

        with watch.ended_by(end):
            try:
                return self.session.run(outputs, inputs, options)
            except Exception as error:
                # ONNX Runtime has no exception of its own for it.
                if any(words in str(error) for words in NO_MEMORY):
                    raise MemoryError from error
                raise


def _give_back_at_once() -> None:
    """Have glibc return large blocks to the system when they are freed, instead of keeping them in pieces.

    Its own threshold grows with what a program frees, up to 32 MB: about a channel of a frame (mallopt(3)).
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)


def _has_colour(frame: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether a frame (1, 1 or 3, H, W) holds a pixel whose channels differ (1,): what the graph decides of it."""
    return np.array([frame.shape[1] > 1 and bool((frame != frame[:, :1]).any())])


def open_session(model: Path | bytes, keep_memory: bool = True) -> Any:
    """A session of ONNX Runtime on the processor, with as many threads as OMP_NUM_THREADS says.

    Args:
        model: file, or its content.
        keep_memory: between layers and runs, which is faster.

    Raises:
        DependencyError: ONNX Runtime is not installed.
        BundleError: not a graph that it can run.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise DependencyError(
            "this needs the package onnxruntime, which is not installed; install lowlight-enhance again"
        ) from error
    options = onnxruntime.SessionOptions()
    if (threads := named_threads()) is not None:
        options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = keep_memory
    options.log_severity_level = 3  # errors alone: its warnings speak of kernels, not of images
    content = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime's own errors have no common base, and the way out is always the same.
        name = "the exported graph" if isinstance(model, bytes) else model
        raise BundleError(
            f"{name}: damaged, or not for this ONNX Runtime; write it again with configs/export.yaml"
        ) from error
