"""What MONAI, the Model Zoo and MONAI Label expect of a bundle."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_runs import REPOSITORY, run, workflow
from monai.bundle import verify_metadata, verify_net_in_out

import lowlight

LARGEST_FILE = 25 * 1024 * 1024
"""Bytes that the Model Zoo takes per file without a large_files.yml."""

SCHEMA = Path(__file__).with_name("metadata_schema.json")
META = ("--meta_file", "configs/metadata.json")


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


def monai(action: str, *options: str | Path) -> list[str | Path]:
    """The command line of another program of MONAI's bundles than `run`."""
    return [sys.executable, "-m", "monai.bundle", action, *options]


def test_the_users_commands_find_no_fault(tmp_path: Path) -> None:
    # MONAI takes a schema that is there already for the one that it would download.
    schema = shutil.copy(SCHEMA, tmp_path)
    command = monai("verify_metadata", *META, "--filepath", schema)
    assert "verified with no error" in run(command, tmp_path / "log.txt").succeeded()
    command = monai("verify_net_in_out", "network_def", *META, "--config_file", "configs/inference.yaml")
    assert "verified with no error" in run([*command, "--device", "cpu"], tmp_path / "log.txt").succeeded()


def without_required_packages(metadata: dict[str, Any]) -> None:
    del metadata["required_packages_version"]


def without_channel_names(metadata: dict[str, Any]) -> None:
    del metadata["network_data_format"]["outputs"]["pred"]["channel_def"]


def with_half_a_range(metadata: dict[str, Any]) -> None:
    metadata["network_data_format"]["inputs"]["image"]["value_range"] = [0]


def with_a_version_that_is_none(metadata: dict[str, Any]) -> None:
    metadata["version"] = "latest"


FAULTS = [without_required_packages, without_channel_names, with_half_a_range, with_a_version_that_is_none]


@pytest.mark.parametrize("spoil", FAULTS)
def test_the_schema_finds_what_is_wrong(
    metadata: dict[str, Any], tmp_path: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    spoiled = json.loads(json.dumps(metadata))
    spoil(spoiled)
    (tmp_path / "metadata.json").write_text(json.dumps(spoiled), encoding="utf-8")
    schema = shutil.copy(SCHEMA, tmp_path)
    with pytest.raises(ValueError, match="Failed validating"):
        verify_metadata(meta_file=str(tmp_path / "metadata.json"), filepath=str(schema))


def test_the_metadata_agrees_with_itself_and_with_the_package(metadata: dict[str, Any]) -> None:
    assert metadata["version"] in metadata["changelog"]
    assert metadata["version"] == lowlight.__version__
    for side in ("inputs", "outputs"):
        for tensor in metadata["network_data_format"][side].values():
            # MONAI Label reads channel names as strings, one a channel.
            assert list(tensor["channel_def"]) == [str(channel) for channel in range(tensor["num_channels"])]
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
