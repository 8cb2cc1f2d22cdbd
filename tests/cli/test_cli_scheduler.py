"""A real Dask scheduler and its workers, as others start them: what fits, what does not, what goes away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_runs import dark, fingerprints, grey, lowlight, save, start, until

import lowlight as package
from lowlight.services.cluster import connecting

LOCAL = ("--host", "127.0.0.1", "--no-dashboard")


class Running:
    """A scheduler and its workers, real processes.

    Attributes:
        address: of the scheduler.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._file, self._all = folder, folder / "scheduler.json", list[subprocess.Popen[str]]()
        self.scheduler = self._started("dask_scheduler", "--port", "0", "--scheduler-file", str(self._file))
        until(self._known, self.scheduler)

    def _known(self) -> bool:
        try:
            self.address: str = json.loads(self._file.read_text())["address"]
        except (OSError, ValueError):
            return False
        return True

    def _started(
        self, program: str, *arguments: str, before: tuple[str, ...] = (), **more: str
    ) -> subprocess.Popen[str]:
        command = [*before, sys.executable, "-m", f"distributed.cli.{program}", *LOCAL, *arguments]
        with (self._folder / "dask.log").open("a") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, text=True, env={**os.environ, **more})
        self._all.append(child)
        return child

    def worker(self, before: tuple[str, ...] = (), **more: str) -> None:
        """Start one; clients wait for it. ``before``: what comes before its command; ``more``: its environment."""
        scratch = ("--local-directory", str(self._folder / "scratch"))
        self._started("dask_worker", self.address, "--nthreads", "1", "--no-nanny", *scratch, before=before, **more)

    def end(self) -> None:
        """End all of them."""
        for child in self._all:
            child.kill()
            child.wait()


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    """A scheduler, ended in the end."""
    folder.mkdir(exist_ok=True)
    started = Running(folder)
    try:
        yield started
    finally:
        started.end()


def test_a_scheduler_that_goes_away_ends_an_archive_which_another_goes_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        save(dark(grey(96 + number)), tmp_path / "in" / f"{number:02}.png")
    out = tmp_path / "out"
    with running(tmp_path / "dask") as first:
        first.worker()
        child = start("archive", tmp_path / "in", "-o", out, "--force", "--cluster", first.address)
        until(lambda: len(list(out.glob("[!.]*.png"))) >= 3, child)
        first.scheduler.kill()
        _, said = child.communicate(timeout=60)
        assert child.returncode == 1
        gone = "the scheduler has gone away; what is done is kept, the same command goes on"
        assert said.splitlines()[-1] == f"lowlight: {first.address}: {gone}"
        assert "Traceback" not in said
    with running(tmp_path / "again") as second:
        second.worker()
        command = ("--force", "--cluster", second.address)
        ended = lowlight(capsys, "archive", tmp_path / "in", "-o", out, *command)
        assert (ended.code, ended.out[:24]) == (0, "30 of 30 files enhanced,"), ended.err
        again = lowlight(capsys, "enhance", tmp_path / "in", "-o", tmp_path / "two", *command)
        assert again.code == 0, again.err
    whole = {name: digest for name, digest in fingerprints(out).items() if not name.startswith(".lowlight")}
    assert whole == fingerprints(tmp_path / "two")


def test_workers_that_do_not_fit_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(dark(grey(64)), tmp_path / "in" / "a.png")
    command = ("enhance", tmp_path / "in", "-o", tmp_path / "out", "--cluster")
    other = tmp_path / "other"
    shutil.copytree(Path(package.__file__).parent, other / "lowlight", ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("configs", "models"):
        (other / part).symlink_to(Path(package.__file__).parent.parent / part)
    init = other / "lowlight" / "__init__.py"
    init.write_text(init.read_text().replace(f'"{package.__version__}"', '"9.9.9"'))
    with running(tmp_path / "dask") as dask:
        dask.worker(PYTHONPATH=str(other))
        ended = lowlight(capsys, *command, dask.address)
    assert ended.code == 1
    host = os.uname().nodename
    assert (
        f"{host} (127.0.0.1) has lowlight 9.9.9 instead of {package.__version__}; install the same there" in ended.err
    )
    without = tmp_path / "without" / "lowlight"
    without.mkdir(parents=True)
    (without / "__init__.py").write_text('raise ImportError("there is none")')
    with running(tmp_path / "more") as dask:
        dask.worker(PYTHONPATH=str(without.parent))
        ended = lowlight(capsys, *command, dask.address)
    assert ended.code == 1
    assert ": lowlight does not run there (" in ended.err
    assert not list((tmp_path / "out").rglob("*")), "nothing was begun, and nothing is left of the look"


def test_a_worker_that_sees_other_files_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(dark(grey(64)), tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "hide.sh").write_text('mount -t tmpfs tmpfs "$1" && shift && exec "$@"\n')
    root = os.getuid() == 0
    apart = ("unshare", "--mount") if root else ("unshare", "--user", "--map-root-user", "--mount")
    with running(tmp_path / "dask") as dask:
        dask.worker(before=(*apart, "sh", str(tmp_path / "hide.sh"), str(tmp_path / "out")))
        ended = lowlight(capsys, "enhance", tmp_path / "in", "-o", tmp_path / "out", "--cluster", dask.address)
    assert ended.code == 1
    assert f"does not see the folder {tmp_path / 'out'}; workers have to see the same files" in ended.err


def test_nobody_at_an_address_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_SECONDS_TO_CONNECT", 1.0)
    save(dark(grey(64)), tmp_path / "in" / "a.png")
    ended = lowlight(capsys, "archive", tmp_path / "in", "-o", tmp_path / "out", "--cluster", "tcp://127.0.0.1:9")
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith("lowlight: tcp://127.0.0.1:9: no scheduler can be reached there (")
