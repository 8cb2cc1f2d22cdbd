"""The program as a process: Ctrl-C, closed pipes, a full disk behind stdout, and what loads when."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from cli_runs import dark, grey, load, lowlight, names, save, start, until

from lowlight import Enhancer
from lowlight.batch.signals import Interruption, leave_at_once, raise_again
from lowlight.cli.guarding import guarded
from lowlight.cli.loading import Wanted, begin, loading, when_loaded
from lowlight.cli.report import Report
from lowlight.errors import BundleError
from lowlight.imaging import write_png

MANY = 2000


def many(folder: Path) -> Path:
    """A folder of more images than a test has patience for."""
    first = save(dark(grey(64)), folder / "0000.png")
    for number in range(1, MANY):
        shutil.copy(first, folder / f"{number:04}.png")
    return folder


def test_ctrl_c_leaves_whole_files_and_says_how_many(tmp_path: Path) -> None:
    source, out = many(tmp_path / "in"), tmp_path / "out"
    child = start("enhance", source, "-o", out)
    until((out / "0002.png").exists, child)
    child.send_signal(signal.SIGINT)
    told, said = child.communicate(timeout=60)
    finished = names(out)
    assert child.returncode == 130
    assert told == ""
    # One line and nothing else: neither a traceback nor warnings of libraries.
    assert said == f"interrupted: {len(finished)} of {MANY} files enhanced; these are complete, in {out}\n"
    assert 3 <= len(finished) < MANY
    assert finished == [f"{number:04}.png" for number in range(len(finished))], "no temporary file is left"
    for name in finished:
        assert load(out / name).shape == (64, 64)


def test_what_was_measured_before_ctrl_c_is_kept(tmp_path: Path) -> None:
    source, table, page = many(tmp_path / "in"), tmp_path / "t.csv", tmp_path / "p.html"
    child = start("quantify", source, "--csv", table, "--html", page, "--json")
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(3)]
    child.send_signal(signal.SIGINT)
    told, said = child.communicate(timeout=60)
    assert (child.returncode, said) == (130, "")
    entries = [json.loads(line) for line in [*lines, *told.splitlines()]]
    assert entries[-1]["summary"]["interrupted"] is True
    measured = [entry["input"] for entry in entries[:-1]]
    assert 3 <= len(measured) < MANY
    with table.open(newline="", encoding="utf-8") as stream:
        assert [row["file"] for row in csv.DictReader(stream)] == measured
    content = page.read_text(encoding="utf-8")
    assert content.count('class="card item') == len(measured)
    assert f"<strong>{MANY - len(measured)}</strong> <span>not reached: interrupted</span>" in content


def test_people_see_the_table_of_what_was_measured_before_ctrl_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Report.done

    def interrupting(report: Report, source: Path, *rest: Any, **named: Any) -> None:
        done(report, source, *rest, **named)
        if source.name == "0002.png":
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Report, "done", interrupting)
    ended = lowlight(capsys, "quantify", many(tmp_path / "in"))
    assert ended.code == 130
    assert [name for name in ("0000.png", "0001.png", "0002.png", "0003.png") if name in ended.out] == [
        "0000.png",
        "0001.png",
        "0002.png",
    ]
    assert ended.err == f"interrupted: 3 of {MANY} files measured; these are complete\n"


def test_termination_ends_json_lines_with_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = many(tmp_path / "in"), tmp_path / "out"
    ended = threading.Event()

    def terminate() -> None:
        while not (out / "0002.png").exists() and not ended.wait(0.01):
            pass
        if not ended.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=terminate)
    killer.start()
    told = lowlight(capsys, "simulate", source, "-o", out, "--json")
    ended.set()
    killer.join()
    assert (told.code, told.err) == (128 + signal.SIGTERM, "")
    assert told.summary["interrupted"] is True
    assert told.summary["total"] == MANY
    assert 3 <= told.summary["done"] == len(told.entries) < MANY
    assert [entry["output"] for entry in told.entries] == [str(out / name) for name in names(out)]


def test_a_reader_that_goes_away_ends_the_batch_silently(tmp_path: Path) -> None:
    missing = [tmp_path / f"{number}.png" for number in range(4000)]
    child = start("simulate", *missing, "-o", tmp_path / "out", "--json")
    assert child.stdout is not None
    assert child.stderr is not None
    assert json.loads(child.stdout.readline())["status"] == "refused"
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    assert (child.wait(timeout=60), said) == (141, "")


def test_a_full_disk_behind_stdout_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        child = subprocess.run(
            [sys.executable, "-m", "lowlight", "simulate", tmp_path / "no.png", "-o", tmp_path / "out", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert child.returncode == 1
    (line,) = child.stderr.splitlines()
    assert "No space left" in line


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["enhance", "--help"], ["simulate", "no", "-o", "x"]])
def test_what_needs_no_network_loads_none(arguments: list[str], tmp_path: Path) -> None:
    script = "import sys; from lowlight.cli.app import run; run(sys.argv[1:]); print('torch' in sys.modules)"
    command = [sys.executable, "-c", script, *arguments]
    child = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert child.stdout.splitlines()[-1] == "False"


def test_enhancing_a_plain_image_waits_for_no_large_library(tmp_path: Path) -> None:
    ramp = np.linspace(5, 60, 64) * np.ones((48, 1))
    write_png(np.random.default_rng(0).normal(ramp, 3).clip(0, 255).astype(np.uint8), tmp_path / "dark.png")
    script = (
        "import sys; from lowlight.cli.app import run; run(sys.argv[1:]); "
        "print(sorted({'torch', 'monai', 'scipy', 'skimage', 'SimpleITK', 'nibabel', 'pydicom'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, "enhance", "dark.png", "-o", "out"]
    child = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert child.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "out" / "dark.png").is_file()


def test_the_network_of_a_plain_command_line_is_loaded_once_and_early() -> None:
    begin(["enhance", "dark.png", "-o", "out"])
    early = loading(Wanted())
    assert early.result().engine.name == "onnx"
    assert loading(Wanted()) is not early, "taken up once"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["enhance"],
        ["quantify", "dark.png"],
        ["enhance", "dark.png", "--size=fast"],
        ["enhance", "dark.png", "--device", "cuda"],
        ["enhance", "dark.png", "--cluster", "local[2]"],
        ["enhance", "-h"],
    ],
)
def test_no_network_is_loaded_before_a_command_line_that_may_want_another(words: list[str]) -> None:
    before = threading.active_count()
    begin(words)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("library", "words"), [("yaml", ["enhance", "dark.png", "-o", "out"]), ("typer", ["quantify", "dark.png"])]
)
def test_ctrl_c_while_a_library_loads_that_swallows_it_ends_at_once(
    library: str, words: list[str], tmp_path: Path
) -> None:
    stand_in = "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n"
    stand_in += "    for _ in range(1000): pass\nexcept BaseException:\n    pass\nprint('went on')\n"
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / f"{library}.py").write_text(stand_in, encoding="utf-8")
    write_png(dark(grey(64)), tmp_path / "dark.png")
    paths = os.pathsep.join(filter(None, [str(tmp_path / "first"), os.environ.get("PYTHONPATH")]))
    child = start(*words, env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path)
    assert child.communicate(timeout=60) == ("", "")
    assert child.returncode == 130
    assert not (tmp_path / "out").exists()


def test_ctrl_c_is_met_while_the_network_is_waited_for_though_nobody_heard_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never: Future[Enhancer] = Future()
    interruption = Interruption()
    interruption.received = signal.SIGINT
    monkeypatch.setattr("lowlight.cli.loading.interruption", interruption)
    with pytest.raises(KeyboardInterrupt):
        when_loaded(never)


def test_wrong_usage_does_not_wait_for_the_network(tmp_path: Path) -> None:
    stand_in = "import threading\nif threading.current_thread() is not threading.main_thread():\n    import time\n"
    stand_in += "    time.sleep(30)\nraise ImportError\n"
    (tmp_path / "onnxruntime.py").write_text(stand_in, encoding="utf-8")
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    child = start("enhance", "dark.png", "--brightness", "9", env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 2
    assert "Traceback" not in said


def test_handlers_of_others_and_ignored_signals_stay() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        for handler in (signal.SIG_IGN, lambda number, frame: None):
            signal.signal(signal.SIGINT, handler)
            leave_at_once()
            assert signal.getsignal(signal.SIGINT) is handler
        signal.signal(signal.SIGINT, signal.default_int_handler)
        leave_at_once()
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        raise_again()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_fails_early_is_told_as_ever(tmp_path: Path) -> None:
    write_png(dark(grey(64)), tmp_path / "dark.png")
    (tmp_path / "settings.json").write_text("{", encoding="utf-8")
    environment = {**os.environ, "LOWLIGHT_SETTINGS": str(tmp_path / "settings.json")}
    child = start("enhance", tmp_path / "dark.png", "-o", tmp_path / "out", env=environment)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "settings.json" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("debug", [False, True])
def test_an_unforeseen_error_is_one_line_unless_debugging(debug: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*, debug: bool) -> None:
        raise RuntimeError("first line\nsecond line")

    with pytest.raises(typer.Exit) as ended:
        guarded(broken)(debug=debug)
    said = capsys.readouterr().err
    assert ended.value.exit_code == 1
    assert said.splitlines()[-1].startswith("lowlight: unexpected RuntimeError (first line second line); please report")
    assert ("Traceback" in said) is debug
    assert len(said.splitlines()) == 1 or debug


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BundleError("model.pt: missing; install it again"), "lowlight: model.pt: missing; install it again"),
        (MemoryError(), "not enough memory"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "pip install 'lowlight-enhance[bundle]'"),
    ],
)
def test_foreseen_errors_say_what_to_do(error: Exception, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    def failing(*, debug: bool) -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        guarded(failing)(debug=False)
    said = capsys.readouterr().err
    assert ended.value.exit_code == 1
    assert line in said
    assert len(said.splitlines()) == 1


def test_an_interrupt_waits_for_what_is_being_written() -> None:
    interruption, steps = Interruption(), []
    with interruption.caught():

        def write() -> None:
            with interruption.held():
                steps.append("begun")
                os.kill(os.getpid(), signal.SIGINT)
                steps.append("written")

        with pytest.raises(KeyboardInterrupt):
            write()
        assert steps == ["begun", "written"]
        # A library may have swallowed the exception: the next check raises it again.
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    assert interruption.exit_code == 130


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interruption().caught():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_interrupt_that_a_library_cannot_hand_on_prints_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: told.append(one.exc_type))

    class Library:
        def __init__(self, fault: BaseException) -> None:
            self._fault = fault

        def __del__(self) -> None:
            raise self._fault

    with Interruption().caught():
        Library(KeyboardInterrupt())
        Library(ValueError())
    assert told == [ValueError], "anything else is told as before"
