"""`lowlight archive`: interrupted, killed, on a full disk, and gone on with."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from cli_runs import dark, fingerprints, grey, lowlight, save, start, until

IMAGES = 60


def results(out: Path) -> dict[str, int]:
    """Results so far, and when each was written."""
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.rglob("[!.]*.png")}


def working(out: Path) -> list[int]:
    """Processes that have a file of an archive open."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(file.path.startswith(str(out)) for file in process.open_files()):
                found.append(process.pid)
    return found


def test_an_interrupted_and_a_killed_run_go_on_where_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the workers have it: the last bit of what the network says depends on how many threads add it up.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    source, out = tmp_path / "in", tmp_path / "out"
    for number in range(IMAGES):
        save(dark(grey(96 + number)), source / f"{number % 3}" / f"{number:02}.png")
    assert lowlight(capsys, "enhance", source, "-o", tmp_path / "one", "--force").code == 0
    command = ("archive", source, "-o", out, "--force", "--workers", "2")

    child = start(*command)
    until(lambda: len(results(out)) >= 3, child)
    second = lowlight(capsys, *command)
    assert second.code == 1
    assert "is being worked on by another lowlight archive; wait for it" in second.err
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    before = results(out)
    line = said.splitlines()[-1]
    left = IMAGES - len(before)
    assert line.startswith(f"interrupted: {len(before)} of {IMAGES} files enhanced, {left} still waiting, in {out}")

    child = start(*command)
    until(lambda: len(results(out)) >= len(before) + 3, child)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    # The workers end with it.
    until(lambda: not working(out), None)
    before |= results(out)

    ended = start(*command, "--json")
    told, said = ended.communicate(timeout=120)
    assert ended.returncode == 0, said
    summary = json.loads(told.splitlines()[-1])["summary"]
    assert (summary["done"], summary["waiting"], summary["total"]) == (IMAGES, 0, IMAGES)
    after = results(out)
    assert {name: moment for name, moment in after.items() if name in before} == before, "nothing is done twice"
    whole = {name: digest for name, digest in fingerprints(out).items() if not name.startswith(".lowlight")}
    assert whole == fingerprints(tmp_path / "one")


def test_what_cannot_be_done_has_its_reason_and_can_be_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(dark(grey(64)), tmp_path / "in" / "good.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"")
    listed = tmp_path / "list.txt"
    listed.write_text("in/good.png\nin/bad.png\nin/gone.png\nin/good.png\n")
    out = tmp_path / "out"
    ended = lowlight(capsys, "archive", listed, "-o", out, "--force", "--workers", "1")
    assert ended.code == 1
    assert ended.out.startswith(f"1 of 3 files enhanced, 1 refused, 1 missing, in {out} (3 in ")
    with (out / "not-enhanced.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(Path(row["path"]).name, row["state"], row["reason"]) for row in rows] == [
        ("bad.png", "refused", "is empty; export or copy it again"),
        ("gone.png", "missing", "does not exist; check the path"),
    ]
    other = lowlight(capsys, "archive", listed, "-o", out, "--brightness", "0.5")
    assert other.code == 1
    assert "was begun with other options" in other.err
    save(dark(grey(64)), tmp_path / "in" / "bad.png")
    save(dark(grey(64)), tmp_path / "in" / "gone.png")
    again = lowlight(capsys, "archive", listed, "-o", out, "--force", "--workers", "1", "--retry", "--json")
    assert again.code == 0
    assert sorted(Path(entry["input"]).name for entry in again.entries if "input" in entry) == ["bad.png", "gone.png"]
    assert again.summary["done"] == 3
    assert not (out / "not-enhanced.csv").exists()
    assert set(results(out)) == {"good.png", "bad.png", "gone.png"}


def test_a_full_disk_stops_it_and_leaves_it_to_be_gone_on_with(tmp_path: Path) -> None:
    for number in range(20):
        save(dark(grey(160 + number)), tmp_path / "in" / f"{number:02}.png")
    script = tmp_path / "fill.sh"
    run = '"$2" -m lowlight archive "$3" -o "$1/out" --force --workers 2'
    script.write_text(
        'mount -t tmpfs -o size=300k tmpfs "$1" || exit 99\n'
        f"{run}; echo code $?\n"
        f"{run}; echo code $?\n"
        'mount -o remount,size=50m "$1"\n'
        f"{run}; echo code $?\n"
        'find "$1/out" -name "*.png" | wc -l; find "$1/out" -name ".*.part*"\n'
    )
    (tmp_path / "disk").mkdir()
    namespace = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    ran = subprocess.run(
        [*namespace, "sh", str(script), str(tmp_path / "disk"), sys.executable, str(tmp_path / "in")],
        capture_output=True,
        text=True,
    )
    lines = ran.stdout.splitlines()
    assert lines[0] == lines[1] == "code 1", (ran.stdout, ran.stderr)
    assert lines[2].startswith("20 of 20 files enhanced")
    assert lines[3:] == ["code 0", "20"]
    for line in ran.stderr.splitlines():
        assert line.startswith(f"lowlight: {tmp_path}/disk/out: ")
        assert "give the same command again" in line
    assert "full" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes in folders are there on POSIX alone")
def test_pipes_devices_and_links_that_lead_in_a_circle_cost_themselves_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    good = save(dark(grey(64)), source / "good.png")
    os.mkfifo(source / "pipe.png")
    (source / "circle.png").symlink_to("circle.png")
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{path}\n" for path in (good, source / "pipe.png", source / "circle.png", "/dev/zero")))
    for what, refused in ((source, 1), (listed, 3)):
        out = tmp_path / f"of {what.name}"
        ended = lowlight(capsys, "archive", what, "-o", out, "--force", "--workers", "1")
        assert ended.code == 1
        assert f"{refused} refused" in ended.out
        assert len(results(out)) == 1
    for what in ([source], [good, source / "pipe.png", source / "circle.png"]):
        ended = lowlight(capsys, "enhance", *what, "-o", tmp_path / f"one by one {len(what)}", "--force")
        assert ended.code == 1
        assert "1 file enhanced" in ended.out
        assert "Too many levels of symbolic links" in ended.err
        assert "pipe.png: is not a regular file" in ended.err


def test_results_never_lie_among_their_sources_and_nothing_found_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    save(dark(grey(64)), source / "a.png")
    ended = lowlight(capsys, "archive", source, "-o", source, "--workers", "1")
    assert ended.code == 1
    assert "is the folder of the images themselves; choose another folder with -o" in ended.err
    assert sorted(path.name for path in source.iterdir()) == ["a.png"]
    (tmp_path / "empty").mkdir()
    ended = lowlight(capsys, "archive", tmp_path / "empty", "-o", tmp_path / "out", "--workers", "1")
    assert "no image was found" in ended.err
