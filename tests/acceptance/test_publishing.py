"""Publishing a size that has weights of its own, which takes a minute of a processor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from published_bundle import copied
from torch import nn

from lowlight import Enhancer
from lowlight.bundle import file_sha256
from lowlight.enhance.definition import Definition
from lowlight.enhance.exporting import publish

pytestmark = pytest.mark.acceptance


def files(folder: Path) -> dict[str, str]:
    found = (path for part in ("configs", "models") for path in (folder / part).iterdir())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in found}


def test_a_size_with_weights_of_its_own_has_a_graph_and_a_checksum_of_its_own(bundle: Path, tmp_path: Path) -> None:
    copy = copied(bundle, tmp_path / "bundle")
    torch.manual_seed(0)
    network = Definition.of(copy, "fast").made("network_def")["network_def"]
    nn.init.normal_(network.denoise.exit.conv.weight, std=0.05)
    default = torch.load(copy / "models/model.pt", weights_only=True)
    tone = {name: value for name, value in default.items() if name.startswith("tone.")}
    torch.save({**network.state_dict(), **tone}, tmp_path / "trained.pt")
    before = files(copy)
    publish(tmp_path / "trained.pt", copy, "fast")
    after, digest = files(copy), file_sha256(tmp_path / "trained.pt")
    different = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert different == {"models/fast.pt", "models/fast.onnx", "configs/metadata.json"}
    assert after["models/fast.pt"] == digest
    stated = json.loads((copy / "configs/metadata.json").read_text(encoding="utf-8"))
    assert (stated["fast_weights_sha256"], stated["weights_sha256"]) == (digest, before["models/model.pt"])
    found = [Enhancer(copy, device="cpu", engine=engine, size="fast") for engine in ("onnx", "torch")]
    assert [own.model.weights_sha256 for own in found] == [digest, digest]
    image = np.full((16, 24), 20, np.uint8)
    image[4:9] = 31
    first, second = (own(image, force=True).predictions[0].residual for own in found)
    assert np.abs(first - second).max() <= 1e-4
    assert Enhancer(copy, engine="onnx").model.weights_sha256 == before["models/model.pt"]
