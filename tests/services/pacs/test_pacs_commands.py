"""`lowlight pacs` on the command line: rules are checked, a dry run changes nothing, logs name nobody."""

from __future__ import annotations

import json
import re
import resource
import socket
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orthanc
import pytest
import requests
import yaml
from pacs_runs import push, radiograph, rules_file, until, working

from lowlight import Enhancer
from lowlight.cli.app import run
from lowlight.services.pacs.health import HealthServer
from lowlight.services.pacs.queue import Queue, Seen, State
from lowlight.services.pacs.rules import Health

NOBODY = orthanc.Orthanc(9, 9, "secret")


def changed_rules(folder: Path, *place: str | int, value: Any) -> Path:
    """Rules with one value changed (None: removed)."""
    path = rules_file(folder, NOBODY)
    content = yaml.safe_load(path.read_text())
    holder = content
    for key in place[:-1]:
        holder = holder[key]
    if value is None:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("colour",), "red", "file: does not know colour; allowed: folder, dry_run, sources"),
        (("folder",), None, "folder: is missing"),
        (("rules",), [], "rules: tuple should have at least 1 item"),
        (("rules", 0, "minimum_severity"), "heavy", "rules[0].minimum_severity: 'heavy': input should be 'weak', "),
        (
            ("rules", 0, "minimum_severity"),
            {"fog": "weak"},
            "names fog; allowed: noise, impulses, blur, jpeg, exposure",
        ),
        (("rules", 0, "modalities"), ["CR", "CT"], "rules[0]: modalities names CT, whose values are measured"),
        (("rules", 0, "brightness"), 2, "rules[0].brightness: 2: input should be less than or equal to 1.5"),
        (("rules", 0, "destination"), "moon", "the destination moon, which is none; allowed: archive"),
        (("sources", 0, "kind"), "ftp", "sources[0]: input tag 'ftp' found"),
        (("sources", 0, "poll"), "soon", "sources[0].poll: is no duration; write a number with ms, s, min, h or d"),
        (("sources", 0, "url"), "file:///etc", "sources[0]: url is none of http://HOST"),
        (("sources", 0, "url"), "https://me:mine@host/", "url holds a user or password"),
        (("sources", 0, "url"), "http://pacs.hospital/", "would send a secret unencrypted; use https://"),
        (("sources", 0, "password"), "mine", "does not know password; allowed: "),
        (("timing", "attempts"), 0, "timing.attempts: 0: input should be greater than or equal to 1"),
        (("device",), "gpu", "device: is no device; allowed: auto, cpu, cuda"),
        (("limits",), ["colour=3"], "colour=3 is no limit"),
    ],
)
def test_rules_are_refused_with_file_key_and_what_is_allowed(
    place: tuple[str | int, ...], value: Any, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed_rules(tmp_path, *place, value=value)
    assert run(["pacs", "check", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lowlight: {path}: ")
    assert told in line
    assert "mine" not in line


def test_good_rules_are_summed_up_and_a_missing_secret_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rules_file(tmp_path, NOBODY)
    assert run(["pacs", "check", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: 1 source, 1 rule, 1 destination\n"
    (tmp_path / "password").unlink()
    assert run(["pacs", "check", str(path)]) == 1
    assert "a secret is expected in it" in capsys.readouterr().err
    path.write_text("rules: [")
    assert run(["pacs", "check", str(path)]) == 1
    assert "is no valid YAML in line 1" in capsys.readouterr().err


def test_a_dry_run_tells_what_it_would_do_and_changes_nothing(
    archive: orthanc.Orthanc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rules_file(tmp_path, archive, dry_run=True)
    push(archive, [radiograph(1), radiograph(2, Modality="OT")])
    assert run(["pacs", "run", str(path), "--once"]) == 0
    captured = capsys.readouterr()
    assert archive.count() == 2
    assert not (tmp_path / "state").exists()
    assert re.search(r"dry run: would be enhanced \(.*exposure \w+.*\) and go to archive", captured.out)
    assert captured.out.endswith("a dry run: nothing was stored; 2 instances looked at\n")


def test_a_run_logs_json_lines_without_anything_of_a_patient(
    archive: orthanc.Orthanc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rules_file(tmp_path, archive)
    push(archive, [radiograph(1, StudyDescription="Quixotic"), radiograph(2, BitsStored=17)])
    assert run(["pacs", "run", str(path), "--once", "--no-dry-run"]) == 0
    captured = capsys.readouterr()
    events = [json.loads(line)["event"] for line in captured.err.splitlines()]
    assert {"started", "discovered", "stored", "verified", "quarantined", "stopped"} <= {*events}
    for text in ("Quixot", "1.2.826.0", "2.25.", archive.password):
        assert text not in captured.err + captured.out
    assert run(["pacs", "status", str(path), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["instances"]["verified"] == 1
    assert status["instances"]["quarantined"] == 1
    assert run(["pacs", "quarantine", "list", str(path), "--json", "--uids"]) == 0
    (entry,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert entry["uid"] == radiograph(2).SOPInstanceUID
    assert "it stores 17 bits in 16" in entry["reason"]
    assert run(["pacs", "quarantine", "list", str(path)]) == 0
    assert entry["instance"] in capsys.readouterr().out
    assert run(["pacs", "status", str(path)]) == 0
    assert "it stores 17 bits in 16" in capsys.readouterr().out
    assert run(["pacs", "retry", str(path), entry["instance"]]) == 0
    assert capsys.readouterr().out == "1 instance on the way again\n"
    assert run(["pacs", "retry", str(path), "0123"]) == 1
    assert "neither waits nor is in quarantine" in capsys.readouterr().err


def test_without_a_queue_there_is_nothing_to_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pacs", "status", str(rules_file(tmp_path, NOBODY))]) == 1
    assert "no worker has run with these rules yet" in capsys.readouterr().err
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "queue.sqlite3").write_bytes(b"something else, and longer than a header" * 100)
    assert run(["pacs", "status", str(tmp_path / "pacs.yaml")]) == 1
    assert "is no queue of the PACS worker" in capsys.readouterr().err


def test_health_and_metrics_tell_how_it_goes_on_loopback_even_to_a_crowd(
    tmp_path: Path, enhancer: Enhancer, capsys: pytest.CaptureFixture[str]
) -> None:
    with orthanc.running(tmp_path) as archive:
        path, port = rules_file(tmp_path, archive), orthanc.free_port()
        push(archive, [radiograph(1)])
        with working(path, enhancer) as worker, ExitStack() as stack:
            server = HealthServer(Health(port=port), worker.queue, worker.progress)
            stack.callback(server.stop)
            root = f"http://127.0.0.1:{port}"
            until(lambda: worker.queue.counts()["verified"] == 1)
            until(lambda: requests.get(f"{root}/health", timeout=20).ok)
            assert requests.get(f"{root}/health", timeout=20).json()["status"] == "ok"
            metrics = requests.get(f"{root}/metrics", timeout=20).text
            assert 'lowlight_pacs_instances{state="verified"} 1.0' in metrics
            assert 'lowlight_pacs_up{name="main"} 1.0' in metrics
            assert "1.2.826" not in metrics
            assert requests.get(f"{root}/etc/passwd", timeout=20).status_code == 404
            crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(200)]
            until(lambda: _answers(f"{root}/health"))
            assert len(crowd) == 200
            path.write_text(path.read_text() + f"health: {{port: {port}}}\n")
            assert run(["pacs", "status", str(path), "--json"]) == 0
            told = json.loads(capsys.readouterr().out)
            assert (told["worker"], told["faults"]) == ("ok", {})
            archive.server.kill()
            until(lambda: requests.get(f"{root}/health", timeout=20).status_code == 503)
            assert "main" in requests.get(f"{root}/health", timeout=20).json()["faults"]
            assert run(["pacs", "status", str(path)]) == 0
            shown = capsys.readouterr().out
            assert shown.startswith("worker: degraded\n")
            assert "main (127.0.0.1) does not answer" in shown
        assert run(["pacs", "status", str(path)]) == 0
        assert f"worker: none answers at 127.0.0.1:{port}: is it running?" in capsys.readouterr().out


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=20).ok
    except requests.ConnectionError:
        return False


def test_a_series_is_complete_when_it_is_quiet_or_has_what_it_expects(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    for number, expected in (("1", None), ("2", 2)):
        queue.see("main", [Seen(f"1.{number}", "1", f"2.{number}", expected=expected)])
    for row in queue.take_to_fetch(["main"], 10):
        queue.move(row, State.SEEN, rule="all", file="sources/x.dcm", expected=row.expected)
    assert queue.take_series(quiet=3600) == []
    queue.see("main", [Seen("1.3", "1", "2.2")])
    assert queue.take_series(quiet=3600) == [], "the second has not been fetched"
    (row,) = queue.take_to_fetch(["main"], 10)
    queue.move(row, State.SEEN, rule="all", file="sources/y.dcm")
    taken = queue.take_series(quiet=3600)
    assert {row.instance for row in taken} == {"1.2", "1.3"}
    assert [row.instance for row in queue.take_series(quiet=0)] == ["1.1"]
    queue.close()


def test_a_step_that_is_not_in_the_table_of_states_cannot_be_taken(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.see("main", [Seen("1.1")])
    (row,) = queue.take_to_fetch(["main"], 10)
    with pytest.raises(ValueError, match="seen cannot become verified"):
        queue.move(row, State.VERIFIED)
    other = Queue(tmp_path)
    assert not other.move(row, State.SKIPPED), "it is in another worker's hands"
    assert other.free_the_dead() == 0
    queue.close()
    assert [row.instance for row in other.take_to_fetch(["main"], 10)] == ["1.1"], "and free when that ends"
    other.close()


def test_what_could_not_be_put_back_on_a_full_disk_is_put_back_later(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.see("main", [Seen(f"1.{number}", "1", "2") for number in range(3)])
    rows = queue.take_to_fetch(["main"], 10)
    assert len(rows) == 3
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(sqlite3.Error):
            queue.put_back(rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(queue.take_to_fetch(["main"], 10)) == 3, "no worker would ever have them in hands again"
    assert queue.take_to_fetch(["main"], 10) == [], "and nobody has them twice"
    queue.close()
