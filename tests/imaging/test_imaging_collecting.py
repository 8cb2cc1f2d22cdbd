"""Which files a path leads to, and what their results are called."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import skimage
from PIL import Image

from lowlight.errors import InputError
from lowlight.imaging import collect, output_name, plan_names, read
from lowlight.imaging.filetype import split_suffix

PICTURE = Image.open(Path(skimage.__file__).parent / "data" / "coffee.png").resize((12, 10))


def save(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        PICTURE.save(path)


def names(paths: list[Path]) -> list[str]:
    return [path.as_posix() for path in paths]


def test_a_folder_is_walked_in_order_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.png", "a/x.png", "c.png", ".hidden.png", ".git/y.png", "a/.DS_Store"):
        save(tmp_path / "in" / (name + ".png" if "." not in name[1:] or name.endswith("Store") else name))
    found = list(collect([tmp_path / "in"]))
    assert names([item.relative for item in found]) == ["a/x.png", "b/1.png", "b/2.png", "c.png"]
    assert [item.path for item in found] == [tmp_path / "in" / item.relative for item in found]
    assert not any(item.explicit for item in found)


def test_a_file_is_itself_even_if_hidden(tmp_path: Path) -> None:
    save(tmp_path / "in" / ".hidden.png")
    (found,) = collect([str(tmp_path / "in" / ".hidden.png")])
    assert (found.relative, found.explicit) == (Path(".hidden.png"), True)


def test_a_path_that_does_not_exist_does_not_stop_the_others(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    missing, present = collect([tmp_path / "gone", tmp_path / "a.png"])
    with pytest.raises(InputError, match="gone: does not exist; check the path"):
        missing.read()
    assert present.read().pixels.shape == (10, 12, 3)


def test_links_that_form_a_circle_end(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "linked.png").symlink_to(tmp_path / "in" / "a.png")
    assert names([item.relative for item in collect([tmp_path / "in"])]) == ["a.png", "linked.png"]


def test_a_folder_that_may_not_be_listed_is_one_refusal() -> None:
    script = (
        "import os, sys\n"
        "from lowlight.errors import InputError\n"
        "from lowlight.imaging import collect\n"
        "from PIL import Image\n"
        "import lowlight.imaging.png\n"
        "Image.init()  # what is imported later may lie where only this user may read\n"
        "os.chdir(sys.argv[1])\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for item in collect(['in']):\n"
        "    try: print(item.relative, item.read().kind)\n"
        "    except InputError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        save(folder / "in" / "a.png", folder / "in" / "closed" / "b.png")
        (folder / "in" / "closed").chmod(0)
        told = subprocess.run([sys.executable, "-c", script, name], capture_output=True, text=True)
        (folder / "in" / "closed").chmod(0o755)
    assert told.stdout.splitlines() == [
        "a.png png",
        f"{Path('in', 'closed')}: is a folder that cannot be listed (Permission denied); check its permissions",
    ], told.stderr


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.png", ("a", ".png")),
        ("scan.NII.GZ", ("scan", ".NII.GZ")),
        ("a.b.tif", ("a.b", ".tif")),
        ("1.2.840.10008", ("1.2.840.10008", "")),
        ("IM0001", ("IM0001", "")),
        (".png", (".png", "")),
    ],
)
def test_suffixes_are_those_of_images(name: str, parts: tuple[str, str]) -> None:
    assert split_suffix(name) == parts


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("sub/a.png", "sub/a.png"),
        ("sub/a.jpg", "sub/a.png"),
        ("a.JPEG", "a.png"),
        ("a.tiff", "a.tiff"),
        ("a.TIF", "a.TIF"),
    ],
)
def test_a_result_keeps_its_folder_and_stem(name: str, result: str, tmp_path: Path) -> None:
    save(tmp_path / name)
    assert output_name(read(tmp_path / name), Path(name)).as_posix() == result


def test_a_wrong_suffix_is_put_right(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "photo.tif", "PNG")
    assert output_name(read(tmp_path / "photo.tif"), "photo.tif") == Path("photo.png")


def test_a_plan_without_collisions_is_what_each_name_would_be(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", tmp_path / "b.png", tmp_path / "sub" / "a.png")
    found = list(collect([tmp_path]))
    assert plan_names(found) == [output_name(item.read(), item.relative) for item in found]


def test_inputs_of_one_stem_all_survive(tmp_path: Path) -> None:
    save(tmp_path / "a.jpeg", tmp_path / "a.jpg", tmp_path / "a.png", tmp_path / "a.tif")
    found = list(collect([tmp_path]))
    assert names(plan_names(found)) == ["a.jpeg.png", "a.jpg.png", "a.png", "a.tif"]
    backwards = plan_names(found[::-1])
    assert names(backwards[::-1]) == ["a.jpeg.png", "a.jpg.png", "a.png", "a.tif"]


def test_names_that_a_collision_would_need_are_not_taken_twice(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", tmp_path / "a.png", tmp_path / "a.jpg.png")
    assert len(set(plan_names(list(collect([tmp_path]))))) == 3


def test_equal_names_from_different_folders_are_numbered(tmp_path: Path) -> None:
    save(tmp_path / "one" / "a.png", tmp_path / "two" / "a.png", tmp_path / "three" / "a.png")
    found = list(collect([tmp_path / "one" / "a.png", tmp_path / "two" / "a.png", tmp_path / "three"]))
    assert names(plan_names(found)) == ["a.png", "a-2.png", "a-3.png"]


def test_names_that_differ_in_case_alone_are_kept_apart(tmp_path: Path) -> None:
    save(tmp_path / "one" / "A.png", tmp_path / "two" / "a.png")
    found = list(collect([tmp_path / "one" / "A.png", tmp_path / "two" / "a.png"]))
    assert names(plan_names(found)) == ["A.png", "a-2.png"]


def test_a_plan_has_a_place_for_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    save(tmp_path / "a.jpg")
    assert names(plan_names(list(collect([tmp_path])))) == ["a.png", "notes.txt"]
