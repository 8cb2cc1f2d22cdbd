"""Weights of a training become the bundle's: models/model.pt, the same network as models/model.onnx, and the checksum.

The two paths are exported one by one, for colour and for grey, and joined by `If`s, so that one file serves whole
frames, tiles and clips (see `lowlight.enhance.onnx_engine`) and holds each weight once.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.compose import add_prefix
from torch import Tensor, nn

from lowlight.bundle import DEFAULT_SIZE, file_sha256
from lowlight.enhance.adopting import adopt
from lowlight.enhance.definition import Definition, network_signature
from lowlight.enhance.onnx_engine import NETWORK_KEY, STRIDE_KEY, WEIGHTS_KEY, open_session
from lowlight.errors import BundleError
from lowlight.imaging import atomic_path
from lowlight.model.network import DualPathNet, has_colour
from lowlight.model.resampling import spline_resize

logger = logging.getLogger(__name__)

OPSET = 23
"""Of the exported graph: ONNX 1.18, which ONNX Runtime reads since 1.22."""

IR_VERSION = 10
"""Of the file format that goes with it."""

LARGEST_DIFFERENCE = 1e-4
"""Between the two engines, in display space."""

CHECKED_SIZES = ((1, 1, 1), (2, 3, 3), (2, 37, 50), (1, 7, 300), (1, 300, 7), (1, 192, 192))
"""Batch, height and width of the frames on which a graph is compared with the network before it is written."""

DECIDED = ("decided_maps", "decided_colour")


class _See(nn.Module):
    """What the tone path makes of a frame without weights, and whether it has colour."""

    def __init__(self, network: DualPathNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return *self.network.tone.see(image), has_colour(image)


class _Decide(nn.Module):
    """The rest of the tone path: the maps of the frame."""

    def __init__(self, network: DualPathNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, cells: Tensor, statistics: Tensor) -> Tensor:
        return spline_resize(self.network.tone.decide(cells, statistics), (image.shape[-2], image.shape[-1]))


class _Prepare(nn.Module):
    """From the frame and its maps to the denoise path."""

    def __init__(self, network: DualPathNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.prepare(image, maps)


class _Finish(nn.Module):
    """From the denoise path to the prediction but for its maps."""

    def __init__(self, network: DualPathNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, toned: Tensor, departure: Tensor, colour: Tensor) -> Tensor:
        return self.network.finish(features, toned, departure, colour)


def publish(weights: str | Path | None, bundle_root: str | Path, size: str = DEFAULT_SIZE) -> None:
    """Make weights the bundle's own: models/model.pt, models/model.onnx and the checksum in configs/metadata.json.

    Args:
        weights: None: those that the bundle has, whose graph is written anew.
        size: whose; one with weights of its own has files of its own, models/fast.pt and models/fast.onnx.

    Raises:
        BundleError: the weights do not fit the network of inference.yaml, the graph would not do the same, or the size
            has no weights of its own.
        OutputError: a file cannot be written.
    """
    root = Path(bundle_root)
    definition = Definition.of(root, size)
    if size != DEFAULT_SIZE and not definition.has_own_weights:
        raise BundleError(f'the size "{size}" has the weights of "{DEFAULT_SIZE}"; publish those')
    source = definition.weights_file if weights is None else Path(weights)
    logger.info("Exporting %s and comparing it with the network: some minutes.", source)
    # Exported first: if that fails, the bundle stays what it was.
    export(source, definition)
    adopt(source, root, definition.name)
    whose = "bundle" if size == DEFAULT_SIZE else f'size "{size}"'
    logger.info("The weights of the %s are now %s, SHA-256 %s.", whose, source, file_sha256(source))


def export(weights: Path, definition: Definition) -> Path:
    """Write a bundle's network with given weights to its models/model.onnx, or what the size has, and compare the two.

    Raises:
        BundleError: the weights do not fit the network, or the graph differs from it by more than 1e-4 somewhere.
        OutputError: the file cannot be written.
    """
    network = definition.made("network_def")["network_def"]
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:
        # Whatever a file of another kind raises, the way out is the same.
        raise BundleError(
            f"{weights}: does not hold weights of this bundle's network_def; name its model.pt"
        ) from error
    model = to_onnx(network.eval())
    described = {
        WEIGHTS_KEY: file_sha256(weights),
        NETWORK_KEY: network_signature(definition.parts["network_def"]),
        STRIDE_KEY: str(network.denoise.stride),
    }
    model = _folded(model)
    helper.set_model_props(model, described)
    content = model.SerializeToString(deterministic=True)
    difference = largest_difference(network, content)
    if not difference <= LARGEST_DIFFERENCE:
        raise BundleError(f"{weights}: its ONNX graph is off by {difference:g} in display space; it was not written")
    target = definition.graph_file
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
    logger.info("%s: %.1f MB, differs from the network by at most %.1g.", target, len(content) / 1e6, difference)
    return target


def to_onnx(network: DualPathNet) -> ModelProto:
    """One graph of a network in evaluation mode, for any batch, height and width; see `onnx_engine` for its inputs."""
    batch, height, width = (torch.export.Dim(name, min=1) for name in ("batch", "height", "width"))
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    stride = network.denoise.stride
    one, frame = {0: batch}, {0: batch, 2: height, 3: width}
    padded = {0: batch, 2: stride * rows, 3: stride * columns}
    halved = {0: batch, 2: stride // 2 * rows, 3: stride // 2 * columns}
    parts: dict[str, GraphProto] = {}

    def add(
        part: str, module: nn.Module, shapes: Sequence[Any], inputs: dict[str, Tensor], *outputs: str
    ) -> list[Tensor]:
        model = _translated(module, inputs, outputs, shapes)
        parts[part] = add_prefix(model, f"{part}.").graph
        with torch.no_grad():
            found = module(*inputs.values())
        return [found] if isinstance(found, Tensor) else list(found)

    for kind, channels in (("colour", 3), ("grey", 1)):
        # Neither square nor a multiple of anything, so that no relation of sizes is taken for a rule.
        image, maps, colour = torch.rand(2, channels, 45, 61), torch.rand(2, 2, 45, 61), torch.tensor([True, False])
        cells, statistics, _ = add(
            f"see_{kind}", _See(network), (frame,), {"image": image}, "cells", "statistics", "own_colour"
        )
        features, toned, departure = add(
            f"prepare_{kind}",
            _Prepare(network),
            (frame, frame),
            {"image": image, "maps": maps},
            "entered",
            "toned",
            "departure",
        )
        add(
            f"finish_{kind}",
            _Finish(network),
            (halved, padded, padded, one),
            {"features": features, "toned": toned, "departure": departure, "colour": colour},
            "finished",
        )
    seen = {"image": image, "cells": cells, "statistics": statistics}
    add("decide", _Decide(network), (frame, one, one), seen, "own_maps")
    add("denoise", network.denoise, (halved,), {"entered": features}, "features")
    model = _joined(parts)
    onnx.checker.check_model(model, full_check=True)
    return model


def largest_difference(network: DualPathNet, content: bytes) -> float:
    """Largest absolute difference of `pred` between a network and its graph, on frames of noise of many sizes."""
    session = open_session(content)
    generator = torch.Generator().manual_seed(1)
    found = []
    for channels, (batch, height, width) in itertools.product((3, 1), CHECKED_SIZES):
        image = torch.rand(batch, channels, height, width, generator=generator) ** 3
        with torch.inference_mode():
            expected = network(image).numpy()
        (pred,) = session.run(["pred"], {"image": image.numpy()})
        found.append(float(np.abs(pred - expected).max()))
    # A NaN must not be lost among the others.
    return float(np.max(found))


def _folded(model: ModelProto) -> ModelProto:
    """The same graph with what follows from constants alone computed beforehand, in operators of ONNX alone.

    ONNX Runtime does this whenever it opens a graph, which every start of a command waits for. What it does beyond this
    level suits one processor, and stays for then.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(file)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        folded = onnx.load(file)
    # ONNX Runtime names the operators of its own as well, of which there are none.
    del folded.opset_import[:]
    folded.opset_import.extend(model.opset_import)
    folded.ir_version, folded.producer_name = model.ir_version, model.producer_name
    onnx.checker.check_model(folded, full_check=True)
    return folded


def _translated(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], shapes: Sequence[Mapping[int, Any]]
) -> ModelProto:
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamic_shapes=tuple(shapes),
            dynamo=True,
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model: ModelProto = program.model_proto
    # Notes of the exporter: they name folders of this machine, and double the size.
    del model.graph.value_info[:], model.metadata_props[:], model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        part.ClearField("doc_string")
        del part.metadata_props[:]
    return model


def _joined(parts: Mapping[str, GraphProto]) -> ModelProto:
    """pred = rest(image, tone(image)), unless maps and colour are given, or nothing but them is wanted.

    What holds the weights is there once: ONNX Runtime makes a convolution fast only if its weights are constants of the
    very graph that it stands in.
    """
    info, node = helper.make_tensor_value_info, helper.make_node
    real, truth = TensorProto.FLOAT, TensorProto.BOOL
    frame, one = ["batch", 2, "height", "width"], ["batch"]

    def branch(
        name: str, nodes: Sequence[NodeProto], outputs: Mapping[str, tuple[int, Sequence[Any]]], *constants: Any
    ) -> GraphProto:
        return helper.make_graph(nodes, name, [], [info(each, *kind) for each, kind in outputs.items()], constants)

    def whole(part: str, renamed: Mapping[str, str]) -> GraphProto:
        """A part as a branch by itself; `renamed` says which values outside are its inputs."""
        graph = parts[part]
        taken = [_copy(renamed.get(name, name), f"{part}.{name}") for name in _names(graph.input, part)]
        return helper.make_graph([*taken, *graph.node], part, [], graph.output, graph.initializer)

    def by_channels(part: str, outputs: Sequence[str], renamed: Mapping[str, str]) -> NodeProto:
        then, otherwise = whole(f"{part}_grey", renamed), whole(f"{part}_colour", renamed)
        return node("If", ["is_grey"], outputs, name=part, then_branch=then, else_branch=otherwise)

    def inline(part: str, renamed: Mapping[str, str]) -> list[NodeProto]:
        graph = parts[part]
        taken = [_copy(renamed.get(name, name), f"{part}.{name}") for name in _names(graph.input, part)]
        given = [_copy(f"{part}.{name}", name) for name in _names(graph.output, part)]
        return [*taken, *graph.node, *given]

    decided = branch(
        "decided",
        [
            by_channels("see", ["cells", "statistics", "own_colour"], {}),
            *inline("decide", {}),
        ],
        {"own_maps": (real, frame), "own_colour": (truth, one)},
        *parts["decide"].initializer,
    )
    given = branch(
        "given",
        [_copy("maps", "given.maps"), _copy("colour", "given.colour")],
        {"given.maps": (real, frame), "given.colour": (truth, one)},
    )
    nothing = numpy_helper.from_array(np.zeros((1, 1, 0, 0), np.float32))
    skipped = branch(
        "skipped", [node("Constant", [], ["skipped.pred"], value=nothing)], {"skipped.pred": (real, [1, 1, 0, 0])}
    )
    decision = dict(zip(("maps", "colour"), DECIDED, strict=True))
    enhanced = branch(
        "enhanced",
        [
            by_channels("prepare", ["entered", "toned", "departure"], decision),
            *inline("denoise", {}),
            by_channels("finish", ["finished"], decision),
            node("Shape", ["image"], ["size"], start=2, end=4),
            node("Slice", ["finished", "origin", "size", "both_axes"], ["cropped"]),
            node("Concat", ["cropped", DECIDED[0]], ["enhanced.pred"], axis=1),
        ],
        {"enhanced.pred": (real, ["batch", "pred_channels", "height", "width"])},
        *parts["denoise"].initializer,
        numpy_helper.from_array(np.array([0, 0], np.int64), "origin"),
        numpy_helper.from_array(np.array([2, 3], np.int64), "both_axes"),
    )
    nodes = [
        node("Shape", ["image"], ["channels"], start=1, end=2),
        node("Squeeze", ["channels"], ["channel_count"]),
        node("Equal", ["channel_count", "grey_count"], ["is_grey"]),
        node("Size", ["maps"], ["maps_size"]),
        node("Cast", ["maps_size"], ["is_given"], to=truth),
        node("If", ["is_given"], list(DECIDED), name="tone", then_branch=given, else_branch=decided),
        node("If", ["tone_only"], ["pred"], name="rest", then_branch=skipped, else_branch=enhanced),
    ]
    inputs = [
        info("image", real, ["batch", "channels", "height", "width"]),
        info("maps", real, ["given_batch", 2, "given_height", "given_width"]),
        info("colour", truth, ["given_batch"]),
        info("tone_only", truth, []),
    ]
    outputs = [
        info("pred", real, ["batch", "pred_channels", "height", "width"]),
        info("decided_maps", real, frame),
        info("decided_colour", truth, one),
    ]
    # An input with a value need not be given: without maps, the frame's own tone path decides.
    constants = [
        numpy_helper.from_array(np.zeros((0, 2, 0, 0), np.float32), "maps"),
        numpy_helper.from_array(np.zeros(0, bool), "colour"),
        numpy_helper.from_array(np.array(False), "tone_only"),
        numpy_helper.from_array(np.array(1, np.int64), "grey_count"),
    ]
    graph = helper.make_graph(nodes, "DualPathNet", inputs, outputs, constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="lowlight"
    )


def _names(values: Iterable[ValueInfoProto], part: str) -> list[str]:
    return [value.name.removeprefix(f"{part}.") for value in values]


def _copy(source: str, target: str) -> NodeProto:
    return helper.make_node("Identity", [source], [target])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the console what the exporter says of its own work, step by step."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
