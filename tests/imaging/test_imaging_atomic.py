"""A result is whole or not there, and an input is never touched."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import skimage
import tifffile

from lowlight.errors import OutputError
from lowlight.imaging import atomic_path, read, write, write_png
from lowlight.imaging.atomic import sweep

ASTRONAUT = Path(skimage.__file__).parent / "data" / "astronaut.png"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.png"
    path.write_bytes(ASTRONAUT.read_bytes())
    return path


def test_the_file_appears_under_its_name_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "result.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        assert temporary.name.startswith(".")
    assert target.read_text() == "half"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_or_ctrl_c_leaves_what_was_there(failure: type[BaseException], tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    target.write_text("earlier")

    def write_half() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert target.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_results_are_readable_as_the_umask_says(source: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        result = write_png(np.zeros((4, 5), np.uint8), tmp_path / "out.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE(result.stat().st_mode) == 0o644


def link_to(source: Path, kind: str) -> Path:
    target = source.with_name("other.png")
    if kind == "same":
        return source
    if kind == "dots":
        return source.parent / "sub" / ".." / source.name
    if kind == "symbolic":
        target.symlink_to(source)
    else:
        target.hardlink_to(source)
    return target


@pytest.mark.parametrize("kind", ["same", "dots", "symbolic", "hard"])
def test_the_input_is_never_overwritten_by_whatever_name(kind: str, source: Path) -> None:
    (source.parent / "sub").mkdir()
    image = read(source)
    target = link_to(source, kind)
    with pytest.raises(OutputError, match="is the input itself, which is never changed; choose another"):
        write(image, image.pixels // 2, target)
    assert source.read_bytes() == ASTRONAUT.read_bytes()
    assert target.samefile(source)


def test_an_earlier_result_is_replaced(source: Path, tmp_path: Path) -> None:
    image = read(source)
    write(image, image.pixels, tmp_path / "out.png")
    write(image, image.pixels // 2, tmp_path / "out.png")
    np.testing.assert_array_equal(read(tmp_path / "out.png").pixels, image.pixels // 2)


def test_a_folder_of_that_name_is_not_replaced(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out.png").mkdir()
    image = read(source)
    with pytest.raises(OutputError, match=r"out\.png: is a folder; choose a file name"):
        write(image, image.pixels, tmp_path / "out.png")


def test_a_file_in_the_place_of_a_folder_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    image = read(source)
    with pytest.raises(OutputError, match="is a file, not a folder; choose another folder"):
        write(image, image.pixels, tmp_path / "results" / "out.png")


def test_a_name_too_long_for_the_disk(source: Path, tmp_path: Path) -> None:
    image = read(source)
    with pytest.raises(OutputError, match="the name is too long"):
        write(image, image.pixels, tmp_path / ("x" * 300 + ".png"))
    assert list(tmp_path.iterdir()) == [source]
    write(image, image.pixels, tmp_path / ("x" * 251 + ".png"))


def run_limited(folder: Path, preparation: str) -> str:
    """Write the picture to ``folder`` in a process prepared so that it must fail; what it says, and what it leaves."""
    script = (
        "import os, resource, signal, sys\n"
        "from lowlight.errors import OutputError\n"
        "from lowlight.imaging import read, write\n"
        "image = read(sys.argv[1])\n"
        f"{preparation}\n"
        "os.chdir(sys.argv[2])\n"
        "try: write(image, image.pixels, 'out.png')\n"
        "except OutputError as error: print(error)\n"
        "print(sorted(os.listdir('.')))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(ASTRONAUT), str(folder)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_file_that_outgrows_what_is_allowed_leaves_nothing(tmp_path: Path) -> None:
    # A limit on file size fails a write in the middle, as a full disk does, and needs no rights to set up.
    limit = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))"
    said = run_limited(tmp_path, limit)
    assert said == "out.png: the file would be larger than this disk or account allows; choose another folder\n[]\n"


@pytest.mark.parametrize("name", ["out.png", "out.tif", "out.nii"])
def test_a_full_disk_is_said_so_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    # A file system of 64 KiB in a namespace of its own, where an ordinary user may mount one.
    script = tmp_path / "fill.sh"
    (tmp_path / "disk").mkdir()
    source = ASTRONAUT if name == "out.png" else tmp_path / name.replace("out", "in")
    if name == "out.tif":
        tifffile.imwrite(source, np.asarray(read(ASTRONAUT).pixels), photometric="rgb")
    elif name == "out.nii":
        nibabel.save(nibabel.Nifti1Image(read(ASTRONAUT).pixels[..., 0], np.eye(4)), source)
    program = (
        "import os, sys\n"
        "from lowlight.errors import OutputError\n"
        "from lowlight.imaging import read, write\n"
        "image = read(sys.argv[1])\n"
        "os.chdir(sys.argv[2])\n"
        "try: write(image, image.pixels, sys.argv[3])\n"
        "except OutputError as error: print(error)\n"
        "print(sorted(os.listdir('.')))\n"
    )
    script.write_text('set -e\nmount -t tmpfs -o size=64k tmpfs "$1"\nexec "$2" -c "$3" "$4" "$1" "$5"\n')
    namespace = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    ran = subprocess.run(
        [*namespace, "sh", str(script), str(tmp_path / "disk"), sys.executable, program, str(source), name],
        capture_output=True,
        text=True,
    )
    assert ran.stdout == f"{name}: the disk is full; free some space or choose another folder\n[]\n", ran.stderr


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    # The system's own folder, as a user without rights.
    drop_rights = "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    said = run_limited(Path("/usr"), drop_rights + "\nimport lowlight.imaging.png")
    assert said.startswith("out.png: the folder may not be written to; choose another folder or change its permissions")


def test_ctrl_c_while_writing_leaves_whole_files_only(tmp_path: Path) -> None:
    # A process that writes result after result is interrupted; whatever bears a final name can be read.
    script = (
        "import itertools, signal, sys\n"
        # Whoever runs the tests in the background may have told all children to ignore Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from lowlight.imaging import read, write\n"
        "image = read(sys.argv[1])\n"
        "for number in itertools.count():\n"
        "    write(image, image.pixels, f'{sys.argv[2]}/{number % 7}.png')\n"
        "    print(number, flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(ASTRONAUT), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == 3:
                child.send_signal(signal.SIGINT)
                break
        child.stdout.read()
        child.wait(timeout=30)
    files = sorted(tmp_path.iterdir())
    assert {path.name for path in files} >= {"0.png", "1.png", "2.png", "3.png"}
    expected = read(ASTRONAUT).pixels
    for path in files:
        assert not path.name.startswith(".")
        np.testing.assert_array_equal(read(path).pixels, expected)


def test_what_a_killed_process_left_is_swept_away_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from lowlight.imaging import atomic_path\n"
        "with atomic_path(sys.argv[1]) as path:\n"
        "    path.write_text('half')\n"
        "    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "a.dcm"], check=False)
    (left,) = tmp_path.iterdir()
    with atomic_path(tmp_path / "b.dcm") as own:
        own.write_text("whole")
        assert left.exists()
        sweep(tmp_path)
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["b.dcm"]
