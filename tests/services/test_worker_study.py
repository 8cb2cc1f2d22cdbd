"""A reader study through the worker: blind, one item after the other, and on disk before the next."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from worker_runs import Fields, Worker

from lowlight import Enhancer
from lowlight.imaging import collect
from lowlight.services.sitting import STUDY_MESSAGES
from lowlight.study.making import Case, Design, make
from lowlight.study.questions import CRITERIA
from lowlight.study.studyfile import StudyFile

GRADES = {criterion.key: 4 for criterion in CRITERIA}


@pytest.fixture(scope="session")
def made(retina: np.ndarray, enhancer: Enhancer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three images, pairs and ratings, for two readers."""
    folder = tmp_path_factory.mktemp("worker-study")
    small = retina[::4, ::4]
    for number, pixels in enumerate((small, small[:, ::-1], small[::-1])):
        Image.fromarray((pixels * 0.3).astype(np.uint8)).save(folder / f"secret{number}.png")
    cases = [Case((found,), "fundus") for found in collect([folder])]
    design = Design(("rating", "pair"), ((0.5, 1.0), (1.0, 1.0)), readers=2, items=4, repeats=0, title="Eyes")
    return make(folder / "eyes.study", cases, design, enhancer)


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(made, tmp_path / "eyes.study"))


def begin(worker: Worker, path: Path, reader: str = "R1", **fields: object) -> Fields:
    """Open the study and begin."""
    opened = worker.ask("study_open", path=str(path))
    assert opened["type"] == "study", opened
    return worker.ask("study_begin", reader=reader, **fields)


def answer(worker: Worker, item: Fields) -> Fields:
    """Answer the item that is shown, and take its pictures away."""
    for name in item["pictures"]:
        worker.take(name)
    given = {"side": "right"} if item["task"] == "pair" else {"grades": GRADES}
    return worker.ask("study_answer", item=item["item"], **given)


def answered(path: Path) -> int:
    """Standing answers in the file."""
    with StudyFile(path) as study:
        return study.value("SELECT count(*) FROM answer WHERE undone IS NULL")


def test_hello_tells_the_version_of_the_study_messages(worker: Worker) -> None:
    assert worker.ask("hello", protocol=1)["study_messages"] == STUDY_MESSAGES == 1


def test_every_answer_is_on_disk_before_the_next_item_comes(worker: Worker, path: Path) -> None:
    item = begin(worker, path)
    tasks, count = [], 0
    while item["item"] is not None:
        assert (item["done"], item["total"]) == (count, 8)
        tasks.append(item["task"])
        item = answer(worker, item)
        count += 1
        assert answered(path) == count
    assert sorted(tasks) == ["pair"] * 4 + ["rating"] * 4
    assert worker.ask("study_end")["type"] == "study_ended"
    with StudyFile(path) as study:
        assert all(seconds[0] < 60 for seconds in study.rows("SELECT seconds FROM answer"))
        assert study.value("SELECT sitting FROM reader WHERE id = 'R1'") is None


def test_the_pictures_are_those_of_the_file_and_nothing_gives_them_away(worker: Worker, path: Path) -> None:
    item = begin(worker, path)
    with StudyFile(path) as study:
        shown = study.items("R1")[0]
        names = [version.name for version in study.versions.values()]
        assert (item["item"], item["task"]) == (shown.id, shown.task)
        for name, version in zip(item["pictures"], shown.versions, strict=True):
            import io

            expected = np.asarray(Image.open(io.BytesIO(study.picture(shown.image, version))))
            assert np.array_equal(worker.take(name), expected)
    told = str(item)
    assert not [word for word in (*names, "secret", "brightness", "original", "enhanced") if word in told]


def test_undo_pause_and_resume(worker: Worker, path: Path) -> None:
    first = begin(worker, path)
    second = answer(worker, first)
    for name in second["pictures"]:
        worker.take(name)
    again = worker.ask("study_undo")
    assert (again["item"], again["done"]) == (first["item"], 0)
    paused = worker.ask("study_pause")
    assert (paused["paused"], paused["item"], "pictures" in paused) == (True, None, False)
    refused = worker.ask("study_answer", item=first["item"], side="left")
    assert refused["kind"] == "study"
    assert worker.ask("study_resume")["item"] == first["item"]
    assert worker.ask("study_alive")["type"] == "study_alive"


def test_a_killed_worker_loses_at_most_the_answer_that_was_not_confirmed(path: Path) -> None:
    with Worker() as first:
        first.hello()
        item = answer(first, begin(first, path))
        sitting = item["sitting"]
        # Sent, and whether it was taken nobody knows.
        first.send("study_answer", item=item["item"], side="left", grades=None)
        os.kill(first.pid, signal.SIGKILL)
        first.process.wait()
    assert answered(path) in (1, 2)
    with Worker() as second:
        second.hello()
        refused = begin(second, path)
        assert refused["kind"] == "reader-elsewhere"
        resumed = second.ask("study_begin", reader="R1", sitting=sitting)
        assert resumed["done"] == answered(path)
        assert resumed["item"] is not None


def test_who_is_taken_over_from_cannot_answer_any_more(worker: Worker, path: Path) -> None:
    item = begin(worker, path)
    with Worker() as other:
        other.hello()
        assert begin(other, path)["kind"] == "reader-elsewhere"
        assert other.ask("study_begin", reader="R1", take_over=True)["item"] == item["item"]
        refused = answer(worker, item)
        assert refused["kind"] == "reader-elsewhere"
        assert "not taken" in refused["message"]
    assert answered(path) == 0
    # The other one ended with its worker: the chair is free at once.
    assert begin(worker, path)["type"] == "study_item"


def test_bad_requests_cost_nothing_but_themselves(worker: Worker, path: Path, tmp_path: Path) -> None:
    no_study = tmp_path / "notes.study"
    no_study.write_text("not a study")
    for wrong in (no_study, tmp_path / "nowhere.study"):
        error = worker.ask("study_open", path=str(wrong))
        assert error["kind"] == "study"
        assert error["remedy"]
        assert str(tmp_path) not in error["message"]
    assert worker.ask("study_begin", reader="R1")["kind"] == "bad-request"
    assert worker.ask("study_answer", item=1, side="left")["kind"] == "no-sitting"
    assert "no reader 'R9'" in begin(worker, path, "R9")["message"]
    item = begin(worker, path)
    for wrong_answer in (
        {},
        {"side": "up"},
        {"grades": [1]},
        {"grades": {"clarity": 9}},
        {"side": "left", "grades": {}},
    ):
        assert worker.ask("study_answer", item=item["item"], **wrong_answer)["type"] == "error"
    assert worker.ask("study_answer", item=item["item"] + 1, side="left")["type"] == "error"
    assert answered(path) == 0
    assert answer(worker, item)["done"] == 1


def test_pictures_of_another_depth_are_shown_in_one() -> None:
    from lowlight.services.sitting import _alike

    grey, deep = np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint16)
    first, second = _alike([grey, deep])
    assert first.dtype == second.dtype == np.uint16
    assert first.max() == 65535
    first, second = _alike([grey, np.zeros((4, 4, 3), np.uint8)])
    assert first.shape == second.shape == (4, 4, 3)


def test_a_picture_that_is_none_is_refused_in_words(worker: Worker, path: Path) -> None:
    import hashlib

    png = b"no picture"
    with StudyFile(path) as study, study.changing() as change:
        change.execute("UPDATE picture SET png = ?, sha256 = ?", (png, hashlib.sha256(png).hexdigest()))
    error = begin(worker, path)
    assert error["kind"] == "study"
    assert "undamaged copy" in error["remedy"]
