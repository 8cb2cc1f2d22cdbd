"""The four commands from images to calibrated strengths, and what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from dicom_files import nested, shipped
from platformdirs import user_config_path

from lowlight import Enhancer
from lowlight.cli.app import run
from lowlight.cli.studying import _cases as cases_of
from lowlight.enhance.settings import VARIABLE
from lowlight.errors import LimitError
from lowlight.imaging.limits import DicomReading, Limits


def commanded(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = run([str(argument) for argument in ("study", *arguments)])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def test_four_commands_lead_from_images_to_calibrated_strengths(
    dark_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, simulated, settings = tmp_path / "a.study", tmp_path / "b.study", tmp_path / "s.yaml"
    code, out, _ = commanded(
        capsys, "new", dark_images, "-o", study, "--readers", "8", "--items", "25", "--no-original", "--repeats", "0.1"
    )
    assert code == 0
    assert "3 images in 5 versions" in out
    code, out, _ = commanded(capsys, "simulate", study, "-o", simulated, "--prefer", "fundus=0.7", "--json")
    assert code == 0
    assert json.loads(out)["simulated"] is True
    code, out, _ = commanded(capsys, "report", simulated, "--resamples", "100")
    assert code == 0
    assert "SIMULATION" in out
    assert (tmp_path / "b.html").is_file()
    assert (tmp_path / "b.csv").is_file()
    code, out, _ = commanded(capsys, "calibrate", simulated, "--settings", settings)
    assert code == 0
    assert "SIMULATION: fundus: brightness 0." in out
    entry = yaml.safe_load(settings.read_text(encoding="utf-8"))["strengths"]["fundus"]
    assert abs(entry["brightness"] - 0.7) <= 0.06
    # Readers who would like it brighter than anything they see tell no strength, and none is printed.
    bright = tmp_path / "bright.study"
    assert commanded(capsys, "simulate", study, "-o", bright, "--prefer", "fundus=1.5")[0] == 0
    code, out, _ = commanded(capsys, "calibrate", bright, "--settings", tmp_path / "none.yaml")
    assert code == 1
    assert out.splitlines()[0] == "SIMULATION: fundus: 200 comparisons by 8 readers"
    assert "refused: fundus: the answers show no best brightness among the strengths that were shown" in out
    assert "95 %" not in out
    monkeypatch.setenv(VARIABLE, str(settings))
    assert Enhancer(device="cpu").strength("fundus", None, None)["brightness"] == entry["brightness"]


def test_simulated_readers_never_set_the_users_own_strengths(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.yaml"
    monkeypatch.setenv(VARIABLE, str(own))
    simulated = tmp_path / "b.study"
    assert commanded(capsys, "simulate", made, "-o", simulated)[0] == 0
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    default = user_config_path("lowlight", appauthor=False) / "settings.yaml"
    link = tmp_path / "link.yaml"
    link.symlink_to(own)
    for file in (None, own, tmp_path / "config" / ".." / "own.yaml", link, default):
        code, _, err = commanded(capsys, "calibrate", simulated, *(("--settings", file) if file else ()))
        assert code == 1
        assert "its readers are simulated, and do not set your default strengths" in err
        assert not own.exists()
        assert not default.exists()
    code, _, err = commanded(capsys, "serve", simulated, "--port", "0")
    assert code == 1
    assert "its readers are simulated; serve the study that it was simulated from" in err


def test_too_few_answers_write_nothing_and_say_how_many_are_needed(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated, settings = tmp_path / "b.study", tmp_path / "s.yaml"
    assert commanded(capsys, "simulate", made, "-o", simulated, "--prefer", "fundus=0.7")[0] == 0
    code, out, _ = commanded(capsys, "calibrate", simulated, "--settings", settings)
    assert code == 1
    assert "too few: at least 60 by 3 are needed" in out
    assert not settings.exists()


def test_an_image_that_is_named_twice_counts_once(
    dark_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = (dark_images, dark_images / "eye0.png", dark_images.parent / "." / dark_images.name)
    code, out, _ = commanded(capsys, "new", *twice, "-o", tmp_path / "a.study", "--brightness", "1")
    assert code == 0
    assert "3 images in 2 versions" in out


def test_images_of_no_known_kind_are_warned_of_before_anybody_reads(
    dark_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = Path(shutil.copy(dark_images / "eye0.png", tmp_path / "eye.png"))
    arguments = ("new", image, "-o", tmp_path / "a.study", "--brightness", "0.5,1")
    code, out, err = commanded(capsys, *arguments)
    assert code == 0
    assert "next: lowlight study serve" in out
    assert "warning: no image is of a kind that is known" in err
    assert "make the study again with --modality" in err
    code, _, err = commanded(capsys, "simulate", tmp_path / "a.study", "-o", tmp_path / "b.study", "--prefer", "xray=1")
    assert code == 1
    assert "has no image of the kind xray, only of: unknown; make it again with --modality" in err
    (tmp_path / "a.study").unlink()
    code, out, err = commanded(capsys, *arguments, "--modality", "fundus", "--json")
    assert (code, err, json.loads(out)["warnings"]) == (0, "", [])


def test_images_whose_values_are_measured_enter_a_study_only_if_one_insists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "a.study"
    arguments = ("new", shipped("CT_small.dcm"), "-o", study, "--brightness", "1")
    code, _, err = commanded(capsys, *arguments)
    assert code == 1
    assert 'CT_small.dcm: is a CT image: its values are measured, and "too dark" has no meaning for them' in err
    assert "insist with --any-modality" in err
    assert not study.exists()
    assert commanded(capsys, *arguments, "--any-modality")[0] == 0


def test_an_image_that_is_over_a_limit_is_told_and_not_left_out(
    dark_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = nested(tmp_path / "deep.dcm")
    code, _, err = commanded(capsys, "new", dark_images, deep, "-o", tmp_path / "a.study", "--limit", "nesting=8")
    assert code == 1
    assert "deep.dcm: nests sequences deeper than 8 levels" in err
    assert not (tmp_path / "a.study").exists()
    with pytest.raises(LimitError):
        cases_of([shipped("examples_rgb_color.dcm")], None, DicomReading(limits=Limits(seconds=0)))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("report", "{here}/none.study"), 1, "no such study; check the path, or make one"),
        (("report", "{image}"), 1, "is no reader study; name a file that `lowlight study new` made"),
        (("report", "{study}"), 1, "holds no answers yet; have it read first"),
        (("calibrate", "{study}"), 1, "holds no answers yet"),
        (("new", "{here}", "-o", "{here}/x.study"), 1, "there is no image to make it from"),
        (("new", "{image}", "-o", "{here}/x.png"), 2, "has to end in .study"),
        (("new", "{image}", "-o", "{study}"), 1, "exists already, and may hold answers"),
        (("new", "{image}", "-o", "{here}/x.study", "--brightness", "0.5,2"), 2, "'2' is not a number from 0 to 1.5"),
        (("new", "{image}", "-o", "{here}/x.study", "--other", "folder"), 2, "is not NAME=DIR"),
        (("simulate", "{study}", "-o", "{here}/x.study", "--prefer", "ct=1"), 2, "'ct' is none of xray"),
        (
            ("simulate", "{study}", "-o", "{here}/x.study", "--prefer", "xray=1"),
            1,
            "kind xray, only of: fundus; name one",
        ),
        (("simulate", "{study}", "-o", "{study}"), 1, "is the input itself, which is never changed"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    arguments: tuple[str, ...],
    code: int,
    said: str,
    path: Path,
    dark_images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {"here": str(empty), "study": str(path), "image": str(dark_images / "eye0.png")}
    before = path.read_bytes()
    found, out, err = commanded(capsys, *(argument.format(**places) for argument in arguments))
    assert found == code
    assert said in " ".join((out + err).replace("│", " ").split())
    assert path.read_bytes() == before
    assert list(empty.iterdir()) == []
