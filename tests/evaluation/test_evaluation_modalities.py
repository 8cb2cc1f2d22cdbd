"""Which modality an image is taken for, and what told it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlight.errors import InputError
from lowlight.evaluation.modalities import Modalities


def told(folder: Path, name: str) -> tuple[str, str]:
    path = Path(name)
    return Modalities().of([(folder / path, path)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("light/fundus/a.png", ("fundus", "sub-folder")),
        ("heavy/xray_17.png", ("xray", "file name")),
        ("xray/fundus_1.png", ("xray", "sub-folder")),
        ("heavy/photo.png", ("unknown", "nothing")),
    ],
)
def test_names_of_folders_and_files_tell(tmp_path: Path, name: str, expected: tuple[str, str]) -> None:
    assert told(tmp_path, name) == expected


def test_the_folder_that_was_named_tells_too(tmp_path: Path) -> None:
    assert told(tmp_path / "ultrasound", "17.png") == ("ultrasound", "sub-folder")


@pytest.mark.parametrize("written", ["clean/a.png", "set/clean/a.png"])
def test_a_list_in_a_folder_above_comes_first(tmp_path: Path, written: str) -> None:
    manifest = tmp_path / "set" / "MANIFEST.csv"
    manifest.parent.mkdir()
    manifest.write_text(f"file,source,modality\n{written},here,mammography\n")
    clean = tmp_path / "set" / "clean"
    modalities = Modalities()
    assert modalities.of([(clean / "a.png", Path("a.png"))]) == ("mammography", str(manifest))
    assert modalities.of([(clean / "xray_b.png", Path("xray_b.png"))]) == ("xray", "file name")


def test_a_list_that_lists_other_things_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.csv").write_text("name,colour\nxray_a.png,red\n")
    assert told(tmp_path, "xray_a.png") == ("xray", "file name")


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.csv").write_bytes(b"file,modality\n\xff\xfe,x\n")
    with pytest.raises(InputError, match=r"MANIFEST\.csv: cannot be read as a list of images"):
        told(tmp_path, "a.png")
