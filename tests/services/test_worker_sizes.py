"""A worker of another size: all that it makes is of that size, and says so."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import grey_clip
from worker_runs import Worker

from lowlight import Enhancer


@pytest.mark.parametrize("size", ["fast", "best"])
def test_it_says_its_size_and_has_it(size: str, tmp_path: Path) -> None:
    own = Enhancer(device="cpu", size=size)
    (path,) = grey_clip(tmp_path / "in", 1)
    image = np.minimum(pydicom.dcmread(path).pixel_array, 1000)
    with Worker("--size", size) as worker:
        hello = worker.hello()
        assert (hello["size"], hello["weights_sha256"]) == (size, own.model.weights_sha256)
        answer = worker.enhance(image, value_range=[0, 1000], force=True)
        assert answer["size"] == size
        expected = own(image, value_range=(0, 1000), force=True).image
        # The last bit of what the network says depends on how many threads add it up.
        assert np.abs(worker.take(answer["image"]).astype(float) - expected).max() <= 1
        for name, more in (("kept", {"result": answer["result"]}), ("anew", {})):
            exported = worker.ask("export", sources=[str(path)], folder=str(tmp_path / name), **more)
            dataset = pydicom.dcmread(exported["files"][0])
            assert f"(size {size}, weights " in dataset.DerivationDescription
            assert f"size {size}" in dataset.ContributingEquipmentSequence[-1].ContributionDescription.split("; ")


WITH_UNITS = (
    "from lowlight.enhance import torch_engine; torch_engine.has_bfloat16 = lambda device: True; "
    "from lowlight.cli import main; main()"
)
"""As if the processor had units for numbers of 16 bits."""


@pytest.mark.parametrize("usual", ["torch", "torch-bfloat16"])
def test_what_is_exported_says_which_engine_made_it(usual: str, tmp_path: Path) -> None:
    (path,) = grey_clip(tmp_path / "in", 1)
    image = np.minimum(pydicom.dcmread(path).pixel_array, 1000)
    series = set()
    with Worker("--engine", usual, program=[sys.executable, "-c", WITH_UNITS]) as worker:
        worker.hello()
        for engine in ("torch", "torch-bfloat16"):
            answer = worker.enhance(image, value_range=[0, 1000], force=True, engine=engine)
            assert answer["engine"] == engine
            where = {"sources": [str(path)], "folder": str(tmp_path / engine)}
            exported = worker.ask("export", result=answer["result"], **where)
            dataset = pydicom.dcmread(exported["files"][0])
            assert ("(precision bfloat16, weights " in dataset.DerivationDescription) == (engine == "torch-bfloat16")
            series.add(dataset.SeriesInstanceUID)
    assert len(series) == 2
