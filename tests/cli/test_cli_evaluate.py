"""`lowlight evaluate`: files paired by name, measured, averaged per group."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from cli_runs import dark, fingerprints, grey, lowlight, names, retina, save
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lowlight.cli.evaluating import By
from lowlight.evaluation import Grouping, pair
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
    assert ended.summary["means"] == [{"group": "all", "count": 1, "measures": measures}]


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
    assert rows_of(by_folder.out) == ["heavy 2", "light 2", "all 4"]
    for measure in ("psnr", "ssim", "contrast", "contrast_improvement", "colour_difference"):
        assert measure in by_folder.out.splitlines()[1], "the name it has in the table of --csv too"
        assert any(line.split()[:1] == [measure] for line in by_folder.out.splitlines()), "and its meaning below"
    by_prefix = lowlight(capsys, *arguments, "--by", "prefix")
    assert rows_of(by_prefix.out) == ["fundus 2", "xray 2", "all 4"]

    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["heavy/fundus_1", "heavy/xray_1", "light/fundus_1", "light/xray_1"]
    assert [row["group"] for row in rows] == ["fundus", "xray", "fundus", "xray"]
    assert rows[1]["clean"] == str(tmp_path / "clean/xray_1.png")
    assert rows[1]["colour_difference"] == "", "grey images have no colour difference"
    assert all(float(row["contrast_improvement"]) == 1 for row in rows)
    assert float(rows[0]["psnr"]) < float(rows[2]["psnr"])


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
    assert rows_of(ended.out) == ["all 1"]
    assert "100.00" in ended.out, "identical images have a finite PSNR"


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
    assert ended.summary["means"][0]["measures"]["contrast"] == 1
    (tmp_path / "clean/same.png").rename(tmp_path / "clean/speck.png")
    (tmp_path / "enhanced/same.png").unlink()
    alone = lowlight(capsys, *arguments)
    assert alone.code == 0
    assert "contrast" not in alone.out


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
    assert "not a folder" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert names(tmp_path) == ["one.png", "two.png"]


def test_the_command_line_offers_every_grouping() -> None:
    assert [str(by) for by in By] == [str(by) for by in Grouping]


def rows_of(table: str) -> list[str]:
    """Group and number of images of each row."""
    rows = [[cell.strip() for cell in line.strip().strip("│").split("│")] for line in table.splitlines() if "│" in line]
    return [" ".join(cells[:2]) for cells in rows]
