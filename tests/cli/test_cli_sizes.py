"""`--size`: what was asked for is what is done, told and recorded, and results of two sizes do not mix."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pydicom
import pytest
from cli_runs import dark, grey, load, lowlight, retina, save
from film_files import panned, write_film
from PIL import Image
from pydicom.data import get_testdata_file

from lowlight import Enhancer
from lowlight.bundle import file_sha256
from lowlight.cli.options import EngineName
from lowlight.enhance.loading import ENGINES


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As workers have it: the last bit of what the network says depends on how many threads add it up."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.parametrize("size", ["fast", "best"])
def test_an_image_is_that_of_the_size_and_says_so(
    size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(dark(retina()), tmp_path / "in.png")
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "out.png", "--size", size, "--force", "--json")
    assert ended.code == 0
    own = Enhancer(device="cpu", size=size)
    assert np.array_equal(load(tmp_path / "out.png"), own(dark(retina()), force=True).image)
    told = ended.entries[0]["parameters"]
    assert (told["size"], told["weights_sha256"]) == (size, own.model.weights_sha256)
    with Image.open(tmp_path / "out.png") as image:
        assert f"(size {size}, weights {own.model.weights_sha256[:16]})" in image.info["Description"]
    usual = lowlight(capsys, "enhance", source, "-o", tmp_path / "usual.png", "--force", "--json")
    assert usual.entries[0]["parameters"]["size"] == "default"
    assert not np.array_equal(load(tmp_path / "out.png"), load(tmp_path / "usual.png"))


def test_derived_dicom_of_two_sizes_are_two_series_and_say_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Path(shutil.copy(get_testdata_file("examples_rgb_color.dcm"), tmp_path / "ultrasound.dcm"))
    made = {}
    for size in ("default", "best"):
        options = ("-o", tmp_path / size, "--size", size, "--force", "--phi")
        assert lowlight(capsys, "enhance", source, *options).code == 0
        made[size] = pydicom.dcmread(tmp_path / size / "ultrasound.dcm")
    equipment = {
        size: result.ContributingEquipmentSequence[-1].ContributionDescription for size, result in made.items()
    }
    assert "(size best, weights " in made["best"].DerivationDescription
    assert "; size best;" in equipment["best"]
    assert "size" not in made["default"].DerivationDescription + equipment["default"]
    assert made["best"].SeriesInstanceUID != made["default"].SeriesInstanceUID
    assert made["best"].SOPInstanceUID != made["default"].SOPInstanceUID


def test_a_film_is_that_of_the_size_and_says_so(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_film(tmp_path / "a.mp4", panned(2))
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "b.mp4", "--size", "fast", "--json", "--force")
    digest = file_sha256(bundle / "models" / "fast.pt")
    told = ended.entries[0]["parameters"]
    assert (told["size"], told["weights_sha256"]) == ("fast", digest)
    with av.open(str(tmp_path / "b.mp4")) as film:
        assert f"(size fast, weights {digest[:16]})" in film.metadata["comment"]


def test_the_processes_of_a_cluster_have_the_size_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(dark(grey(64)), tmp_path / "in" / "a.png")
    made = []
    for name, where in (("one", ()), ("two", ("--cluster", "local[1]"))):
        options = ("-o", tmp_path / name, "--size", "fast", "--force", "--json", *where)
        ended = lowlight(capsys, "enhance", tmp_path / "in", *options)
        assert ended.entries[0]["parameters"]["size"] == "fast"
        made.append(load(tmp_path / name / "a.png"))
    assert np.array_equal(*made)


def test_an_archive_is_gone_on_with_in_its_own_size_alone(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    digests = {name: file_sha256(bundle / "models" / f"{name}.pt")[:16] for name in ("model", "fast")}
    begun = {"default": f"weights {digests['model']}, size default", "fast": f"weights {digests['fast']}, size fast"}
    begun["best"] = f"weights {digests['model']}, size best"
    for size, said in begun.items():
        out = tmp_path / size
        assert lowlight(capsys, "archive", tmp_path / "in", "-o", out, "--size", size).code == 0
        with closing(sqlite3.connect(out / ".lowlight" / "ledger.sqlite3")) as ledger:
            ((wishes,),) = ledger.execute("SELECT value FROM facts WHERE name = 'wishes'")
        assert wishes.endswith(said)
        for other in begun.keys() - {size}:
            ended = lowlight(capsys, "archive", tmp_path / "in", "-o", out, "--size", other)
            assert ended.code == 1
            assert "was begun with other options" in ended.err
            assert said in ended.err
        assert lowlight(capsys, "archive", tmp_path / "in", "-o", out, "--size", size).code == 0


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this processor had units for numbers of 16 bits."""
    monkeypatch.setattr("lowlight.enhance.torch_engine.has_bfloat16", lambda device: True)


@pytest.mark.usefixtures("units")
def test_fewer_digits_are_told_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(get_testdata_file("examples_rgb_color.dcm"), tmp_path / "ultrasound.dcm")
    made = {}
    for engine in ("torch", "torch-bfloat16"):
        options = ("-o", tmp_path / engine, "--engine", engine, "--force", "--phi", "--json")
        ended = lowlight(capsys, "enhance", tmp_path / "ultrasound.dcm", *options)
        assert ended.entries[0]["parameters"]["engine"] == engine
        made[engine] = pydicom.dcmread(tmp_path / engine / "ultrasound.dcm")
    short = made["torch-bfloat16"]
    assert "(precision bfloat16, weights " in short.DerivationDescription
    assert "; precision bfloat16;" in short.ContributingEquipmentSequence[-1].ContributionDescription
    assert "precision" not in made["torch"].DerivationDescription
    assert short.SeriesInstanceUID != made["torch"].SeriesInstanceUID


def test_the_engines_are_those_that_there_are() -> None:
    assert tuple(EngineName) == ENGINES


@pytest.mark.parametrize("command", ["enhance", "archive"])
def test_what_is_no_size_is_wrong_usage(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = lowlight(capsys, command, tmp_path, "-o", tmp_path / "out", "--size", "huge")
    assert ended.code == 2
    assert re.search(r"'fast',\s+'default',\s+'best'", re.sub(r"[│\n]", " ", ended.err))
