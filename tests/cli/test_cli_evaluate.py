"""`lowlight evaluate`: files paired by name, measured, averaged per group."""

from __future__ import annotations

import csv
import re
import shutil
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from cli_runs import dark, fingerprints, grey, lowlight, names, retina, save
from pydicom.data import get_testdata_file
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lowlight.cli.evaluating import By
from lowlight.evaluation import MEANINGS, Grouping, Measures, pair
from lowlight.imaging import collect


def test_measures_agree_with_scikit_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, result = retina(), retina() // 2
    save(truth, tmp_path / "clean/eye.png")
    save(result, tmp_path / "enhanced/eye.png")
    ended = lowlight(capsys, "evaluate", tmp_path / "clean", tmp_path / "enhanced", "--json")
    assert (ended.code, ended.err) == (0, "")
    (entry,) = ended.entries
    measures = entry["measures"]
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}
    assert measures["psnr"] == pytest.approx(peak_signal_noise_ratio(truth, result), abs=1e-3)
    assert measures["ssim"] == pytest.approx(structural_similarity(truth, result, **settings), abs=5e-3)
    assert measures["colour_difference"] == pytest.approx(
        deltaE_ciede2000(rgb2lab(truth), rgb2lab(result)).mean(), abs=1e-2
    )
    assert measures["contrast"] == pytest.approx(0.5, abs=0.02)
    assert measures["contrast_improvement"] is None
    (group,) = ended.summary["groups"]
    assert (group["name"], group["count"]) == ("all", 1)
    for name, value in measures.items():
        told = group["measures"][name]
        assert (told["mean"], told["median"], told["low"]) == (value, value, None)


def test_groups_are_sub_folders_or_prefixes_and_a_truth_serves_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(grey(), tmp_path / "clean/xray_1.png")
    save(retina(), tmp_path / "clean/fundus_1.png")
    for folder, divisor in (("light", 2), ("heavy", 8)):
        save(grey() // divisor, tmp_path / f"dark/{folder}/xray_1.jpg")
        save(retina() // divisor, tmp_path / f"dark/{folder}/fundus_1.jpg")
    table = tmp_path / "table.csv"
    arguments = ("evaluate", tmp_path / "clean", tmp_path / "dark", "--input", tmp_path / "dark", "--csv", table)

    by_folder = lowlight(capsys, *arguments)
    assert (by_folder.code, by_folder.err) == (0, "")
    told = rows_of(by_folder.out)
    assert list(told["psnr"]) == ["heavy 2", "light 2", "all 4"]
    assert list(told["colour_difference"]) == ["heavy 1", "light 1", "all 2"], "grey images have none"
    named = {field.name for field in fields(Measures)} - {"ms_ssim"}
    assert set(told) == named, "the images are too small for five scales"
    for measure in named:
        assert any(line.split()[:1] == [measure] for line in by_folder.out.splitlines()), "its meaning stands below"
    assert "bootstrap, 2000 resamples" in by_folder.out
    by_prefix = lowlight(capsys, *arguments, "--by", "prefix")
    assert list(rows_of(by_prefix.out)["psnr"]) == ["fundus 2", "xray 2", "all 4"]

    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["heavy/fundus_1", "heavy/xray_1", "light/fundus_1", "light/xray_1"]
    assert [row["group"] for row in rows] == ["fundus", "xray", "fundus", "xray"]
    assert rows[1]["clean"] == str(tmp_path / "clean/xray_1.png")
    assert rows[1]["colour_difference"] == "", "grey images have no colour difference"
    assert all(float(row["contrast_improvement"]) == 1 for row in rows)
    assert float(rows[0]["psnr"]) < float(rows[2]["psnr"])

    with (tmp_path / "table_summary.csv").open(newline="") as stream:
        summary = {(row["group"], row["measure"]): row for row in csv.DictReader(stream)}
    means = [float(row["psnr"]) for row in rows]
    everything = summary["all", "psnr"]
    assert float(everything["mean"]) == pytest.approx(np.mean(means), rel=1e-5)
    assert float(everything["median"]) == pytest.approx(np.median(means), rel=1e-5)
    assert (everything["count"], everything["low"], everything["high"]) == ("4", "", ""), "two truths are too few"
    assert ("all", "ms_ssim") not in summary


def test_what_has_no_partner_or_another_size_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean, enhanced = tmp_path / "clean", tmp_path / "enhanced"
    save(grey(), clean / "good.png")
    save(grey(), enhanced / "good.png")
    save(grey(), clean / "lonely.png")
    save(grey(), enhanced / "new.png")
    save(grey(96), clean / "size.png")
    save(grey(64), enhanced / "size.png")
    (enhanced / "notes.txt").write_text("a note")
    (enhanced / "text.png").write_text("a text")
    ended = lowlight(capsys, "evaluate", clean, enhanced)
    assert ended.code == 1
    said = {Path(line.split(": ")[1]): line for line in ended.err.splitlines()}
    assert len(said) == len(ended.err.splitlines()) == 5
    assert "no partner among the enhanced" in said[clean / "lonely.png"]
    assert "no partner among the clean" in said[enhanced / "new.png"]
    assert "is 64 x 64, but" in said[enhanced / "size.png"]
    assert said[enhanced / "notes.txt"].startswith("skipped: ")
    assert "holds text" in said[enhanced / "text.png"]
    assert list(rows_of(ended.out)["psnr"]) == ["all 1"]
    assert "100.00" in ended.out, "identical images have a finite PSNR"


def test_images_without_a_partner_are_named_five_times_and_then_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean, enhanced = tmp_path / "clean", tmp_path / "enhanced"
    for number in range(9):
        save(grey(), clean / f"{number}.png")
    save(grey(), enhanced / "0.png")
    save(grey(), enhanced / "new.png")
    ended = lowlight(capsys, "evaluate", clean, enhanced)
    assert ended.code == 1
    *named, counted = ended.err.splitlines()
    assert len(named) == 5
    assert all("has no partner" in line for line in named)
    assert counted == "refused: 4 more images without a partner; --json names them all"
    assert "1 file compared, 9 refused" in ended.out.splitlines()[-1]
    told = lowlight(capsys, "evaluate", clean, enhanced, "--json")
    assert sum(entry["status"] == "refused" for entry in told.entries) == 9


def test_two_files_are_a_pair_whatever_their_names_and_depth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = save(grey(), tmp_path / "before.png")
    two = save(grey().astype(np.uint16) * 257, tmp_path / "after.png")
    ended = lowlight(capsys, "evaluate", one, two, "--json")
    assert ended.code == 0
    assert ended.entries[0]["measures"]["psnr"] == 100


def test_a_tint_counts_as_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tinted = np.dstack([grey(), grey(), grey() // 2])
    clean, enhanced = save(grey(), tmp_path / "grey.png"), save(tinted, tmp_path / "tinted.png")
    ended = lowlight(capsys, "evaluate", clean, enhanced, "--json")
    assert ended.entries[0]["measures"]["psnr"] < 30
    assert ended.entries[0]["measures"]["colour_difference"] > 5


def test_a_partner_is_never_guessed(tmp_path: Path) -> None:
    clean, enhanced = tmp_path / "clean", tmp_path / "enhanced"
    save(grey(), clean / "a.png")
    save(retina(), clean / "a.jpg")
    for name in ("a.png", "a.jpg.png", "a.tif"):
        save(grey(), enhanced / name)
    pairing = pair(collect([clean]), collect([enhanced]))
    assert {one.enhanced.path.name: one.clean.path.name for one in pairing.pairs} == {
        "a.png": "a.png",
        "a.jpg.png": "a.jpg",
    }
    (refused,) = pairing.refused
    assert "a.tif: could belong to a.jpg and a.png" in str(refused)


def test_flat_images_are_left_out_of_the_mean_contrast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = np.full((40, 40), 100, np.uint8)
    speck = flat.copy()
    speck[20, 20] = 101
    save(speck, tmp_path / "clean/speck.png")
    save(grey(40), tmp_path / "enhanced/speck.png")
    save(flat, tmp_path / "clean/same.png")
    save(flat, tmp_path / "enhanced/same.png")
    arguments = ("evaluate", tmp_path / "clean", tmp_path / "enhanced", "--input", tmp_path / "clean")
    ended = lowlight(capsys, *arguments, "--json")
    measures = {name: entry["measures"] for name, entry in ended.by_name().items()}
    assert (measures["speck.png"]["contrast"], measures["speck.png"]["contrast_improvement"]) == (None, None)
    assert (measures["same.png"]["contrast"], measures["same.png"]["psnr"]) == (1, 100)
    assert ended.summary["groups"][0]["measures"]["contrast"]["mean"] == 1
    (tmp_path / "clean/same.png").rename(tmp_path / "clean/speck.png")
    (tmp_path / "enhanced/same.png").unlink()
    alone = lowlight(capsys, *arguments)
    assert alone.code == 0
    assert "contrast" not in rows_of(alone.out)


def test_a_missing_side_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        save(grey(40), tmp_path / f"clean/{number}.png")
    (tmp_path / "empty").mkdir()
    for other, fault in ((tmp_path / "nowhere", "does not exist"), (tmp_path / "empty", "holds no image")):
        ended = lowlight(capsys, "evaluate", tmp_path / "clean", other)
        assert ended.code == 1
        (line,) = ended.err.splitlines()
        assert line.startswith(f"refused: {other}: {fault}; ")


def test_the_table_never_replaces_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = save(grey(40), tmp_path / "in/a.png")
    linked = tmp_path / "linked.csv"
    linked.hardlink_to(image)
    before = fingerprints(tmp_path)
    named = lowlight(capsys, "evaluate", image, image, "--csv", image)
    assert named.code == 2
    assert "has to end in .csv" in " ".join(named.err.replace("│", " ").split())
    other = save(grey(40), tmp_path / "other/a.png")
    for arguments in ((image, other), (other, image), (other, other, "--input", image), (image.parent, other)):
        ended = lowlight(capsys, "evaluate", *arguments, "--csv", linked)
        assert ended.code == 1
        (line,) = ended.err.splitlines()
        assert "never changed" in line
    assert fingerprints(tmp_path).items() >= before.items()
    # A table that lies among the images is no input: it is replaced by the next run.
    for _ in range(2):
        assert lowlight(capsys, "evaluate", image.parent, other.parent, "--csv", other.parent / "t.csv").code == 0


def test_a_table_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = save(grey(), tmp_path / "one.png")
    ended = lowlight(capsys, "evaluate", one, save(dark(grey()), tmp_path / "two.png"), "--csv", one / "table.csv")
    assert ended.code == 1
    assert "cannot be a folder" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert names(tmp_path) == ["one.png", "two.png"]


def test_the_command_line_offers_every_grouping() -> None:
    assert [str(by) for by in By] == [str(by) for by in Grouping]


def test_groups_are_modalities_and_it_is_said_what_told_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names_of = ("xray_1.png", "fundus/eye.png", "listed.png", "other.png")
    for name in names_of:
        save(grey(), tmp_path / "set/clean" / name)
        save(dark(grey()), tmp_path / "out/heavy" / name)
    manifest = tmp_path / "set/MANIFEST.csv"
    manifest.write_text("file,modality,licence\nclean/listed.png,ultrasound,mine\n")
    shutil.copy(str(get_testdata_file("CT_small.dcm")), tmp_path / "set/clean/scan")
    shutil.copy(str(get_testdata_file("CT_small.dcm")), tmp_path / "out/heavy/scan")
    arguments = ("evaluate", tmp_path / "set/clean", tmp_path / "out", "--by", "modality")
    ended = lowlight(capsys, *arguments)
    assert (ended.code, ended.err) == (0, "")
    told = dict.fromkeys(row.split()[0] for row in rows_of(ended.out)["psnr"])
    assert set(told) >= {"fundus", "ultrasound", "xray", "unknown", "all"}
    assert f"{manifest} (1 image)" in ended.out
    assert "sub-folder (1 image)" in ended.out
    assert "file name (1 image)" in ended.out

    manifest.write_bytes(b"file,modality\n\xff\xff,xray\n")
    damaged = lowlight(capsys, *arguments)
    assert damaged.code == 1
    assert f"{manifest}: cannot be read as a list of images" in damaged.err
    assert len(damaged.err.splitlines()) == 1


def test_the_page_holds_plots_numbers_and_pictures_and_loads_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, divisor in enumerate((2, 3, 4, 6, 8)):
        for group in ("a&b", "c"):
            save(retina(40 + number), tmp_path / f"clean/{group}/{number}.png")
            save(retina(40 + number) // divisor, tmp_path / f"out/{group}/{number}.png")
    save(retina(40), tmp_path / "clean/c/<script>.png")
    save(retina(40) // 9, tmp_path / "out/c/<script>.png")
    page = tmp_path / "page.html"
    ended = lowlight(
        capsys, "evaluate", tmp_path / "clean", tmp_path / "out", "--input", tmp_path / "out", "--html", page, "--json"
    )
    assert (ended.code, ended.err) == (0, "")
    text = page.read_text(encoding="utf-8")
    groups = {group["name"]: group for group in ended.summary["groups"]}
    assert set(groups) == {"a&b", "c", "all"}
    for group in groups.values():
        told = group["measures"]["psnr"]
        assert f"{told['mean']:.2f}" in text
        assert f"{told['low']:.2f} to {told['high']:.2f}" in text
    root = ElementTree.fromstring(re.sub(r"<meta[^>]*>|<link[^>]*>|<img[^>]*>|<!DOCTYPE html>", "", text))
    strips = [svg for svg in root.iter("svg") if svg.get("viewBox", "").startswith("0 0 480")]
    measured = [name for name, one in groups["all"]["measures"].items() if one["count"]]
    assert len(strips) == 3 * len(measured), "one for each measure and group"
    dots = [path.get("d", "").count("h0") for path in strips[2].iter("path") if path.get("class") == "points"]
    assert dots == [groups["all"]["count"]], "a dot for each image"
    assert "a&amp;b" in text
    assert "<script" not in text
    assert text.count("data:image/jpeg;base64,") == 3 * 4, (
        "before, after and truth of the middle and worst of two groups"
    )
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert str(tmp_path) not in text
    assert "bootstrap, 2000 resamples" in text


def test_a_page_never_replaces_an_image_and_has_a_name_of_its_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = save(grey(40), tmp_path / "one.png"), save(grey(40), tmp_path / "two.png")
    wrong = lowlight(capsys, "evaluate", one, two, "--html", tmp_path / "page.pdf")
    assert wrong.code == 2
    linked = tmp_path / "page.html"
    linked.hardlink_to(two)
    before = fingerprints(tmp_path)
    refused = lowlight(capsys, "evaluate", one, two, "--html", linked)
    assert refused.code == 1
    assert "never changed" in refused.err
    assert fingerprints(tmp_path) == before


def test_grey_stored_in_three_channels_is_grey(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = save(np.dstack([grey()] * 3), tmp_path / "clean.png")
    ended = lowlight(capsys, "evaluate", clean, save(dark(grey()), tmp_path / "dark.png"), "--json")
    assert ended.entries[0]["measures"]["colour_difference"] is None


def test_every_measure_has_its_meaning() -> None:
    assert list(MEANINGS) == [field.name for field in fields(Measures)]


def rows_of(table: str) -> dict[str, dict[str, list[str]]]:
    """Measure -> "group images" -> the other cells of the row."""
    rows: dict[str, dict[str, list[str]]] = {}
    measure = ""
    for line in table.splitlines():
        if not line.startswith("│"):
            continue
        first, group, count, *cells = (cell.strip() for cell in line.strip("│").split("│"))
        measure = first or measure
        rows.setdefault(measure, {})[f"{group} {count}"] = cells
    return rows
