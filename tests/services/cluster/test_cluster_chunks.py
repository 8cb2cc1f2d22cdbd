"""A chunk whose worker dies: what it had done is known again, what it had in hands is done, what kills is set aside."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from cluster_standins import order, saying, small_images, worked_on
from dicom_files import grey_clip

from lowlight.services.cluster import chunk as chunks
from lowlight.services.cluster import journal
from lowlight.services.cluster.chunk import ArchiveOrder, Worked, do_chunk
from lowlight.services.cluster.ledger import Entry, State


class DiedError(BaseException):
    """Ends a chunk where kill -9 would have ended the process."""


def entries(paths: list[Path], root: Path) -> list[Entry]:
    places = [path.relative_to(root).with_suffix("").as_posix() for path in paths]
    return [Entry(i, path, place, State.WAITING) for i, (path, place) in enumerate(zip(paths, places, strict=True), 1)]


def do(todo: ArchiveOrder, listed: list[Entry], submission: str = "s", *lost: str) -> Worked:
    return do_chunk(todo, 0, listed, submission, lost)


def states(worked: Worked) -> dict[int, str]:
    return {verdict.number: verdict.state.words for verdict in worked.verdicts}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    small_images(tmp_path / "in", 4)
    return tmp_path / "in"


def test_what_died_between_result_and_answer_is_not_done_again(tmp_path: Path, source: Path) -> None:
    todo, listed = order(tmp_path / "out", saying), entries(sorted(source.rglob("*.png")), source)
    first = do(todo, listed)
    assert set(states(first).values()) == {"done"}
    # The answer never came. One result has been touched since, another was removed.
    (tmp_path / "out" / "00" / "0001.png").write_bytes(b"torn")
    (tmp_path / "out" / "00" / "0002.png").unlink()
    again = do(todo, listed, "another")
    assert states(again) == states(first)
    assert {verdict.number: verdict.known for verdict in again.verdicts} == {1: True, 2: False, 3: False, 4: True}
    assert worked_on(tmp_path) == {"0000.png": 1, "0001.png": 2, "0002.png": 2, "0003.png": 1}


def test_a_death_between_the_line_and_the_name_leaves_no_name_and_costs_that_entry(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    todo, listed = order(tmp_path / "out", saying), entries(sorted(source.rglob("*.png")), source)
    ready = journal.Journal.ready

    def dies(self: journal.Journal, verdict, file: Path) -> None:
        ready(self, verdict, file)
        if verdict.number == 2:
            raise DiedError

    monkeypatch.setattr(journal.Journal, "ready", dies)
    with pytest.raises(DiedError):
        do(todo, listed)
    monkeypatch.undo()
    assert not (tmp_path / "out" / "00" / "0001.png").exists()
    again = do(todo, listed, "another")
    assert {verdict.number: verdict.known for verdict in again.verdicts} == {1: True, 2: False, 3: False, 4: False}


def test_who_is_in_hands_at_two_deaths_is_set_aside_and_nobody_else(tmp_path: Path, source: Path) -> None:
    todo, listed = order(tmp_path / "out", saying), entries(sorted(source.rglob("*.png")), source)
    for submission in ("first", "second"):
        left = journal.Journal(tmp_path / "out", 0, submission)
        left.begin([3])
        left.close()
    worked = do(todo, listed, "third", "first")
    assert set(states(worked).values()) == {"done"}, "one that was given up is no death"
    shutil.rmtree(tmp_path / "out")
    for submission in ("first", "third"):
        left = journal.Journal(tmp_path / "out", 0, submission)
        left.begin([3])
        left.close()
    worked = do(todo, listed, "third", "first")
    assert states(worked) == {1: "done", 2: "done", 3: "set aside", 4: "done"}
    (reason,) = (verdict.reason for verdict in worked.verdicts if verdict.state is State.SET_ASIDE)
    assert reason is not None
    assert reason.startswith(f"{listed[2].path}: ended the process that worked on it, twice; ")


def test_files_have_the_fates_that_they_have_in_a_batch(tmp_path: Path, source: Path) -> None:
    (source / "00" / "junk.png").write_bytes(b"text")
    (source / "README").write_text("about these images")
    (source / "00" / "odd.xyz").write_bytes(bytes(range(256)))
    named = ["00/0000.png", "00/gone.png", "00/junk.png", "README", "00/odd.xyz"]
    listed = entries([source / name for name in named], source)
    worked = do(order(tmp_path / "out", saying), listed)
    assert states(worked) == {1: "done", 2: "missing", 3: "refused", 4: "skipped", 5: "refused"}
    reasons = {verdict.number: verdict.reason for verdict in worked.verdicts}
    assert reasons[2] == f"{source}/00/gone.png: does not exist; check the path"
    assert reasons[3].startswith(f"{source}/00/junk.png: is named .png but holds text; ")
    met = replace(order(tmp_path / "other", saying), explicit=False)
    assert states(do(met, listed))[5] == "skipped"


def test_what_a_dead_worker_left_of_a_clip_gets_the_tone_of_the_whole(tmp_path: Path) -> None:
    paths = grey_clip(tmp_path / "in")
    listed = entries(paths, tmp_path / "in")
    whole, torn = order(tmp_path / "whole", force=True), order(tmp_path / "torn", force=True)
    results = {verdict.number: verdict.result for verdict in do(whole, listed).verdicts}
    assert len(set(results.values())) == 4
    known = [replace(entry, state=State.DONE, result=results[entry.number]) for entry in listed[:2]]
    worked = do(torn, known + listed[2:])
    assert states(worked) == {3: "done", 4: "done"}
    for verdict in worked.verdicts:
        one, other = (pydicom.dcmread(tmp_path / name / str(verdict.result)) for name in ("whole", "torn"))
        assert one.SOPInstanceUID == other.SOPInstanceUID
        np.testing.assert_array_equal(one.pixel_array, other.pixel_array)


def test_no_patient_names_a_result_unless_asked_for(tmp_path: Path) -> None:
    paths = grey_clip(tmp_path / "in" / "DOE^JANE")
    hashed = do(order(tmp_path / "out", saying), entries(paths, tmp_path / "in"))
    results = [str(verdict.result) for verdict in hashed.verdicts]
    assert all(result.startswith("dicom/") and "DOE" not in result for result in results)
    assert len({str(Path(result).parent) for result in results}) == 1, "a series stays together"
    assert {Path(result).stem for result in results} == {f"{number:09}" for number in range(1, 5)}
    named = do(replace(order(tmp_path / "named", saying), named_as_inputs=True), entries(paths, tmp_path / "in"))
    assert [verdict.result for verdict in named.verdicts] == [f"DOE^JANE/{path.name}" for path in paths]


def test_a_chunk_that_takes_long_is_told_of_in_turns(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "_TURN", 0.0)
    monkeypatch.setattr(chunks, "_TURN_PER_LOOK", 0.0)
    todo, listed = order(tmp_path / "out", saying), entries(sorted(source.rglob("*.png")), source)
    assert states(do(todo, listed)) == {1: "done"}
