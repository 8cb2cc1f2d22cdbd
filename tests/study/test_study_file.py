"""A study file: how it is made and planned, and which files are refused."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowlight.enhance import Enhancer
from lowlight.errors import InputError, StudyError
from lowlight.imaging import collect
from lowlight.study import planning
from lowlight.study.making import Case, Design, make
from lowlight.study.studyfile import StudyFile


def shown(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def cases(folder: Path) -> list[Case]:
    return [Case((found,), "fundus") for found in collect([folder])]


def test_it_holds_every_version_of_every_image_as_the_engine_makes_it(
    study: StudyFile, dark_images: Path, enhancer: Enhancer
) -> None:
    study.check_pictures()
    source = np.asarray(Image.open(dark_images / "eye0.png"))
    np.testing.assert_array_equal(shown(study.picture(1, 1)), source)
    for version in list(study.versions.values())[1:]:
        assert version.kind == "enhanced"
        result = enhancer(source, version.brightness, version.denoise, force=True)
        np.testing.assert_array_equal(shown(study.picture(1, version.id)), result.image)


def test_every_reader_is_asked_everything_once_and_some_of_it_again(study: StudyFile) -> None:
    for reader in study.readers:
        items = study.items(reader)
        first = [item for item in items if item.repeats is None]
        asked = Counter((item.task, item.image, tuple(sorted(item.versions))) for item in first)
        # 3 images in 3 versions: 9 gradings and 9 pairs.
        assert set(asked.values()) == {1}
        assert Counter(task for task, _, _ in asked) == {"rating": 9, "pair": 9}
        by_id = {item.id: item for item in items}
        again = [item for item in items if item.repeats is not None]
        assert len(again) == 4
        for item in again:
            before = by_id[item.repeats or 0]
            assert (before.task, before.image, set(before.versions)) == (item.task, item.image, set(item.versions))
            assert before.position < item.position


def test_order_and_sides_differ_between_readers_and_follow_from_the_seed(
    study: StudyFile, dark_images: Path, enhancer: Enhancer, tmp_path: Path
) -> None:
    def plan(opened: StudyFile, reader: str) -> list[tuple[str, int, tuple[int, ...]]]:
        return [(item.task, item.image, item.versions) for item in opened.items(reader)]

    assert plan(study, "R1") != plan(study, "R2")
    design = Design(("rating", "pair"), ((0.5, 1.0), (1.0, 1.0)), readers=3, repeats=0.2)
    for seed, same in ((1, True), (2, False)):
        other = make(tmp_path / f"{seed}.study", cases(dark_images), Design(**{**vars(design), "seed": seed}), enhancer)
        with StudyFile(other) as opened:
            assert (plan(opened, "R1") == plan(study, "R1")) is same


def test_sides_are_left_as_often_as_right() -> None:
    questions = planning.questions("pair", range(40), [1, 2])
    items = [item for seed in range(20) for item in planning.planned(questions, 0, np.random.default_rng(seed))]
    assert 0.45 < np.mean([item.first == 1 for item in items]) < 0.55


@pytest.mark.parametrize("repeats", [0.1, 1.0])
def test_what_comes_twice_comes_later_and_not_soon_however_many_do(repeats: float) -> None:
    questions = planning.questions("pair", range(40), [1, 2, 3])
    for seed in range(10):
        items = planning.planned(questions, repeats, np.random.default_rng(seed))
        for position, item in enumerate(items):
            if item.repeats is not None:
                assert items[item.repeats].repeats is None
                assert item.repeats + planning.LEAST_DISTANCE < position or position >= len(questions)
                assert item.repeats < position


@pytest.mark.parametrize("images", [1, 4, 7, 10, 12, 50])
def test_a_selection_asks_each_combination_and_each_image_equally_often(images: int) -> None:
    every = planning.questions("pair", range(images), [1, 2, 3, 4, 5])
    assert set(planning.selected(every, None, np.random.default_rng(1))) == set(every)
    chosen = planning.selected(every, 25, np.random.default_rng(1))
    assert len(set(chosen)) == len(chosen) == min(25, len(every))
    for counts in (
        Counter(question.versions for question in chosen),
        Counter(question.image for question in chosen),
    ):
        assert max(counts.values()) - min(counts.values()) <= 1
    assert len({question.image for question in chosen}) == min(images, 25)


def test_other_methods_results_are_compared_too(dark_images: Path, enhancer: Enhancer, tmp_path: Path) -> None:
    others = tmp_path / "clahe"
    others.mkdir()
    for image in dark_images.iterdir():
        Image.fromarray(255 - np.asarray(Image.open(image))).save(others / f"{image.stem}.tif")
    design = Design(("pair",), ((1.0, 1.0),), others={"inverted": others})
    with StudyFile(make(tmp_path / "o.study", cases(dark_images), design, enhancer)) as opened:
        assert [version.name for version in opened.versions.values()][-1] == "inverted"
        np.testing.assert_array_equal(shown(opened.picture(1, 3)), 255 - shown(opened.picture(1, 1)))
    (others / "eye1.tif").unlink()
    with pytest.raises(InputError, match=r"clahe: has no result for .*eye1.png"):
        make(tmp_path / "p.study", cases(dark_images), design, enhancer)
    assert not (tmp_path / "p.study").exists()


def test_grey_of_more_than_8_bit_keeps_its_depth(enhancer: Enhancer, tmp_path: Path) -> None:
    deep = (np.arange(64 * 64).reshape(64, 64) * 3).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    found = Case(tuple(collect([tmp_path / "deep.png"])), "xray")
    with StudyFile(make(tmp_path / "d.study", [found], Design(("pair",), ((1.0, 1.0),)), enhancer)) as opened:
        np.testing.assert_array_equal(shown(opened.picture(1, 1)), deep)


@pytest.mark.parametrize(
    ("design", "fault"),
    [
        (Design(("pair",), ((1.0, 1.0),), original=False), "pairs need at least two versions"),
        (Design(("rating",), (), original=False), "no version to grade"),
        (Design(("pair",), ((1.0, 1.0), (1.0, 1.0))), "two versions have the same name"),
    ],
)
def test_a_design_that_asks_nothing_is_refused(
    design: Design, fault: str, dark_images: Path, enhancer: Enhancer, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=fault):
        make(tmp_path / "x.study", cases(dark_images), design, enhancer)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_study_is_refused(enhancer: Enhancer, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no image to make it from"):
        make(tmp_path / "x.study", [], Design(("pair",), ((1.0, 1.0),)), enhancer)


def test_a_study_of_a_newer_version_is_refused_and_stays_as_it_was(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StudyError, match=r"comes from a newer version .*update LowLightEnhance"):
        StudyFile(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_what_is_no_study_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.study").write_bytes(content)
    with pytest.raises(StudyError, match="is no reader study"):
        StudyFile(tmp_path / "x.study")
    with pytest.raises(StudyError, match="no such study"):
        StudyFile(tmp_path / "y.study")


def test_a_picture_that_changed_since_the_study_was_made_is_not_shown(study: StudyFile) -> None:
    with study.changing() as change:
        change.execute("UPDATE picture SET png = (SELECT png FROM picture WHERE image = 1 AND version = 3) "
                       "WHERE image = 2 AND version = 1")  # fmt: skip
    with pytest.raises(StudyError, match="image 2, version 1 is not the one that the study was made with"):
        study.check_pictures()


def test_a_picture_that_is_missing_is_told(study: StudyFile) -> None:
    with study.changing() as change:
        change.execute("DELETE FROM picture WHERE image = 3 AND version = 2")
    with pytest.raises(StudyError, match="image 3, version 2 is missing"):
        study.check_pictures()


def test_a_damaged_file_is_told(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[5000:9000] = b"\xff" * 4000
    path.write_bytes(content)
    with pytest.raises(StudyError), StudyFile(path) as opened:
        opened.check_pictures()


PAIR, RATING = (f"(SELECT id FROM item WHERE task = '{task}' AND reader = 'R1' LIMIT 1)" for task in ("pair", "rating"))
ANSWERED = "INSERT INTO answer (item, chosen, seconds, given) VALUES "


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("DELETE FROM reader WHERE id = 'R2'", "its table item names a reader that is not there"),
        (f"{ANSWERED} ({PAIR}, 99, 1, '')", "its table answer names a version that is not there"),
        (f"{ANSWERED} (9999, 1, 1, '')", "its table answer names an item that is not there"),
        ("DELETE FROM image WHERE id = 1", "names an image that is not there"),
        (f"{ANSWERED} ({PAIR}, NULL, 1, '')", "an answer chose a version that its item did not show"),
        (f"{ANSWERED} ({PAIR}, (SELECT 6 - first - second FROM item WHERE id = {PAIR}), 1, '')", "did not show"),
        (f"{ANSWERED} ({RATING}, NULL, 1, '')", "a grading was answered without a grade"),
        (f"{ANSWERED} ({PAIR}, (SELECT first FROM item WHERE id = {PAIR}), 'long', '')", "time is no number"),
        (f"{ANSWERED} ({RATING}, NULL, 1, ''); INSERT INTO grade VALUES (1, 'noise', 2.5)", "no whole number from 1"),
        ("UPDATE item SET second = NULL WHERE task = 'pair'", "shows one version where it has to show two"),
        ("UPDATE version SET brightness = 'much' WHERE id = 2", "a strength of an enhanced version is no number"),
        ("UPDATE item SET repeats = 1 WHERE reader = 'R3'", "an item asks again what another reader was asked"),
    ],
)
def test_contents_that_contradict_themselves_are_told_when_the_file_is_opened(
    changes: str, said: str, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(changes)
    with pytest.raises(StudyError, match=rf"contradicts itself: .*{said}.*; get an undamaged copy"):
        StudyFile(path)


def test_the_file_alone_travels(made: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in made.parent.iterdir()) == [made.name]
    with StudyFile(shutil.copy(made, tmp_path / "elsewhere.study")) as opened:
        opened.check_pictures()
