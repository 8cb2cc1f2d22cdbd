"""Mistakes of whoever sets it up: each is told in words of its own, and costs no image a place in quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orthanc
import pytest
import yaml
from pacs_runs import by_state, finished, push, radiograph, rules_file, until, working

from lowlight import Enhancer
from lowlight.cli.app import run
from lowlight.services.pacs.queue import Queue, State
from lowlight.services.pacs.rules import load
from lowlight.services.pacs.worker import Worker

NOBODY = orthanc.Orthanc(9, 9, "secret")


def part_changed(path: Path, part: str, **changed: Any) -> Path:
    """Rules whose first source or destination is another in some keys."""
    content = yaml.safe_load(path.read_text())
    content[part][0].update(changed)
    path.write_text(yaml.safe_dump(content))
    return path


def test_destinations_that_are_set_up_wrongly_are_told_and_waited_for(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    path = rules_file(tmp_path, archive)
    content = yaml.safe_load(path.read_text())
    (right,) = content["destinations"]
    dimse = {"kind": "cstore", "port": archive.dicom, "title": "ORTHANC", "calling": "TEST"}
    missing = str(tmp_path / "none")
    wrong: dict[str, tuple[dict[str, Any], str]] = {
        "path": ({**right, "url": f"{archive.root}/dicomweb"}, "answers 404 (no STOW-RS there): is its url right?"),
        "secret": (
            {**right, "password_file": missing},
            f"{missing}: cannot be read (No such file or directory); a secr",
        ),
        "authority": (
            {**right, "ca_file": missing},
            f"{missing}: cannot be read (No such file or directory); it is nee",
        ),
        "host": ({**dimse, "host": "no-such-host.invalid"}, "host cannot be reached ("),
        "title": ({**dimse, "host": "127.0.0.1", "title": "MOON"}, "do its settings know our title and address?"),
    }
    rules = [{"name": name, "stations": name, "destination": name} for name in wrong]
    destinations = [{**stated, "name": name} for name, (stated, _) in wrong.items()]
    path.write_text(yaml.safe_dump({**content, "destinations": destinations, "rules": rules}))
    push(archive, [radiograph(number, StationName=name) for number, name in enumerate(wrong)])
    with working(path, enhancer) as worker:
        # Oftener than an image may be refused: what is wrong with the rules is no fault of an image.
        until(lambda: sum(row.delays > 3 for row in worker.queue.rows(State.ENHANCED)) == len(wrong))
        for name, (_, told) in wrong.items():
            assert told in worker.progress.faults[name]
    destinations = [{**right, "name": name} for name in wrong]
    path.write_text(yaml.safe_dump({**content, "destinations": destinations, "rules": rules}))
    queue = Queue(load(path).folder)
    queue.retry(None)
    queue.close()
    assert by_state(finished(path, enhancer))["verified"] == len(wrong)


def test_a_device_that_is_not_there_is_told_until_there_is_one(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    rules = load(rules_file(tmp_path, archive, device="cuda:99"))
    push(archive, [radiograph(1)])
    queue = Queue(rules.folder)
    try:
        worker = Worker(
            rules.model_copy(update={"timing": rules.timing.model_copy(update={"retry": 600.0})}), queue, True
        )
        worker.run()
        (row,) = queue.rows(*State)
        assert (row.state, row.attempts) == (State.SEEN, 0)
        assert row.reason.startswith('device "cuda:99" is not available here')
        # As long as it waits it stands in health, also while there is nothing to try.
        assert worker.progress.faults == {"enhance loop": row.reason}
        queue.retry(None)
    finally:
        queue.close()
    assert by_state(finished(rules, enhancer))["verified"] == 1


def test_a_password_may_come_from_an_editor_of_windows(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    path = rules_file(tmp_path, archive)
    (tmp_path / "password").write_bytes(b"\xef\xbb\xbf" + archive.password.encode() + b"\r\n")
    push(archive, [radiograph(1)])
    assert by_state(finished(path, enhancer))["verified"] == 1


@pytest.mark.parametrize("key", ["ca_file", "client_certificate"])
def test_certificates_that_cannot_be_used_are_told_by_check(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = part_changed(rules_file(tmp_path, NOBODY), "sources", **{key: "certificate.pem"})
    assert run(["pacs", "check", str(path)]) == 1
    assert f"{tmp_path}/certificate.pem: cannot be read (No such file or directory)" in capsys.readouterr().err
    (tmp_path / "certificate.pem").write_text("no certificate\n")
    assert run(["pacs", "check", str(path)]) == 1
    expected = "holds no certificates" if key == "ca_file" else "cannot be used for TLS"
    assert expected in capsys.readouterr().err


def test_a_folder_that_cannot_be_used_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules_file(tmp_path, NOBODY)
    path.write_text(path.read_text().replace("folder: state", "folder: password/state"))
    assert run(["pacs", "run", str(path), "--once"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    told = "cannot be used as the worker's folder (Not a directory); does it belong to this user, is its disk full"
    assert line.startswith(f"lowlight: {tmp_path}/password/state: {told}")


def test_a_key_that_stands_twice_is_refused_since_only_one_would_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rules_file(tmp_path, NOBODY)
    path.write_text(path.read_text() + "rules: [{name: other, destination: archive}]\n")
    assert run(["pacs", "check", str(path)]) == 1
    assert "has the key rules twice in line " in capsys.readouterr().err


def test_a_secret_that_everyone_may_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules_file(tmp_path, NOBODY)
    (tmp_path / "password").chmod(0o640)
    assert run(["pacs", "check", str(path)]) == 0
    assert capsys.readouterr().err == ""
    (tmp_path / "password").chmod(0o644)
    assert run(["pacs", "check", str(path)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"{tmp_path}/password: every user of this machine may read this secret; chmod o= takes that away"


def test_a_fault_of_ours_is_told_by_kind_and_place_and_not_by_what_it_says(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("Quixote^Alonso")

    monkeypatch.setattr("lowlight.services.pacs.enhancing.judge", broken)
    push(archive, [radiograph(1)])
    (row,) = finished(rules_file(tmp_path, archive), enhancer)
    assert (row.state, row.attempts) == (State.QUARANTINED, 3)
    assert row.reason.startswith("unexpected KeyError at test_pacs_mistakes.py:")
