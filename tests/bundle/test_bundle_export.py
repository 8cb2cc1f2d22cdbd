"""Publishing weights: a workflow makes them the bundle's, with the ONNX file and the checksum that go with them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pytest
import torch
from bundle_runs import run
from published_bundle import Published, copied

from lowlight import Enhancer
from lowlight.bundle import file_sha256
from lowlight.enhance.adopting import adopt
from lowlight.enhance.exporting import publish
from lowlight.errors import BundleError
from lowlight.model.features import FeatureNet


def files(folder: Path) -> dict[str, str]:
    found = (path for part in ("configs", "models") for path in (folder / part).iterdir())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in found}


def test_the_bundle_has_the_weights_their_graph_and_their_checksum_and_is_else_as_it_was(
    own_bundle: Published, bundle: Path
) -> None:
    digest = file_sha256(own_bundle.weights)
    assert f"SHA-256 {digest}" in own_bundle.output
    assert "differs from the network by at most" in own_bundle.output
    before, after = files(bundle), files(own_bundle.folder)
    assert after["models/model.pt"] == digest
    different = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert different == {"models/model.pt", "models/model.onnx", "configs/metadata.json"}
    metadata = [
        (folder / "configs/metadata.json").read_text(encoding="utf-8") for folder in (bundle, own_bundle.folder)
    ]
    old, new = (json.loads(text) for text in metadata)
    assert old["eval_metrics"]
    assert new == {**old, "weights_sha256": digest, "eval_metrics": {}}
    moved = [line for line in metadata[1].splitlines() if line not in metadata[0].splitlines()]
    assert len(moved) == 2, "nothing else in the metadata moves"


def test_what_the_exporter_says_of_its_steps_stays_off_the_console(own_bundle: Published) -> None:
    for chatter in ("torchvision", "initializer", "onnx_ir"):
        assert chatter not in own_bundle.output


def test_the_graph_takes_any_batch_height_and_width_and_names_no_folder(own_bundle: Published) -> None:
    file = own_bundle.folder / "models/model.onnx"
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    image, pred = model.graph.input[0], model.graph.output[0]
    for tensor, channels in ((image, "channels"), (pred, "pred_channels")):
        dimensions = [dimension.dim_param or dimension.dim_value for dimension in tensor.type.tensor_type.shape.dim]
        assert dimensions == ["batch", channels, "height", "width"]
    assert file.stat().st_size < 1.1 * own_bundle.weights.stat().st_size, "each weight is there once"
    content = file.read_bytes()
    for folder in (sys.prefix, str(own_bundle.folder), "site-packages", ".py"):
        assert folder.encode() not in content


def test_nothing_is_left_to_compute_from_constants_when_the_graph_is_opened(own_bundle: Published) -> None:
    graph = onnx.load(own_bundle.folder / "models/model.onnx").graph
    inputs = {value.name for value in graph.input}

    def foregone(graph: onnx.GraphProto, constants: frozenset[str]) -> list[str]:
        constants |= {value.name for value in graph.initializer} - inputs
        found = []
        for node in graph.node:
            assert node.domain == "", "any engine reads it"
            found += [node.op_type] if node.input and constants.issuperset(node.input) else []
            for attribute in node.attribute:
                found += foregone(attribute.g, constants) if attribute.HasField("g") else []
        return found

    assert foregone(graph, frozenset()) == []


def test_weights_of_another_network_leave_the_bundle_as_it_was(own_bundle: Published, tmp_path: Path) -> None:
    copy = copied(own_bundle.folder, tmp_path / "bundle")
    before = files(copy)
    torch.save(FeatureNet().state_dict(), tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no weights at all", encoding="utf-8")
    for name in ("other.pt", "text.pt", "missing.pt"):
        with pytest.raises(BundleError, match=name):
            publish(tmp_path / name, copy)
    assert files(copy) == before


def test_the_shipped_graph_is_that_of_the_shipped_weights(bundle: Path) -> None:
    assert Enhancer(bundle, engine="onnx").engine.name == "onnx"


def test_monai_exports_the_network_as_well(own_bundle: Published, tmp_path: Path) -> None:
    file = tmp_path / "plain.onnx"
    command = [sys.executable, "-m", "monai.bundle", "onnx_export", "network_def", "--filepath", file]
    command += ["--ckpt_file", "models/model.pt", "--meta_file", "configs/metadata.json"]
    command += ["--config_file", "configs/inference.yaml"]
    assert "exported to file" in run(command, tmp_path / "log.txt", own_bundle.folder).succeeded()
    onnx.checker.check_model(onnx.load(file))


def test_a_checksum_goes_into_the_metadata_and_nothing_else_in_them_moves(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    (folder / "models").mkdir(parents=True)
    (folder / "configs").mkdir()
    metadata = folder / "configs/metadata.json"
    old = json.loads((bundle / "configs/metadata.json").read_text(encoding="utf-8"))
    text = json.dumps({key: value for key, value in old.items() if key != "fast_weights_sha256"}, indent=4)
    metadata.write_text(text, encoding="utf-8")
    for content in (b"first", b"second"):
        (tmp_path / "fast.pt").write_bytes(content)
        adopt(tmp_path / "fast.pt", folder, "fast")
        digest = file_sha256(tmp_path / "fast.pt")
        assert json.loads(metadata.read_text(encoding="utf-8")) == {**json.loads(text), "fast_weights_sha256": digest}
        without = [line for line in metadata.read_text(encoding="utf-8").splitlines() if "fast_weights" not in line]
        assert [line.rstrip(",") for line in without] == [line.rstrip(",") for line in text.splitlines()]
    before = metadata.read_text(encoding="utf-8")
    (tmp_path / "model.pt").write_bytes(b"third")
    adopt(tmp_path / "model.pt", folder)
    stated = json.loads(before)
    digest = file_sha256(tmp_path / "model.pt")
    # What was measured of other weights is not said of these.
    expected = {**stated, "weights_sha256": digest, "eval_metrics": {}}
    assert json.loads(metadata.read_text(encoding="utf-8")) == expected


def test_a_size_without_weights_of_its_own_is_not_published(bundle: Path) -> None:
    with pytest.raises(BundleError, match='the size "best" has the weights of "default"; publish those'):
        publish(bundle / "models/model.pt", bundle, "best")
