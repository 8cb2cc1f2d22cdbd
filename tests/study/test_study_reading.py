"""One reader at work, without any page or window."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lowlight.errors import ReaderElsewhereError, StudyError
from lowlight.study.questions import CRITERIA
from lowlight.study.reading import Reading
from lowlight.study.studyfile import Item, StudyFile

GRADES = {criterion.key: 3 for criterion in CRITERIA}


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def answer(reading: Reading, item: Item | None) -> None:
    assert item is not None
    if item.task == "pair":
        reading.choose(item.id, "left")
    else:
        reading.grade(item.id, GRADES)


def standing(study: StudyFile) -> list[tuple[int, float]]:
    return [tuple(row) for row in study.rows("SELECT item, seconds FROM answer WHERE undone IS NULL ORDER BY id")]


def test_items_come_in_their_order_until_all_are_answered(study: StudyFile) -> None:
    reading = Reading(study, "R1")
    met = []
    while (item := reading.current()) is not None:
        met.append(item)
        answer(reading, item)
    assert met == study.items("R1")
    assert (reading.progress.done, reading.progress.total) == (len(met), len(met))


def test_an_answer_is_on_disk_when_the_call_returns(study: StudyFile, path: Path, tmp_path: Path) -> None:
    reading = Reading(study, "R1")
    for count in range(1, 4):
        answer(reading, reading.current())
        # What another program finds in the file alone, without the log beside it.
        with StudyFile(shutil.copy(path, tmp_path / f"copy{count}.study")) as seen:
            assert len(standing(seen)) == count


def test_undo_brings_the_last_item_back_and_keeps_the_first_answer_on_record(study: StudyFile) -> None:
    reading = Reading(study, "R1")
    assert reading.undo() is False
    first, second = study.items("R1")[:2]
    answer(reading, reading.current())
    answer(reading, reading.current())
    assert reading.undo() is True
    assert reading.current() == second
    reading.grade(second.id, {**GRADES, "noise": 5})
    answers = study.rows("SELECT item, undone FROM answer ORDER BY id")
    assert [(row["item"], row["undone"] is None) for row in answers] == [
        (first.id, True),
        (second.id, False),
        (second.id, True),
    ]


def test_the_time_of_an_item_leaves_pauses_out(study: StudyFile) -> None:
    clock = Clock()
    reading = Reading(study, "R1", clock=clock)
    item = reading.current()
    clock.now += 4
    reading.pause()
    clock.now += 1000
    reading.pause()
    with pytest.raises(StudyError, match="paused"):
        answer(reading, item)
    reading.resume()
    reading.current()
    clock.now += 3
    answer(reading, item)
    second = reading.current()
    clock.now += 2.5
    answer(reading, second)
    assert [seconds for _, seconds in standing(study)] == [7.0, 2.5]


def test_a_click_that_comes_twice_is_one_answer(study: StudyFile) -> None:
    reading = Reading(study, "R1")
    item = reading.current()
    answer(reading, item)
    answer(reading, item)
    assert len(standing(study)) == 1
    assert item is not None
    with pytest.raises(StudyError, match="answered already; undo the answer to change it"):
        reading.grade(item.id, {**GRADES, "noise": 1})


def test_no_item_can_be_answered_out_of_turn(study: StudyFile) -> None:
    reading = Reading(study, "R1")
    later, foreign = study.items("R1")[3], study.items("R2")[0]
    with pytest.raises(StudyError, match="not the item to answer now"):
        answer(reading, later)
    with pytest.raises(StudyError, match="has no such item"):
        answer(reading, foreign)
    with pytest.raises(StudyError, match="has no such item"):
        reading.choose(later.id, "left")
    assert standing(study) == []


@pytest.mark.parametrize(
    ("grades", "fault"),
    [
        ({**GRADES, "noise": 6}, "Noise: 6 is not on the scale"),
        ({**GRADES, "noise": 0}, "Noise: 0 is not on the scale"),
        ({**GRADES, "noise": 2.5}, "Noise: 2.5 is not on the scale"),
        ({**GRADES, "noise": True}, "not on the scale"),
        ({**GRADES, "noise": "3"}, "not on the scale"),
        (dict.fromkeys(list(GRADES)[:4], 3), "Diagnostic confidence is not graded; grade it"),
        ({**GRADES, "beauty": 3}, "'beauty' is not asked"),
    ],
)
def test_answers_outside_the_scale_are_refused_and_the_item_stays(study: StudyFile, grades: dict, fault: str) -> None:
    reading = Reading(study, "R1")
    item = reading.current()
    assert item is not None
    with pytest.raises(StudyError, match=fault):
        reading.grade(item.id, grades)
    with pytest.raises(StudyError, match="is no side"):
        reading.choose(item.id, "middle")
    assert standing(study) == []
    assert reading.current() == item


def test_an_unknown_reader_is_told_who_is_known(study: StudyFile) -> None:
    with pytest.raises(StudyError, match="has no reader 'R9'; its readers are R1, R2, R3"):
        Reading(study, "R9")


def test_a_reader_reads_in_one_place_at_a_time(study: StudyFile, path: Path) -> None:
    first = Reading(study, "R1")
    item = first.current()
    with StudyFile(path) as elsewhere:
        with pytest.raises(ReaderElsewhereError, match="R1 is reading elsewhere"):
            Reading(elsewhere, "R1")
        second = Reading(elsewhere, "R1", take_over=True)
        with pytest.raises(StudyError, match="went on reading elsewhere, and this answer was not taken"):
            answer(first, item)
        answer(second, second.current())
        second.close()
        Reading(elsewhere, "R1")
    assert len(standing(study)) == 1


def test_a_sitting_that_a_crash_left_behind_goes_on(study: StudyFile, path: Path) -> None:
    first = Reading(study, "R1")
    answer(first, first.current())
    study.close()
    with StudyFile(path) as opened:
        again = Reading.resumed(opened, first.token)
        assert again is not None
        assert again.reader == "R1"
        assert again.current() == opened.items("R1")[1]
        assert Reading.resumed(opened, "another token") is None


def test_two_readers_in_turns_do_not_mix(study: StudyFile, path: Path) -> None:
    with StudyFile(path) as other:
        readings = [Reading(study, "R1"), Reading(other, "R2")]
        for turn in range(12):
            reading = readings[turn % 2]
            item = reading.current()
            assert item is not None
            assert item.reader == reading.reader
            answer(reading, item)
        for reading in readings:
            items = [row["item"] for row in study.rows("SELECT item FROM answer ORDER BY id")]
            own = {item.id for item in study.items(reading.reader)}
            assert [item for item in items if item in own] == [item.id for item in study.items(reading.reader)[:6]]
