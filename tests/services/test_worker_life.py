"""The worker starts, is cancelled, runs out of memory and disk, and ends, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from worker_cycles import cycles
from worker_runs import LONGEST, Worker

from lowlight import Enhancer


def test_it_starts_without_torch_and_ends_with_its_stdin(tmp_path: Path, dark: np.ndarray) -> None:
    with Worker("--temporary", tmp_path) as worker:
        worker.hello()
        worker.take(worker.enhance(dark)["image"])
        loaded = Path(f"/proc/{worker.pid}/maps").read_text()
        assert "onnxruntime" in loaded
        assert "libtorch" not in loaded
        assert worker.folder.parent == tmp_path
    assert worker.process.returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert worker.log == b""


def test_a_job_is_cancelled_within_a_second_and_the_next_one_runs(
    worker: Worker, enhancer: Enhancer, dark: np.ndarray
) -> None:
    large = np.kron(dark, np.ones((16, 16), np.uint8))
    running = worker.send("enhance", array=worker.put(large), force=True)
    waiting = worker.send("enhance", array=worker.put(dark))
    worker.until(lambda fields: fields["id"] == running and fields["type"] == "progress")
    time.sleep(0.2)  # into the network
    before = worker.seconds_of_work()
    worker.send("cancel")
    ended = {worker.next()["id"] for _ in range(3)}
    # Of work, not of the clock: other programs on the machine are not what is tested.
    assert worker.seconds_of_work() - before < 1
    assert {running, waiting} < ended
    answer = worker.enhance(dark)
    assert np.array_equal(worker.take(answer["image"]), enhancer(dark).image)


def test_only_the_named_job_is_cancelled(worker: Worker, dark: np.ndarray) -> None:
    large = np.kron(dark, np.ones((8, 8), np.uint8))
    first = worker.send("enhance", array=worker.put(large), force=True, keep=False)
    second = worker.send("enhance", array=worker.put(dark), keep=False)
    cancelled = worker.send("cancel", job=second)
    assert worker.answer(second)["kind"] == "cancelled"
    assert worker.answer(cancelled)["jobs"] == [second]
    worker.take(worker.answer(first)["image"])


def test_it_ends_when_its_parent_is_killed_though_its_stdin_stays_open(tmp_path: Path) -> None:
    requests, write_end = os.pipe()
    read_end, answers = os.pipe()
    program = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-m', 'lowlight', 'worker', '--temporary', "
        f"{str(tmp_path)!r}], stdin={requests}, stdout={answers}).wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], pass_fds=(requests, answers))
    os.close(requests)
    os.close(answers)
    with os.fdopen(read_end, "rb") as lines:
        hello = json.loads(lines.readline())
        worker = psutil.Process(hello["process"])
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        # Both held the other end of the pipe: its end says that both are gone.
        assert select.select([lines], [], [], LONGEST)[0]
        assert lines.read() == b""
    assert psutil.wait_procs([worker], timeout=5)[1] == []
    assert list(tmp_path.iterdir()) == []
    os.close(write_end)


def test_a_termination_signal_ends_it_in_the_middle_of_a_job(tmp_path: Path, dark: np.ndarray) -> None:
    with Worker("--temporary", tmp_path) as worker:
        worker.hello()
        number = worker.send("enhance", array=worker.put(np.kron(dark, np.ones((16, 16), np.uint8))), force=True)
        worker.until(lambda fields: fields["id"] == number)
        worker.process.terminate()
        assert worker.wait() == 0
    assert list(tmp_path.iterdir()) == []


def test_out_of_memory_is_reported_and_small_tiles_help(tmp_path: Path, enhancer: Enhancer, dark: np.ndarray) -> None:
    image = np.kron(dark, np.ones((9, 9), np.uint8))
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    with Worker("--temporary", tmp_path, env=environment) as worker:
        worker.hello()
        # Until both are answered it loads libraries ahead, and OpenBLAS waits for memory for ever while it is loaded.
        assert worker.enhance(dark, keep=False)["type"] == "result"
        assert worker.ask("export", result="none")["type"] == "error"
        pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[0])
        taken = pages * os.sysconf("SC_PAGE_SIZE")

        def enhanced_with(megabytes: int) -> dict[str, object]:
            resource.prlimit(worker.pid, resource.RLIMIT_AS, (taken + megabytes * 1_000_000, resource.RLIM_INFINITY))
            return worker.enhance(image, force=True, keep=False)

        error = enhanced_with(60)
        assert error["kind"] == "out-of-memory"
        assert "scale it down" in error["remedy"]
        answer = next(found for room in range(190, 600, 20) if (found := enhanced_with(room))["type"] == "result")
        assert any("small tiles" in warning for warning in answer["warnings"]), answer
        found = worker.take(answer["image"])
    assert np.abs(found.astype(int) - enhancer(image, force=True).image).max() <= 1


def test_a_full_disk_is_named_and_leaves_no_half_file(tmp_path: Path, dark: np.ndarray) -> None:
    image = np.kron(dark, np.ones((3, 3), np.uint8))
    with Worker("--temporary", tmp_path) as worker:
        worker.hello()
        # To the writing program, a limit on the size of files is what a full disk is.
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        error = worker.enhance(image)
        assert error["kind"] == "no-space"
        assert "disk is full" in error["message"]
        assert [path.name for path in worker.folder.iterdir()] == ["lock"]
        assert worker.enhance(dark)["type"] == "result"


def test_folders_of_dead_workers_are_removed_and_no_others(tmp_path: Path) -> None:
    with Worker("--temporary", tmp_path) as dead:
        dead.hello()
        (dead.folder / "image-1.npy").write_bytes(b"pixels")
        dead.process.kill()
    assert dead.folder.is_dir()
    other = tmp_path / "lowlight-worker-notes.txt"
    other.write_text("not a folder")
    with Worker("--temporary", tmp_path) as alive, Worker("--temporary", tmp_path) as second:
        alive.hello()
        second.hello()
        assert not dead.folder.exists()
        assert alive.folder.is_dir(), "the folder of a running worker was removed"
    assert list(tmp_path.iterdir()) == [other]


def test_a_damaged_bundle_is_said_instead_of_hello(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(
        bundle, copy, ignore=lambda folder, names: {"lowlight", "docs", "model.onnx", "features.pt"} & set(names)
    )
    with (copy / "models" / "model.pt").open("ab") as stream:
        stream.write(b"another version")
    with Worker("--bundle", copy) as worker:
        error = worker.next()
        assert (error["type"], error["id"], error["kind"]) == ("error", None, "incompatible")
        assert "checksum differs" in error["message"]
        assert error["remedy"].endswith(", or install it again.")
        assert worker.wait() == 1


def test_what_libraries_print_does_not_reach_the_client(tmp_path: Path) -> None:
    program = "import os, sys; from lowlight.services import worker; old = worker.Engines\n"
    program += "def loud(*a):\n print('noise'); os.system('echo noise'); os.write(1, b'noise'); return old(*a)\n"
    program += "worker.Engines = loud; from lowlight.cli import main; main()"
    with Worker("--temporary", tmp_path, program=[sys.executable, "-c", program]) as worker:
        worker.hello()
        assert worker.ask("quit")["type"] == "bye"
    assert worker.log.count(b"noise") == 3


def test_ten_cycles_leave_nothing_behind(tmp_path: Path, dark: np.ndarray) -> None:
    assert len(cycles(10, tmp_path, dark)) == 10


def test_its_help_says_that_it_is_a_service(capsys: pytest.CaptureFixture[str]) -> None:
    from lowlight.cli.app import run

    assert run(["worker", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Not for people: use enhance instead" in shown
