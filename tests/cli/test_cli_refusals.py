"""What a user sees of files that cannot be enhanced, of outputs that cannot be written, and of wrong usage."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cli_runs import dark, fingerprints, grey, load, lowlight, names, retina, save
from pydicom.data import get_testdata_file


def test_bad_files_get_a_line_each_and_the_rest_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    save(dark(grey()), source / "good.png")
    save(dark(retina()), source / "z/last.png")
    (source / "empty.png").touch()
    (source / "text.png").write_text("a report, not an image")
    (source / "notes.txt").write_text("a note")
    whole = (source / "good.png").read_bytes()
    (source / "cut.png").write_bytes(whole[: len(whole) // 2])
    bad = dark(grey()).astype(np.float32) / 255
    bad[3, 4] = np.nan
    tifffile.imwrite(source / "nan.tif", bad)
    bad[3, 4] = np.inf
    tifffile.imwrite(source / "inf.tif", bad)
    shutil.copy(get_testdata_file("rtplan.dcm"), source / "plan.dcm")
    before = fingerprints(source)

    ended = lowlight(capsys, "enhance", source, tmp_path / "missing.png", "-o", out)

    assert ended.code == 1
    lines = ended.err.splitlines()
    said = {line.split(": ")[1]: line for line in lines}
    assert len(said) == len(lines) == 8
    expected = {
        "empty.png": ("refused", "is empty"),
        "text.png": ("refused", "holds text"),
        "cut.png": ("refused", "damaged or incomplete"),
        "nan.tif": ("refused", "NaN or infinite"),
        "inf.tif": ("refused", "NaN or infinite"),
        "notes.txt": ("skipped", "unsupported type"),
        "plan.dcm": ("skipped", ""),
    }
    for name, (status, fault) in expected.items():
        line = said[str(source / name)]
        assert line.startswith(f"{status}: ")
        assert fault in line
    missing = said[str(tmp_path / "missing.png")]
    assert missing.startswith("refused: ")
    assert "does not exist" in missing
    assert all("; " in line for line in lines if line.startswith("refused")), "each says what to do"
    assert ended.out.startswith(f"2 files enhanced, in {out}, 2 skipped, 6 refused (")
    assert names(out) == ["good.png", "z/last.png"]
    assert fingerprints(source) == before


def test_files_that_are_no_images_are_skipped_in_folders_and_refused_when_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "in/notes.txt"
    notes.parent.mkdir()
    notes.write_text("a note")
    met = lowlight(capsys, "enhance", notes.parent, "-o", tmp_path / "out")
    assert (met.code, met.err.startswith("skipped: ")) == (0, True)
    named = lowlight(capsys, "enhance", notes, "-o", tmp_path / "out")
    assert (named.code, named.err.startswith("refused: ")) == (1, True)
    assert not (tmp_path / "out").exists()


def test_the_source_is_never_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(dark(grey()), tmp_path / "in/a.png")
    other = save(dark(retina()), tmp_path / "other/a.png")
    link = tmp_path / "link.png"
    link.hardlink_to(source)
    before = fingerprints(tmp_path)
    for target in (source.parent, source, link):
        ended = lowlight(capsys, "enhance", source, "-o", target)
        assert ended.code == 1
        assert "never changed" in ended.err
        assert len(ended.err.splitlines()) == 1
    # Not even where it is the result of another input that would replace it.
    assert lowlight(capsys, "enhance", other.parent, source, "-o", source.parent).code == 1
    assert fingerprints(tmp_path).items() >= before.items()


def test_an_output_below_a_file_ends_the_batch_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(dark(grey()), tmp_path / "in/a.png").parent
    save(dark(grey()), source / "b.png")
    before = fingerprints(tmp_path)
    ended = lowlight(capsys, "enhance", source, "-o", source / "a.png/out")
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert "is a file" in ended.err
    assert fingerprints(tmp_path) == before


def test_a_result_that_cannot_be_written_is_refused_and_the_rest_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    save(dark(grey()), source / "a.png")
    save(dark(grey()), source / "b/b.png")
    out.mkdir()
    (out / "b").write_text("a file where a folder has to be")
    ended = lowlight(capsys, "enhance", source, "-o", out, "--json")
    assert ended.code == 1
    assert ended.by_name()["a.png"]["status"] == "done"
    assert ended.by_name()["b.png"]["status"] == "refused"
    assert "not a folder" in ended.by_name()["b.png"]["message"]
    assert names(out) == ["a.png", "b"]


def test_a_full_disk_refuses_what_does_not_fit_and_leaves_nothing_half_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    save(dark(grey(32)), source / "a.png")
    save(dark(retina(300)), source / "large.png")
    save(dark(grey(32)), source / "z.png")
    with largest_file(20_000):
        ended = lowlight(capsys, "enhance", source, "-o", out, "--json")
    assert ended.code == 1
    assert [entry["status"] for entry in ended.entries] == ["done", "refused", "done"]
    assert "choose another folder" in ended.by_name()["large.png"]["message"]
    assert names(out) == ["a.png", "z.png"]
    assert load(out / "z.png").shape == (32, 32)


def test_names_with_control_characters_stay_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two\nlines\x1b[31m.png").touch()
    ended = lowlight(capsys, "enhance", tmp_path, "-o", tmp_path / "out")
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert "two\\nlines\\x1b[31m.png: is empty" in line


def test_what_decoders_say_of_a_damaged_file_stays_off_the_console(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = get_testdata_file("JPEG2000-embedded-sequence-delimiter.dcm")
    assert lowlight(capfd, "enhance", str(damaged), "-o", tmp_path / "out", "--debug").code == 1
    ended = lowlight(capfd, "enhance", str(damaged), "-o", tmp_path / "out")
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith(f"refused: {damaged}: ")


def test_an_unknown_device_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(dark(grey()), tmp_path / "a.png")
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "out", "--device", "cuda:99")
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert "cuda:99" in line
    assert "cpu" in line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["enhance"],
        ["enhance", "a.png"],
        ["enhance", "a.png", "-o", "out", "--brightness", "1.6"],
        ["enhance", "a.png", "-o", "out", "--denoise", "-0.1"],
        ["enhance", "a.png", "-o", "out.xyz"],
        ["enhance", "a.png", "-o", "out", "--modality", "thermography"],
        ["enhance", "a.png", "-o", "out", "--value-range", "5"],
        ["enhance", "a.png", "b.png", "-o", "out.png"],
        ["simulate", "a.png", "-o", "out", "--severity", "severe"],
        ["simulate", "a.png", "-o", "out", "--seed", "-1"],
        ["evaluate", "clean"],
        ["evaluate", "clean", "enhanced", "--by", "name"],
        ["evaluate", "clean", "enhanced", "--csv", "table.txt"],
        ["demo", "--image", "brain"],
        ["demo", "-o", "picture.jpg"],
        ["polish"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ended = lowlight(capsys, *arguments)
    assert ended.code == 2
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("value", ["nan", "inf", "-0.1", "1.6"])
def test_a_strength_out_of_range_is_told_the_range(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended = lowlight(capsys, "enhance", "a.png", "-o", "out", "--brightness", value)
    assert ended.code == 2
    assert f"{value} is not a number from 0 to 1.5" in ended.err


def test_an_unknown_suffix_is_told_the_known_ones_and_makes_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(dark(grey(40)), tmp_path / "a.png")
    ended = lowlight(capsys, "simulate", source, "-o", tmp_path / "o.xyz")
    assert ended.code == 2
    assert ".nii.gz" in ended.err
    assert names(tmp_path) == ["a.png"]
    # A number behind a dot is no suffix, and what exists is what it is.
    (tmp_path / "o.xyz").mkdir()
    for folder in ("o.xyz", "patient.2"):
        assert lowlight(capsys, "simulate", source, "-o", tmp_path / folder).code == 0
        assert names(tmp_path / folder) == ["a.png"]


@pytest.mark.parametrize("name", ["out.dcm", "a.png"])
def test_a_wrong_name_is_refused_before_the_network_loads(name: str, tmp_path: Path) -> None:
    source = save(dark(grey(40)), tmp_path / "a.png")
    script = "import sys; from lowlight.cli.app import run; print(run(sys.argv[1:]), 'torch' in sys.modules)"
    command = [sys.executable, "-c", script, "enhance", source, "-o", tmp_path / name]
    child = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert child.stdout.splitlines()[-1] == "1 False"
    (line,) = child.stderr.splitlines()
    assert line.startswith(f"refused: {source} has no result: {tmp_path / name}: is ")


def test_an_empty_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    source = save(dark(grey(40)), tmp_path / "in/a.png").parent
    ended = lowlight(capsys, "simulate", source, tmp_path / "empty", "-o", tmp_path / "out")
    assert (ended.code, ended.err) == (0, f"no image found in {tmp_path / 'empty'}\n")


def test_what_may_not_be_read_is_refused_and_the_rest_done(capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        good = save(dark(grey(40)), folder / "good.png")
        closed = save(dark(grey(40)), folder / "closed.png")
        hidden = save(dark(grey(40)), folder / "shut/hidden.png")
        # What the command loads need not lie where everybody may read.
        assert lowlight(capsys, "simulate", good, folder / "no.png", "-o", folder / "first").code == 1
        for path in (closed, hidden.parent):
            path.chmod(0)
        with unprivileged():
            ended = lowlight(capsys, "simulate", closed, hidden, hidden.parent, good, "-o", folder / "out", "--json")
            compared = lowlight(capsys, "evaluate", good, closed)
            nowhere = lowlight(capsys, "simulate", good, "-o", hidden.parent / "out")
        assert ended.code == 1
        assert [entry["status"] for entry in ended.entries] == ["refused", "refused", "refused", "done"]
        assert "may not be read" in ended.by_name()["closed.png"]["message"]
        assert names(folder / "out") == ["good.png"]
        assert (compared.code, compared.err) == (1, f"refused: {closed}: may not be read; check its permissions\n")
        assert (nowhere.code, len(nowhere.err.splitlines())) == (1, 1)
        assert "may not be written to" in nowhere.err


def test_a_folder_cannot_be_its_own_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(dark(grey()), tmp_path / "in/a.jpg").parent
    ended = lowlight(capsys, "enhance", source, "-o", source)
    assert ended.code == 2
    assert names(source) == ["a.jpg"]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read everything: for a while this process is nobody, as most users are to others' files."""
    if os.getuid() != 0:
        yield
        return
    nobody, before = 65534, (os.getresgid(), os.getresuid())
    os.setresgid(nobody, nobody, 0)
    os.setresuid(nobody, nobody, 0)
    try:
        yield
    finally:
        os.setresuid(*before[1])
        os.setresgid(*before[0])


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond this many bytes: writing fails as on a full disk, part-way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_word_that_became_an_input_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = save(dark(grey()), tmp_path / "dark.png")
    ended = lowlight(capsys, "enhance", image, "--preview", "off", "-o", tmp_path / "out.png")
    assert ended.code == 2
    assert "off does not exist" in " ".join(ended.err.replace("│", " ").split())
    ended = lowlight(capsys, "enhance", image, image, "-o", tmp_path / "out.png")
    assert ended.code == 2
    assert "does not exist" not in ended.err
