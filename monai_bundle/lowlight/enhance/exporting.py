"""Weights of a training become the bundle's: models/model.pt, the same network as models/model.onnx, and the checksum.

The two paths are exported one by one and joined by an `If`, so that one file serves whole frames, tiles and clips (see
`lowlight.enhance.onnx_engine`) and holds each weight once.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.compose import add_prefix
from torch import Tensor, nn

from lowlight.bundle import file_sha256
from lowlight.enhance.adopting import adopt
from lowlight.enhance.definition import Definition, network_signature
from lowlight.enhance.onnx_engine import MODEL_FILE, NETWORK_KEY, STRIDE_KEY, WEIGHTS_KEY, open_session
from lowlight.errors import BundleError
from lowlight.imaging import atomic_path
from lowlight.model.network import PREDICTION_CHANNELS, DualPathNet, has_colour
from lowlight.model.resampling import spline_resize

logger = logging.getLogger(__name__)

OPSET = 23
"""Of the exported graph: ONNX 1.18, which ONNX Runtime reads since 1.22."""

LARGEST_DIFFERENCE = 1e-4
"""Between the two engines, in display space."""

CHECKED_SIZES = ((1, 1, 1), (2, 3, 3), (2, 37, 50), (1, 7, 300), (1, 300, 7), (1, 192, 192))
"""Batch, height and width of the frames on which a graph is compared with the network before it is written."""

DECIDED = ("decided_maps", "decided_colour")


class _Tone(nn.Module):
    """The tone path up to its maps."""

    def __init__(self, network: DualPathNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return spline_resize(self.network.tone(image), (image.shape[-2], image.shape[-1])), has_colour(image)


class _Rest(nn.Module):
    """What follows once the tone is decided."""

    def __init__(self, network: DualPathNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, maps: Tensor, colour: Tensor) -> Tensor:
        return self.network.apply_tone(image, maps, colour)


def publish(weights: str | Path, bundle_root: str | Path) -> None:
    """Make weights the bundle's own: models/model.pt, models/model.onnx and the checksum in configs/metadata.json.

    Raises:
        BundleError: the weights do not fit the network of inference.yaml, or model.onnx would not do the same.
        OutputError: a file cannot be written.
    """
    root, source = Path(bundle_root), Path(weights)
    definition = Definition.of(root)
    # Exported first: if that fails, the bundle stays what it was.
    export(source, definition)
    adopt(source, root)
    logger.info("The bundle's weights are now %s, SHA-256 %s.", source, file_sha256(source))


def export(weights: Path, definition: Definition) -> Path:
    """Write a bundle's network with given weights to its models/model.onnx, and compare the two.

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
    helper.set_model_props(model, described)
    content = model.SerializeToString(deterministic=True)
    difference = largest_difference(network, content)
    if not difference <= LARGEST_DIFFERENCE:
        raise BundleError(f"{weights}: its ONNX graph is off by {difference:g} in display space; it was not written")
    target = definition.root / MODEL_FILE
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
    logger.info("%s: %.1f MB, differs from the network by at most %.1g.", target, len(content) / 1e6, difference)
    return target


def to_onnx(network: DualPathNet) -> ModelProto:
    """One graph of a network in evaluation mode, for any batch, height and width; see `onnx_engine` for its inputs."""
    batch, height, width = (torch.export.Dim(name, min=1) for name in ("batch", "height", "width"))
    frame, one = {0: batch, 2: height, 3: width}, {0: batch}
    # Neither square nor a multiple of anything, so that no relation of sizes is taken for a rule.
    image, maps, colour = torch.rand(2, 3, 45, 61), torch.rand(2, 2, 45, 61), torch.tensor([True, False])
    tone = _translated(_Tone(network), {"image": image}, DECIDED, (frame,))
    inputs = dict(zip(("image", *DECIDED), (image, maps, colour), strict=True))
    rest = _translated(_Rest(network), inputs, ("pred",), (frame, frame, one))
    model = _joined(tone, rest)
    onnx.checker.check_model(model, full_check=True)
    return model


def largest_difference(network: DualPathNet, content: bytes) -> float:
    """Largest absolute difference of `pred` between a network and its graph, on frames of noise of many sizes."""
    session = open_session(content)
    generator = torch.Generator().manual_seed(1)
    found = []
    for batch, height, width in CHECKED_SIZES:
        image = torch.rand(batch, 3, height, width, generator=generator) ** 3
        with torch.inference_mode():
            expected = network(image).numpy()
        (pred,) = session.run(["pred"], {"image": image.numpy()})
        found.append(float(np.abs(pred - expected).max()))
    # A NaN must not be lost among the others.
    return float(np.max(found))


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


def _joined(tone: ModelProto, rest: ModelProto) -> ModelProto:
    """pred = rest(image, tone(image)), unless maps and colour are given, or nothing but them is wanted."""
    tone, rest = add_prefix(tone, "tone."), add_prefix(rest, "rest.")
    float_type, bool_type = TensorProto.FLOAT, TensorProto.BOOL
    frame = ["batch", 2, "height", "width"]
    given = helper.make_graph(
        [_copy("maps", "given.maps"), _copy("colour", "given.colour")],
        "given",
        [],
        [
            helper.make_tensor_value_info("given.maps", float_type, frame),
            helper.make_tensor_value_info("given.colour", bool_type, ["batch"]),
        ],
    )
    nothing = numpy_helper.from_array(np.zeros((1, PREDICTION_CHANNELS, 0, 0), np.float32))
    skipped = helper.make_graph(
        [helper.make_node("Constant", [], ["skipped.pred"], value=nothing)],
        "skipped",
        [],
        [helper.make_tensor_value_info("skipped.pred", float_type, [1, PREDICTION_CHANNELS, 0, 0])],
    )
    decided = _inner(tone.graph, {"tone.image": "image"})
    enhanced = _inner(rest.graph, {f"rest.{name}": name for name in ("image", *DECIDED)})
    nodes = [
        helper.make_node("Size", ["maps"], ["maps_size"]),
        helper.make_node("Cast", ["maps_size"], ["is_given"], to=bool_type),
        helper.make_node("If", ["is_given"], list(DECIDED), name="tone", then_branch=given, else_branch=decided),
        helper.make_node("If", ["tone_only"], ["pred"], name="rest", then_branch=skipped, else_branch=enhanced),
    ]
    inputs = [
        helper.make_tensor_value_info("image", float_type, ["batch", 3, "height", "width"]),
        helper.make_tensor_value_info("maps", float_type, ["given_batch", 2, "given_height", "given_width"]),
        helper.make_tensor_value_info("colour", bool_type, ["given_batch"]),
        helper.make_tensor_value_info("tone_only", bool_type, []),
    ]
    outputs = [
        helper.make_tensor_value_info("pred", float_type, ["batch", PREDICTION_CHANNELS, "height", "width"]),
        helper.make_tensor_value_info("decided_maps", float_type, frame),
        helper.make_tensor_value_info("decided_colour", bool_type, ["batch"]),
    ]
    # An input with a value need not be given: without maps, the frame's own tone path decides.
    defaults = [
        numpy_helper.from_array(np.zeros((0, 2, 0, 0), np.float32), "maps"),
        numpy_helper.from_array(np.zeros(0, bool), "colour"),
        numpy_helper.from_array(np.array(False), "tone_only"),
    ]
    graph = helper.make_graph(nodes, "DualPathNet", inputs, outputs, defaults)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=rest.ir_version, producer_name="lowlight"
    )


def _copy(source: str, target: str) -> NodeProto:
    return helper.make_node("Identity", [source], [target])


def _inner(graph: GraphProto, inputs: Mapping[str, str]) -> GraphProto:
    """A graph as a branch of another, whose inputs are values of the outer one."""
    taken = [_copy(outer, inner) for inner, outer in inputs.items()]
    return helper.make_graph([*taken, *graph.node], graph.name, [], graph.output, graph.initializer)


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
