"""The worker between a real archive and itself: what is dark gets one derived instance, and nothing gets two."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import orthanc
import pytest
from dicom_files import shipped
from pacs_runs import (
    assert_one_result_each,
    by_state,
    clip,
    dicomweb,
    encoded,
    finished,
    push,
    push_file,
    radiograph,
    results,
    rules_file,
    until,
    working,
)
from pydicom.dataset import Dataset

from lowlight import Enhancer
from lowlight.imaging import read
from lowlight.services.pacs.destinations import StowDestination
from lowlight.services.pacs.queue import Queue, Seen, State
from lowlight.services.pacs.rules import load
from lowlight.services.pacs.worker import Worker


def test_dark_images_get_one_derived_instance_each_that_reads_back_equal(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    push(archive, [radiograph(1), radiograph(2), *clip(3)])
    push_file(archive, shipped("CT_small.dcm").read_bytes())
    rows = finished(rules_file(tmp_path, archive), enhancer)
    assert by_state(rows)["verified"] == 5
    assert_one_result_each(archive, rows, tmp_path)
    rows = finished(tmp_path / "pacs.yaml", enhancer)
    # What it made itself has been met, and left alone.
    assert by_state(rows) == {"verified": 5, "skipped": 6}
    assert archive.count() == 11


def test_an_archive_without_a_list_of_changes_is_asked_for_studies(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    path = rules_file(tmp_path, archive, sources=[dicomweb(archive, page=2)])
    push(archive, [radiograph(1), *clip(3)])
    assert by_state(finished(path, enhancer))["verified"] == 4
    # A study that has grown is looked through again, one that has not is not.
    push(archive, [radiograph(2)])
    rows = finished(path, enhancer)
    assert by_state(rows)["verified"] == 5
    assert_one_result_each(archive, rows, tmp_path)


def test_a_late_instance_joins_with_the_tone_of_its_series(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    path, frames = rules_file(tmp_path, archive), clip(4)
    push(archive, frames[:3])
    assert by_state(finished(path, enhancer))["verified"] == 3
    push(archive, frames[3:])
    assert by_state(finished(path, enhancer))["verified"] == 4
    images = []
    for frame in frames:
        (tmp_path / "frame.dcm").write_bytes(encoded(frame))
        images.append(read(tmp_path / "frame.dcm").pixels)
    tone = enhancer.decide_tone(np.stack(images[:3]), (0, 1), frames=True)
    together = enhancer(
        np.stack(images), value_range=(0, 1), modality="ultrasound", frames=True, force=True, tone=tone
    ).image
    found = results(archive)
    assert len({result.SeriesInstanceUID for (result,) in found.values()}) == 1
    for frame, expected in zip(frames, together, strict=True):
        (result,) = found[frame.SOPInstanceUID]
        np.testing.assert_allclose(result.pixel_array, expected * 4095, atol=0.51)


def test_the_first_rule_that_fits_decides_and_what_no_rule_is_for_is_not_even_fetched(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    rules = [
        {"name": "mild", "body_parts": "CHEST", "minimum_severity": {"jpeg": "strong"}, "destination": "archive"},
        {"name": "bed", "stations": "Ward-*", "descriptions": ["*bed*"], "brightness": 0.5, "destination": "archive"},
    ]
    path = rules_file(tmp_path, archive, rules=rules)
    push(
        archive,
        [
            radiograph(1, BodyPartExamined="CHEST"),
            radiograph(2, StationName="WARD-7", StudyDescription="Chest at the bed"),
            radiograph(3, StationName="WARD-7", StudyDescription="Chest"),
            radiograph(4, StationName="Theatre"),
        ],
    )
    rows = {row.instance.rpartition(".")[2]: row for row in finished(path, enhancer) if row.state != "seen"}
    assert rows["1"].state == State.SKIPPED
    assert rows["1"].reason.startswith("less damaged than the rule asks for (")
    assert rows["2"].state == State.VERIFIED
    assert "brightness 0.5" in results(archive)[rows["2"].instance][0].DerivationDescription
    assert (rows["3"].state, rows["3"].reason) == (State.SKIPPED, "no rule is for it")
    assert (rows["4"].state, rows["4"].reason, rows["4"].study) == (State.SKIPPED, "no rule is for it", "")


def test_copies_are_removed_after_the_retention_of_their_rule(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    rules = load(rules_file(tmp_path, archive))
    keeping = rules.model_copy(update={"rules": (rules.rules[0].model_copy(update={"retention": 3600.0}),)})
    push(archive, [radiograph(1)])
    finished(keeping, enhancer)
    queue = Queue(rules.folder)
    try:
        Worker(keeping, queue).remove_copies()
        assert len(list(rules.folder.rglob("*.dcm"))) == 2
        Worker(rules, queue).remove_copies()
        assert list(rules.folder.rglob("*.dcm")) == []
        assert queue.counts()["verified"] == 1
    finally:
        queue.close()


def test_several_workers_on_one_queue_share_the_work(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    rules = load(rules_file(tmp_path, archive))
    push(archive, [radiograph(number) for number in range(1, 9)])
    queues = [Queue(rules.folder) for _ in range(3)]
    workers = [Worker(rules, queue, once=True, enhancer=enhancer) for queue in queues]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for queue in queues:
        queue.close()
    rows = finished(rules, enhancer)
    assert_one_result_each(archive, rows, tmp_path)
    assert sum(worker.progress.moved.get("verified", 0) for worker in workers) == 8


def test_an_archive_that_is_away_only_delays(tmp_path: Path, enhancer: Enhancer) -> None:
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with orthanc.running(folder) as before:
        push(before, [radiograph(1)])
        path = rules_file(tmp_path, before)
    with working(path, enhancer) as worker:
        counts = worker.queue.counts
        until(lambda: "does not answer" in worker.progress.faults.get("main", ""))
        with orthanc.running(folder, before) as archive:
            until(lambda: counts()["verified"] == 1)
            # It goes while a result is on its way.
            push(archive, [radiograph(2)])
            until(lambda: sum(counts().values()) >= 3)
        with orthanc.running(folder, before) as archive:
            until(lambda: counts()["verified"] == 2)
            assert len(results(archive)) == 2
            until(lambda: not worker.progress.faults)


def test_what_the_destination_does_not_keep_goes_into_quarantine_and_on_by_retry(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    folder, script = tmp_path / "refusing", tmp_path / "refuse.lua"
    folder.mkdir()
    script.write_text("function ReceivedInstanceFilter(dicom, origin) return false end\n")
    push(archive, [radiograph(1)])
    with orthanc.running(folder, LuaScripts=[str(script)]) as refusing:
        path = rules_file(tmp_path, archive)
        (tmp_path / "other").write_text(refusing.password)
        rules = load(path)
        stow = rules.destinations[0].model_copy(
            update={"url": f"{refusing.root}/dicom-web", "password_file": tmp_path / "other"}
        )
        refused = rules.model_copy(update={"destinations": (stow,)})
        (row,) = finished(refused, enhancer)
        assert (row.state, row.attempts) == (State.QUARANTINED, 3)
        # By STOW-RS this archive says that it has stored what it throws away: reading back finds that out.
        assert row.reason == "archive does not have what it has taken"
    queue = Queue(rules.folder)
    assert queue.retry([row.instance]) == 1
    queue.close()
    # Not made anew: what was made waits for its destination.
    rows = finished(rules, enhancer)
    assert by_state(rows)["verified"] == 1
    assert next(one for one in rows if one.instance == row.instance).result == row.result


def test_a_result_that_the_archive_has_lost_before_it_was_read_back_is_stored_again(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_back, lost = StowDestination.fetch, []

    def lose_and_read_back(destination: StowDestination, about: Dataset, target: Path) -> bool:
        if not lost:
            asked = archive.session.post(f"{archive.root}/tools/lookup", data=about.SOPInstanceUID, timeout=20).json()
            lost.extend(found["ID"] for found in asked)
            archive.session.delete(f"{archive.root}/instances/{lost[0]}", timeout=20)
        return read_back(destination, about, target)

    monkeypatch.setattr(StowDestination, "fetch", lose_and_read_back)
    push(archive, [radiograph(1)])
    rows = finished(rules_file(tmp_path, archive), enhancer)
    assert lost
    assert by_state(rows)["verified"] == 1
    assert_one_result_each(archive, rows, tmp_path)


def test_a_changed_header_cannot_pass_for_another_instance(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    rules = load(rules_file(tmp_path, archive))
    push(archive, [radiograph(1)])
    queue = Queue(rules.folder)
    name = "sources/forged.dcm"
    (rules.folder / name).write_bytes(encoded(radiograph(2)))
    queue.see("main", [Seen(radiograph(1).SOPInstanceUID, file=name)])
    queue.close()
    (row,) = finished(rules, enhancer)
    assert row.state == State.QUARANTINED
    assert row.reason == "its SOP Instance UID is not the one that was announced"
