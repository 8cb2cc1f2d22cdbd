"""What MONAI, the Model Zoo and MONAI Label expect of a bundle."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from bundle_runs import REPOSITORY, workflow
from monai.bundle import verify_net_in_out

import lowlight

LARGEST_FILE = 25 * 1024 * 1024
"""Bytes that the Model Zoo takes per file without a large_files.yml."""

REQUIRED = {
    "schema": "verify_metadata loads it",
    "version": "the Model Zoo's index, and what derived images name",
    "changelog": "the Model Zoo refuses a version without an entry",
    "monai_version": "what the bundle was made with",
    "pytorch_version": "what the bundle was made with",
    "numpy_version": "what the bundle was made with",
    "required_packages_version": "what else has to be installed; required since schema 20240725",
    "task": "shown to users",
    "description": "shown to users",
    "authors": "shown to users",
    "copyright": "shown to users",
    "network_data_format": "verify_net_in_out and MONAI Label build inputs from it",
}
TENSOR = {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data", "channel_def"}
"""Keys that the published schema asks of a tensor of the network."""


@pytest.fixture(scope="module")
def metadata(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize(
    ("kind", "files"),
    [("train", ["train.yaml"]), ("train", ["train.yaml", "evaluate.yaml"]), ("infer", ["inference.yaml"])],
)
def test_no_property_is_missing(images: Path, tmp_path: Path, kind: str, files: list[str]) -> None:
    opened = workflow(kind, *files, dataset_dir=str(images), output_dir=str(tmp_path))
    opened.initialize()
    assert opened.check_properties() == []
    absent = {name for name in opened.properties if getattr(opened, name) is None}
    # Optional ones that make no sense here: nothing is done to what the network gave in training, nor is it measured,
    # and inference has no truth to measure against.
    assert absent <= {"train_postprocessing", "train_key_metric", "key_metric"}


def test_properties_can_be_set_from_outside(images: Path, tmp_path: Path) -> None:
    opened = workflow("train", "train.yaml", dataset_dir=str(images), output_dir=str(tmp_path))
    opened.initialize()
    opened.max_epochs = 7
    opened.val_interval = 3
    opened.initialize()
    assert opened.trainer.state.max_epochs == 7
    assert opened.val_interval == 3


@pytest.mark.parametrize(("p", "n", "any_size"), [(1, 1, 1), (2, 3, 37)])
def test_the_network_takes_and_gives_what_the_metadata_says(bundle: Path, p: int, n: int, any_size: int) -> None:
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "inference.yaml"),
        device="cpu",
        p=p,
        n=n,
        any=any_size,
    )


def test_the_metadata_says_what_the_published_schema_asks_for(metadata: dict[str, Any]) -> None:
    assert set(REQUIRED) <= set(metadata)
    assert re.fullmatch(r"\d+\.\d+\.\d+", metadata["version"])
    assert metadata["version"] in metadata["changelog"]
    assert metadata["version"] == lowlight.__version__
    for side in ("inputs", "outputs"):
        for tensor in metadata["network_data_format"][side].values():
            assert set(tensor) >= TENSOR
            # MONAI Label reads channel names as strings, one a channel.
            assert list(tensor["channel_def"]) == [str(channel) for channel in range(tensor["num_channels"])]
            assert all(isinstance(name, str) for name in tensor["channel_def"].values())
    # MONAI Label looks for the first input and output by these names.
    assert next(iter(metadata["network_data_format"]["inputs"])) == "image"
    assert next(iter(metadata["network_data_format"]["outputs"])) == "pred"


def test_the_versions_in_the_metadata_are_those_tested_together(metadata: dict[str, Any]) -> None:
    pinned = dict(
        line.lower().replace("_", "-").split("==")
        for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    named = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
    }
    for name, version in {**named, **metadata["required_packages_version"]}.items():
        assert pinned[name.lower().replace("_", "-")] == version, name


def test_the_folder_is_laid_out_as_the_model_zoo_wants_it(bundle: Path) -> None:
    for name in ("LICENSE", "configs/metadata.json", "configs/inference.yaml", "models/model.pt", "docs/README.md"):
        assert (bundle / name).is_file(), name
    shipped = [path for folder in ("configs", "models", "docs") for path in (bundle / folder).rglob("*")]
    assert all(path.stat().st_size <= LARGEST_FILE for path in shipped)


def test_no_config_names_a_folder_of_a_machine(bundle: Path) -> None:
    for file in (bundle / "configs").iterdir():
        assert not re.search(r"(?<![\w.'])/(home|work|root|tmp|mnt|Users)/", file.read_text(encoding="utf-8")), (
            file.name
        )


def test_the_licences_of_the_training_images_are_listed(bundle: Path) -> None:
    text = (bundle / "docs" / "data_license.txt").read_text(encoding="utf-8")
    for publisher in ("NIH ChestX-ray8", "ISIC", "IDRiD", "CHASE_DB1", "PAD-UFES-20", "Kodak"):
        assert publisher in text
    assert "BEFORE ANY COMMERCIAL USE" in text
    # The counts of each modality's sources add up to what its heading says.
    sections = re.split(r"\n(?=[A-Z][^\n]*: \d+ train, \d+ val\n)", text.split("\nOriginal publishers")[0])[1:]
    assert len(sections) == 6
    for section in sections:
        heading, _, table = section.partition("\n")
        counts = re.findall(r" (\d+) +(\d+)$", table, re.MULTILINE)
        totals = [sum(int(pair[column]) for pair in counts) for column in (0, 1)]
        assert totals == [int(number) for number in re.findall(r"(\d+) (?:train|val)", heading)], heading
