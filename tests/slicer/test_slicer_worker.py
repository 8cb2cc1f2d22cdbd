"""The worker seen from Slicer: what may go wrong between two processes. Small scripts stand in for workers that err."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from LowLightEnhanceLib import Environment, ProcessTree, Settings
from LowLightEnhanceLib.Problems import Problem
from LowLightEnhanceLib.Worker import Worker
from slicer_cycles import LONGEST_CANCEL, cycle, leftovers
from slicer_volumes import added, node_ids

HELLO = {"type": "hello", "id": None, "protocol": 1, "version": "0.1.0", "model": "test", "folder": "."}


def script(tmp_path: Path, body: str) -> list[str]:
    """A child process that says what `body` prints."""
    file = tmp_path / "worker.py"
    file.write_text(
        f"import json, os, sys, time\nHELLO = json.loads({json.dumps(HELLO)!r})\n{body}\n", encoding="utf-8"
    )
    return [sys.executable, str(file)]


def started(worker: Worker, qtbot) -> object:
    """What comes of starting: "ready" or the Problem."""
    outcome: list[object] = []
    worker.whenReady(lambda: outcome.append("ready"), outcome.append)
    qtbot.waitUntil(lambda: bool(outcome), timeout=20_000)
    return outcome[0]


def test_module_and_worker_are_of_one_version():
    from LowLightEnhanceLib.Worker import VERSION

    import lowlight

    assert lowlight.__version__ == VERSION


def test_lines_that_come_in_pieces_are_put_together(tmp_path, qtbot):
    body = """
answer = {"type": "devices", "id": 1, "devices": ["\\u00e9"]}
line = b"".join(json.dumps(message).encode() + b"\\n" for message in (HELLO, answer))
for start in range(0, len(line), 7):
    sys.stdout.buffer.write(line[start:start + 7])
    sys.stdout.buffer.flush()
    time.sleep(0.005)
sys.stdin.read()
"""
    worker = Worker(command=script(tmp_path, body))
    answers: list[dict] = []

    def ready() -> None:
        worker.request("devices", {}, answers.append, answers.append)

    worker.whenReady(ready, answers.append)
    qtbot.waitUntil(lambda: bool(answers), timeout=20_000)
    assert answers == [{"type": "devices", "id": 1, "devices": ["\u00e9"]}]
    worker.close()


@pytest.mark.parametrize("change", [{"protocol": 2}, {"version": "7.0.0"}], ids=["protocol", "version"])
def test_another_version_is_refused_with_what_to_do(tmp_path, qtbot, change):
    body = f"HELLO.update({change!r})\nprint(json.dumps(HELLO), flush=True)\nsys.stdin.read()"
    worker = Worker(command=script(tmp_path, body))
    problem = started(worker, qtbot)
    assert problem.kind == "incompatible"
    assert problem.remedy == "Install the same version of both."
    assert not worker.running


def test_a_missing_package_is_named(tmp_path, qtbot):
    worker = Worker(command=script(tmp_path, "import onnxruntime_that_is_not_there"))
    problem = started(worker, qtbot)
    assert problem.kind == "not-installed"
    assert "onnxruntime_that_is_not_there" in problem.message
    assert "Install" in problem.remedy


def test_a_python_that_is_not_there_is_named_as_such(qtbot):
    Settings.write("python", "/nowhere/python")
    problem = started(Worker(), qtbot)
    assert problem.kind == "not-installed"
    assert "could not be started" in problem.message


def test_a_damaged_bundle_is_told_in_words(tmp_path, qtbot):
    (tmp_path / "configs").mkdir()
    problem = started(Worker(command=[sys.executable, "-m", "lowlight", "worker", "--bundle", str(tmp_path)]), qtbot)
    assert problem.kind == "incompatible"
    assert "inference.yaml" in problem.message


def test_the_bundle_beside_the_module_is_the_one_that_runs(bundle):
    assert Environment.bundleFolder() == bundle
    assert Environment.workerCommand()[-3:] == ["worker", "--bundle", str(bundle)]


def test_what_lies_in_our_folder_is_met_before_slicers_own(tmp_path, bundle):
    """Slicer 5.10 ships pydicom 2.4: the worker and all that it starts must meet the newer one."""
    ours, slicers = tmp_path / "ours", tmp_path / "slicers"
    for folder, version in ((ours, "3.1.0"), (slicers, "2.4.4")):
        (folder / "pydicom").mkdir(parents=True)
        (folder / "pydicom" / "__init__.py").write_text(f"__version__ = {version!r}")
    (ours / "lowlight").mkdir()
    (ours / "lowlight" / "__init__.py").write_text("")
    (ours / "lowlight" / "__main__.py").write_text(
        "import subprocess, sys, pydicom\nprint(pydicom.__version__, sys.argv[1:], flush=True)\n"
        "subprocess.run([sys.executable, '-P', '-c', 'import pydicom; print(pydicom.__version__)'])"
    )
    done = subprocess.run(
        [sys.executable, str(Environment.START), str(ours), "worker"],
        env={"PYTHONPATH": str(slicers)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["3.1.0 ['worker']", "3.1.0"]


def test_without_the_bundle_the_message_says_so(qtbot, monkeypatch):
    monkeypatch.setattr(Environment, "bundleFolder", lambda: None)
    problem = started(Worker(), qtbot)
    assert "monai_bundle" in problem.message


def test_a_worker_that_does_not_listen_is_killed_with_its_children(tmp_path, qtbot):
    body = """
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
HELLO["folder"] = sys.argv[sys.argv.index("--temporary") + 1]
HELLO["child"] = child.pid
print(json.dumps(HELLO), flush=True)
time.sleep(600)
"""
    worker = Worker(command=script(tmp_path, body))
    assert started(worker, qtbot) == "ready"
    process, child, folder = worker.processId, worker.hello["child"], worker.folder
    ended: list[Problem] = []
    number = worker.request("enhance", {}, ended.append, ended.append)
    worker.cancel(number)
    qtbot.waitUntil(lambda: bool(ended), timeout=20_000)
    assert ended[0].kind == "cancelled"
    assert not psutil.pid_exists(process)
    qtbot.waitUntil(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", timeout=20_000)
    assert not folder.exists()


STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
HELLO["folder"] = sys.argv[sys.argv.index("--temporary") + 1]
print(json.dumps(HELLO), flush=True)
time.sleep(600)
"""
"""A worker that listens to nothing."""


def test_the_window_does_not_wait_for_a_worker_that_is_sent_away(tmp_path, qtbot):
    worker = Worker(command=script(tmp_path, STUBBORN))
    assert started(worker, qtbot) == "ready"
    process, folder, told = worker.processId, worker.folder, []
    worker.request("enhance", {}, told.append, told.append)
    worker.stop()
    assert psutil.pid_exists(process), "it was not waited for"
    assert [problem.kind for problem in told] == ["cancelled"]
    assert not worker.running
    assert started(worker, qtbot) == "ready", "the next one need not wait either"
    assert worker.processId != process
    qtbot.waitUntil(lambda: not psutil.pid_exists(process), timeout=20_000)
    qtbot.waitUntil(lambda: not folder.exists(), timeout=20_000)
    assert worker.folder.exists()
    worker.close()


def test_when_slicer_closes_no_worker_stays(tmp_path, qtbot):
    worker = Worker(command=script(tmp_path, STUBBORN))
    assert started(worker, qtbot) == "ready"
    process, folder = worker.processId, worker.folder
    worker.close()
    assert not psutil.pid_exists(process)
    assert not folder.exists()


def test_a_request_to_a_worker_that_has_just_ended_fails_in_words(logic, qtbot):
    assert started(logic.worker, qtbot) == "ready"
    logic.worker.stop()
    problems = []
    logic.worker.request("forget", {"result": "none"}, pytest.fail, problems.append)
    assert problems == [], "not before the caller knows the number"
    qtbot.waitUntil(lambda: len(problems) == 1)
    assert problems[0].kind == "worker-ended"


def test_killing_a_tree_spares_everyone_else():
    sleeps = "import time; time.sleep(600)"
    tree = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeps!r}]); {sleeps}"
    doomed, spared = (subprocess.Popen([sys.executable, "-c", tree]) for _ in range(2))
    try:
        while not (ProcessTree.descendants(doomed.pid) and ProcessTree.descendants(spared.pid)):
            os.sched_yield()
        below = ProcessTree.descendants(doomed.pid)
        ProcessTree.kill(doomed.pid)
        doomed.wait(5)
        psutil.wait_procs([psutil.Process(pid) for pid in below if psutil.pid_exists(pid)], 5)
        assert not [pid for pid in below if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
        assert spared.poll() is None
        assert len(ProcessTree.descendants(spared.pid)) == 1
    finally:
        ProcessTree.kill(spared.pid)
        spared.wait(5)


def test_without_room_on_the_disk_nothing_is_left_behind(warm_logic, qtbot):
    source = added(np.zeros((1, 1200, 1200), np.uint8))
    before, files = node_ids(), None
    assert started(warm_logic.worker, qtbot) == "ready"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(Problem) as caught:
            warm_logic.enhance(source)
        files = list(warm_logic.worker.folder.glob("in-*"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.kind == "no-space"
    assert "Make room" in caught.value.remedy
    assert files == []
    assert node_ids() == before


def test_folders_that_a_killed_slicer_left_are_removed_and_no_others(tmp_path, qtbot, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, full, young, foreign = (
        tmp_path / name for name in ("lowlight-slicer-a", "lowlight-slicer-b", "lowlight-slicer-c", "other")
    )
    for folder in (left, full, young, foreign):
        folder.mkdir()
    (full / "in.npy").write_bytes(b"in use")
    for folder in (left, full, foreign):
        os.utime(folder, (1, 1))
    worker = Worker(command=script(tmp_path, "print(json.dumps(HELLO), flush=True)\nsys.stdin.read()"))
    assert started(worker, qtbot) == "ready"
    worker.close()
    assert not left.exists()
    assert full.exists()
    assert young.exists()
    assert foreign.exists()


def test_ten_rounds_of_enhance_cancel_and_kill_leave_nothing_behind(qtbot, retina, tmp_path, monkeypatch):
    """`make soak` does a hundred."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    source = added(np.tile(retina[None, ::2, ::2] // 6, (6, 1, 1, 1)))
    before = leftovers(tmp_path)
    pixels = source.GetImageData().GetPointData().GetScalars().GetMTime()
    times = cycle(10, source, lambda condition, seconds: qtbot.waitUntil(condition, timeout=1000 * seconds))
    assert len(times) >= 3
    # One second is for a machine that does nothing else; this one may be shared.
    assert max(times) < 10 * LONGEST_CANCEL
    assert leftovers(tmp_path) == before
    assert source.GetImageData().GetPointData().GetScalars().GetMTime() == pixels


def test_no_process_is_taken_for_all_processes(monkeypatch):
    """To the system 0 is the caller's group, and -1 everyone. Nobody is really killed here: it would be the tests."""
    killed = []
    monkeypatch.setattr(os, "kill", lambda number, signal: killed.append(number))
    ProcessTree.kill(0)
    ProcessTree.kill(-1)
    assert killed == []
