"""What a study found, as numbers, as a page and as a table of raw answers."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import browser
import numpy as np
import pytest
from fewer_answers import without
from PIL import Image

from lowlight import Enhancer
from lowlight.errors import StudyError
from lowlight.imaging import collect
from lowlight.study import power
from lowlight.study.analysis import analyse
from lowlight.study.making import Case, Design, make
from lowlight.study.observers import Population
from lowlight.study.report import write_report
from lowlight.study.simulating import simulate
from lowlight.study.studyfile import StudyFile

RESAMPLES = 200


@pytest.fixture(scope="module")
def simulated(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(made, tmp_path_factory.mktemp("simulated") / "s.study", Population(), seed=2)


def test_readers_who_go_by_what_is_seen_prefer_the_brightened_images(simulated: Path) -> None:
    with StudyFile(simulated) as study:
        findings = analyse(study, RESAMPLES, 1)
    (group,) = findings.groups
    assert findings.reference == "original"
    assert (findings.answered, findings.asked) == (66, 66)
    assert group.comparisons == 27
    assert group.repeated == 6
    full = group.preferences[-1]
    assert full.beats_low > 0.5
    assert full.low <= full.share <= full.high
    assert [part.question for part in group.graded] == ["clarity", "detail", "noise", "artefacts", "confidence"]
    clarity = group.graded[0].gradings[-1]
    assert clarity.low <= clarity.area <= clarity.high
    assert clarity.area > 0.8
    # Three images are too few for odds, and for p values.
    assert clarity.odds is None
    assert findings.tests == 0
    assert np.isnan([clarity.p, clarity.p_adjusted, full.p, full.p_adjusted]).all()
    assert "Fewer than 6 images (fundus): no p values are told, and intervals may be too narrow." in findings.notes


def test_p_values_are_told_from_six_images_on_and_adjusted_for_their_number(
    retina: np.ndarray, enhancer: Enhancer, tmp_path: Path
) -> None:
    images = tmp_path / "fundus"
    images.mkdir()
    for number in range(6):
        Image.fromarray((np.roll(retina[::8, ::8], 5 * number, 0) * 0.3).astype(np.uint8)).save(
            images / f"{number}.png"
        )
    cases = [Case((found,), "fundus") for found in collect([images])]
    design = Design(("pair", "rating"), ((0.5, 1.0), (1.0, 1.0)), readers=3)
    source = make(tmp_path / "asked.study", cases, design, enhancer)
    with StudyFile(simulate(source, tmp_path / "s.study", Population(), seed=2)) as study:
        findings = analyse(study, RESAMPLES, 1)
    (group,) = findings.groups
    # 2 versions beside the reference: pairs once, each of five questions by area.
    assert findings.tests == 2 + 2 * 5
    assert all(one.p_adjusted >= one.p > 0 for one in group.preferences[1:])
    assert all(one.p_adjusted >= one.p > 0 for part in group.graded for one in part.gradings)
    assert not any("Fewer than" in note for note in findings.notes)
    assert "They go by what can be seen" in study_fact(tmp_path / "s.study", "simulation")


def test_power_speaks_of_the_comparison_of_which_the_page_shows_the_interval(simulated: Path) -> None:
    with StudyFile(simulated) as study:
        (group,) = analyse(study, RESAMPLES, 1).groups
    said = group.power
    found = re.match(r" (\d+)(?: to (\d+))? %", said.split("preference of")[1])
    assert found is not None
    assert said.count("by version") == (found[2] is not None)
    least, most = int(found[1]), int(found[2] or found[1])
    told = []
    for one in group.preferences[1:]:
        # Found with 80 % power is a preference whose interval, as wide as this one, keeps off one half.
        half = (one.ability_high - one.ability_low) / 2
        detectable = 100 / (1 + np.exp(-half * 2.8016 / 1.96))
        told.append(detectable)
        assert detectable > 100 / (1 + np.exp(-half))
    assert (least, most) == (pytest.approx(min(told), abs=1), pytest.approx(max(told), abs=1))
    assert "27 comparisons of all versions" in said
    needed = float(said.split("it would take about ")[1].split()[0])
    widest = max(one.ability_high - one.ability_low for one in group.preferences[1:])
    assert needed == pytest.approx(27 * (2.8016 / 3.92 * widest / np.log(0.65 / 0.35)) ** 2, rel=0.05)


def test_power_that_differs_between_versions_is_told_as_a_range():
    said = power.of_pairs(60, [(-0.2, 0.6), (-0.9, 0.5)], 3, bounded=False)
    assert re.search(r"a preference of 64 to 73 %, by version, with", said)


def test_power_is_not_told_where_nothing_varies(simulated: Path, tmp_path: Path) -> None:
    with StudyFile(without(simulated, tmp_path / "one.study", "reader <> 'R1' OR image <> 1")) as study:
        (group,) = analyse(study, RESAMPLES, 1).groups
    assert group.power.startswith("Power is not told")
    assert group.grading_power.startswith("Power is not told")


def study_fact(path: Path, key: str) -> str:
    with StudyFile(path) as study:
        return study.fact(key)


def test_repetitions_do_not_count_twice_but_for_agreement(simulated: Path, tmp_path: Path) -> None:
    with StudyFile(without(simulated, tmp_path / "once.study", "repeats IS NOT NULL")) as study:
        fewer = analyse(study, RESAMPLES, 1)
    with StudyFile(simulated) as study:
        all_of_them = analyse(study, RESAMPLES, 1)
    # As text: the reference has no p value, and no NaN equals another.
    assert str(fewer.groups[0].preferences) == str(all_of_them.groups[0].preferences)
    assert fewer.groups[0].graded[0].within is None
    assert all_of_them.groups[0].graded[0].within is not None


def test_one_reader_only_is_analysed_and_said_to_hold_for_this_reader(simulated: Path, tmp_path: Path) -> None:
    with StudyFile(without(simulated, tmp_path / "alone.study", "reader <> 'R1'")) as study:
        findings = analyse(study, RESAMPLES, 1)
    assert any(note.startswith("One reader only") for note in findings.notes)
    assert findings.groups[0].between is None
    assert findings.groups[0].preferences[-1].high >= findings.groups[0].preferences[-1].low


def test_a_study_without_answers_has_no_report(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no answers yet"):
        write_report(path, tmp_path / "r.html", tmp_path / "r.csv", RESAMPLES, 1)
    assert not (tmp_path / "r.html").exists()


def test_the_page_is_whole_in_a_browser_and_says_that_it_is_a_simulation(simulated: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(simulated, page, tmp_path / "raw.csv", RESAMPLES, 1)
    with browser.running() as chromium, chromium.open(page) as opened:
        assert opened.complaints == []
        assert opened.requests == [page.resolve().as_uri()]
        text = opened.text
        assert "SIMULATION. Simulated readers gave these answers" in text
        assert opened.evaluate("document.querySelectorAll('svg.vgc path.curve').length") == 10
        numbers = "[...document.querySelector('svg.vgc').querySelectorAll('text')].map((text) => text.textContent)"
        assert sorted(opened.evaluate(numbers)) == sorted(["0", "0.25", "0.5", "0.75", "1"] * 2)
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for word in ("Krippendorff", "Holm", "80 % power", "brightness 0.5, denoise 1", "Odds ratio"):
            assert word in text, word
    with (tmp_path / "raw.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 66
    assert {row["simulated"] for row in rows} == {"yes"}
    assert "eye" not in (tmp_path / "raw.csv").read_text(encoding="utf-8")
    assert "eye" not in page.read_text(encoding="utf-8").lower().replace("eyes", "")


def test_the_simulation_leaves_its_source_unanswered(made: Path, simulated: Path) -> None:
    with StudyFile(made) as study:
        assert study.value("SELECT count(*) FROM answer") == 0
        assert not study.simulated
    with StudyFile(simulated) as study:
        assert study.simulated
        assert study.fact("title") == "SIMULATION: Eyes"
