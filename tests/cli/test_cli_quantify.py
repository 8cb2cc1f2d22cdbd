"""`lowlight quantify`: how damaged images are, on the console, as a table and for programs."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cli_runs import dark, fingerprints, grey, lowlight, retina, save
from PIL import Image
from pydicom.data import get_testdata_file

from lowlight.artifacts.published import published_metrics
from lowlight.artifacts.quantifying import quantify
from lowlight.imaging import read

ARTIFACTS = ("Noise", "Salt-and-pepper", "Blur", "JPEG", "Exposure")


def test_one_image_has_a_line_for_each_artifact_and_a_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = lowlight(capsys, "quantify", save(dark(retina(256)), tmp_path / "eye.png"))
    assert (ended.code, ended.err) == (0, "")
    for name in ARTIFACTS:
        assert name in ended.out
    verdict, summary = ended.out.splitlines()[-2:]
    assert "under-exposure" in verdict
    assert summary.startswith("1 file measured (")


def test_the_numbers_are_those_of_the_estimators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(dark(retina(256)), tmp_path / "eye.png")
    ended = lowlight(capsys, "quantify", path, "--json")
    (entry,) = ended.entries
    assert entry["measures"] == quantify(dark(retina(256)), (0, 255)).as_dict()
    assert entry["output"] is None
    assert ended.summary["done"] == 1


def test_the_tables_of_a_jpeg_file_tell_its_quality(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "eye.jpg"
    Image.fromarray(retina(256)).save(path, quality=35)
    shutil.copy(get_testdata_file("examples_ybr_color.dcm"), tmp_path / "ultrasound.dcm")
    entries = lowlight(capsys, "quantify", tmp_path, "--json").by_name()
    assert entries["eye.jpg"]["measures"]["jpeg_quality"] == 35
    assert entries["eye.jpg"]["measures"]["jpeg_source"] == "file"
    assert entries["ultrasound.dcm"]["measures"]["jpeg_source"] == "file", "DICOM holds JPEG files too"


def test_bad_files_get_a_line_each_and_the_rest_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in"
    good = save(grey(), source / "good.png")
    save(dark(retina()), source / "z/last.png")
    (source / "cut.png").write_bytes(good.read_bytes()[:900])
    (source / "notes.txt").write_text("a note")
    shutil.copy(get_testdata_file("rtplan.dcm"), source / "plan.dcm")
    before = fingerprints(source)

    ended = lowlight(capsys, "quantify", source, tmp_path / "missing.png")

    assert ended.code == 1
    said = {Path(line.split(": ")[1]).name: line.split(": ")[0] for line in ended.err.splitlines()}
    assert said == {"cut.png": "refused", "notes.txt": "skipped", "plan.dcm": "skipped", "missing.png": "refused"}
    assert ended.out.splitlines()[-1].startswith("2 files measured, 2 skipped, 2 refused (")
    assert "good.png" in ended.out
    assert "last.png" in ended.out
    assert fingerprints(source) == before


def test_odd_images_have_numbers_or_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in"
    save(np.zeros((40, 40), np.uint8), source / "black.png")
    save(np.full((40, 40, 3), 255, np.uint8), source / "white.png")
    save(np.full((1, 1), 9, np.uint8), source / "pixel.png")
    save(grey(6), source / "less_than_a_block.png")
    save(dark(grey()).astype(np.uint16) * 257, source / "deep.png")
    save(np.dstack([retina(), np.zeros((96, 96), np.uint8)]), source / "transparent.png")
    shutil.copy(get_testdata_file("CT_small.dcm"), source / "signed.dcm")
    ended = lowlight(capsys, "quantify", source, "--json", "--html", tmp_path / "page.html")
    assert ended.code == 0, ended.out
    for name, entry in ended.by_name().items():
        measures = entry["measures"]
        assert set(measures["not_measurable"]) == {key for key, value in measures.items() if value is None}, name
        assert all(measures["not_measurable"].values()), name


def test_what_cannot_be_measured_is_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    black = save(np.zeros((64, 64), np.uint8), tmp_path / "black.png")
    alone = lowlight(capsys, "quantify", black)
    assert "not measurable: " in alone.out
    several = lowlight(capsys, "quantify", black, save(grey(), tmp_path / "grey.png"))
    assert "not measurable in 1 image: " in several.out


def test_damage_is_not_claimed_where_nothing_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(np.dstack([retina(), np.zeros((96, 96), np.uint8)]), tmp_path / "in/transparent.png")
    save(np.full((64, 64), 255, np.uint8), tmp_path / "in/white.png")
    table = tmp_path / "t.csv"
    ended = lowlight(capsys, "quantify", tmp_path / "in", "--csv", table, "--html", tmp_path / "p.html")
    assert ended.code == 0
    assert ended.out.count("not judged") == 2
    assert "damaged" not in ended.out
    with table.open(newline="", encoding="utf-8") as stream:
        assert [row["state"] for row in csv.DictReader(stream)] == ["not judged", "not judged"]
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert page.count("is-not-judged") >= 4
    assert "is-damaged" not in page


def test_a_good_image_with_a_rating_says_why_it_needs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from skimage import data

    photograph = Image.fromarray(data.astronaut()).resize((320, 320), Image.Resampling.LANCZOS)
    path = tmp_path / "good.jpg"
    photograph.save(path, quality=92)
    assert quantify(np.asarray(photograph), (0, 255)).undamaged
    ended = lowlight(capsys, "quantify", path)
    assert "verdict: undamaged" in ended.out
    assert "Good images have as much JPEG damage, and enhancing would not improve it." in ended.out


def test_the_csv_has_a_line_an_image_and_every_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(np.zeros((64, 64), np.uint8), tmp_path / "in/black.png")
    save(retina(256), tmp_path / "in/eye.png")
    table = tmp_path / "in/table.csv"
    for _ in range(2):
        # The second run does not take the table of the first for an image.
        ended = lowlight(capsys, "quantify", tmp_path / "in", "--csv", table)
        assert (ended.code, ended.err) == (0, "")
    with table.open(newline="", encoding="utf-8") as stream:
        black, eye = csv.DictReader(stream)
    assert Path(eye["file"]) == tmp_path / "in/eye.png"
    numbers = quantify(retina(256), (0, 255)).as_dict()
    assert float(eye["noise_sigma"]) == pytest.approx(numbers["noise_sigma"], rel=1e-4)
    assert eye["severity_exposure"] == numbers["severities"]["exposure"]
    assert eye["undamaged"] == ("yes" if numbers["undamaged"] else "no")
    assert black["noise_sigma"] == ""
    assert "noise_sigma: " in black["not_measurable"]


def test_a_file_name_does_not_become_a_formula(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(grey(), Path("=1+1.png"))
    assert lowlight(capsys, "quantify", "=1+1.png", "--csv", "table.csv").code == 0
    with Path("table.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert row["file"] == "./=1+1.png"
    assert Path(row["file"]).is_file()


def test_frames_are_measured_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = tmp_path / "stack.tif"
    frames = np.stack([grey(128) // divisor for divisor in (1, 2, 8)])
    tifffile.imwrite(stack, frames, photometric="minisblack")
    (middle,) = lowlight(capsys, "quantify", stack, "--json").entries
    assert middle["parameters"] == {"frames": 3, "measured": [2]}
    assert middle["measures"] == quantify(frames[1], (0, 255)).as_dict()
    (every,) = lowlight(capsys, "quantify", stack, "--json", "--every-frame").entries
    means = [measures["mean"] for measures in every["measures"]["by_frame"]]
    assert means == [quantify(frame, (0, 255)).exposure.mean.value for frame in frames]
    assert means == sorted(means, reverse=True)
    table = tmp_path / "table.csv"
    lowlight(capsys, "quantify", stack, "--every-frame", "--csv", table)
    with table.open(newline="") as stream:
        assert [row["frame"] for row in csv.DictReader(stream)] == ["1", "2", "3"]


def test_padding_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.zeros((200, 128, 4), np.uint8)
    pixels[40:168, :, :3], pixels[40:168, :, 3] = retina(128), 255
    save(pixels, tmp_path / "padded.png")
    assert read(tmp_path / "padded.png").valid is not None
    (entry,) = lowlight(capsys, "quantify", tmp_path / "padded.png", "--json").entries
    inside = pixels[40:168, :, :3] @ np.array([0.299, 0.587, 0.114]) / 255
    assert entry["measures"]["mean"] == pytest.approx(inside.mean(), abs=0.01)


def test_the_published_metrics_are_printed_as_they_were_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(retina(128), tmp_path / "eye.png")
    ended = lowlight(capsys, "quantify", tmp_path, "--published", "--csv", tmp_path / "t.csv")
    assert (ended.code, ended.err) == (0, "")
    for printed in published_metrics(retina(128)).printed().values():
        assert printed in ended.out
        assert len(printed.split("e")[0].replace(".", "").lstrip("0")) <= 5, "significant digits"
    with (tmp_path / "t.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["blur"]) == pytest.approx(published_metrics(retina(128)).blur.value, rel=1e-4)
    assert row["rating_salt_and_pepper"] == published_metrics(retina(128)).ratings["salt_and_pepper"]


def test_an_output_never_replaces_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = save(grey(40), tmp_path / "in/a.png")
    page = tmp_path / "page.html"
    page.hardlink_to(image)
    before = fingerprints(tmp_path)
    ended = lowlight(capsys, "quantify", tmp_path / "in/a.png", page, "--html", page)
    assert ended.code == 1
    assert "never changed" in ended.err
    for option, name in (("--html", "a.png"), ("--csv", "page.html")):
        assert lowlight(capsys, "quantify", image, option, tmp_path / name).code == 2
    assert lowlight(capsys, "quantify", image, "--published", "--html", tmp_path / "p.html").code == 2
    assert fingerprints(tmp_path) == before


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = save(grey(40), tmp_path / "a.png")
    for option in ("--csv", "--html"):
        ended = lowlight(capsys, "quantify", image, option, image / f"out.{option.strip('-')}")
        assert ended.code == 1
        (line,) = ended.err.splitlines()
        assert "is a file" in line
