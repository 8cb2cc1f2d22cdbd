"""Which images train and which validate."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from lowlight.errors import InputError
from lowlight.training.datalist import balanced_weights, load_datalist, with_severities


def save(pixels: np.ndarray, folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def write_manifest(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "MANIFEST.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def names(items: list[dict[str, str]]) -> list[str]:
    return [Path(item["image"]).name for item in items]


def test_a_folder_with_train_and_val_is_taken_as_it_is_split(tmp_path: Path, retina: np.ndarray) -> None:
    save(retina, tmp_path, "train/fundus/a.png", "train/fundus/b.jpg", "val/fundus/c.tif", "val/xray/deep/d.png")
    assert load_datalist(tmp_path, "train") == [
        {"image": str(tmp_path / "train/fundus/a.png"), "modality": "fundus"},
        {"image": str(tmp_path / "train/fundus/b.jpg"), "modality": "fundus"},
    ]
    assert load_datalist(tmp_path, "val") == [
        {"image": str(tmp_path / "val/fundus/c.tif"), "modality": "fundus"},
        {"image": str(tmp_path / "val/xray/deep/d.png"), "modality": "xray"},
    ]


def test_what_is_an_image_is_told_by_content_not_by_name(tmp_path: Path, retina: np.ndarray) -> None:
    save(retina, tmp_path, "train/a.png", "val/b.png")
    shutil.copy(get_testdata_file("CT_small.dcm"), tmp_path / "train" / "IM0001")
    (tmp_path / "train" / "notes.txt").write_text("left eye", encoding="utf-8")
    assert names(load_datalist(tmp_path, "train")) == ["IM0001", "a.png"]


def test_the_files_of_a_group_stay_together(tmp_path: Path, retina: np.ndarray) -> None:
    files = [f"image{index:02d}.png" for index in range(30)]
    save(retina[:16, :16], tmp_path, *files)
    patients = {name: f"patient{index % 10}" for index, name in enumerate(files)}
    write_manifest(tmp_path, [{"file": name, "group": patient} for name, patient in patients.items()])
    train, val = ({patients[name] for name in names(load_datalist(tmp_path, part, 0.3))} for part in ("train", "val"))
    assert len(val) == 3
    assert not train & val
    assert train | val == set(patients.values())


def test_a_manifest_may_name_files_from_the_folder_above(tmp_path: Path, retina: np.ndarray) -> None:
    folder = tmp_path / "collection"
    save(retina[:16, :16], folder, "train/a.png", "val/b.png")
    rows = [{"file": f"collection/{name}", "modality": "fundus"} for name in ("train/a.png", "val/b.png")]
    write_manifest(folder, rows)
    assert [item["modality"] for part in ("train", "val") for item in load_datalist(folder, part)] == ["fundus"] * 2


def test_another_column_can_name_the_groups(tmp_path: Path, retina: np.ndarray) -> None:
    save(retina[:16, :16], tmp_path, "a.png", "b.png", "c.png", "d.png")
    videos = {"a.png": "1", "b.png": "1", "c.png": "2", "d.png": "2"}
    write_manifest(tmp_path, [{"file": name, "video": video} for name, video in videos.items()])
    val = names(load_datalist(tmp_path, "val", 0.5, group_column="video"))
    assert val in (["a.png", "b.png"], ["c.png", "d.png"])


def test_without_a_manifest_files_are_split_one_by_one_and_always_the_same_way(
    tmp_path: Path, retina: np.ndarray
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    files = [f"image{index:02d}.png" for index in range(20)]
    save(retina[:16, :16], first, *files)
    save(retina[:16, :16], second, *reversed(files))
    train, val = names(load_datalist(first, "train")), names(load_datalist(first, "val"))
    assert len(val) == 2
    assert sorted(train + val) == files
    assert (names(load_datalist(second, "train")), names(load_datalist(second, "val"))) == (train, val)


def test_a_new_file_does_not_send_the_others_across(tmp_path: Path, retina: np.ndarray) -> None:
    files = [f"image{index:02d}.png" for index in range(20)]
    save(retina[:16, :16], tmp_path, *files)
    before = names(load_datalist(tmp_path, "val", 0.25))
    save(retina[:16, :16], tmp_path, "one_more.png")
    after = names(load_datalist(tmp_path, "val", 0.25))
    assert len(set(before) - set(after)) <= 1


def test_the_manifest_tells_the_modality_before_the_folder_does(tmp_path: Path, retina: np.ndarray) -> None:
    save(retina, tmp_path, "train/xray/a.png", "train/xray/b.png", "train/other/c.png", "val/d.png")
    write_manifest(
        tmp_path,
        [{"file": "train/xray/a.png", "modality": "fundus"}, {"file": "train/xray/b.png", "modality": "nonsense"}],
    )
    assert [item["modality"] for item in load_datalist(tmp_path, "train")] == ["unknown", "fundus", "xray"]


def test_modalities_can_be_chosen(tmp_path: Path, retina: np.ndarray) -> None:
    save(retina, tmp_path, "train/xray/a.png", "train/fundus/b.png", "train/c.png", "val/d.png")
    assert names(load_datalist(tmp_path, "train", modalities=["fundus"])) == ["b.png"]
    with pytest.raises(
        InputError, match=r"no image for val is of fundus; .*MANIFEST\.csv says it; --modalities null takes all"
    ):
        load_datalist(tmp_path, "val", modalities=["fundus"])


def test_what_cannot_be_split_is_refused_with_the_way_out(tmp_path: Path, retina: np.ndarray) -> None:
    with pytest.raises(InputError, match="no such folder; give --dataset_dir a folder of images"):
        load_datalist(tmp_path / "gone", "train")
    with pytest.raises(InputError, match="no image for train found"):
        load_datalist(tmp_path, "train")
    save(retina, tmp_path, "alone.png")
    with pytest.raises(InputError, match="at least two"):
        load_datalist(tmp_path, "val")
    (tmp_path / "MANIFEST.csv").write_text("name,group\nalone.png,1\n", encoding="utf-8")
    with pytest.raises(InputError, match='has no column "file"'):
        load_datalist(tmp_path, "train")
    with pytest.raises(ValueError, match='must be "train" or "val"'):
        load_datalist(tmp_path, "test")


def test_a_file_that_only_claims_to_be_an_image_is_named(tmp_path: Path, retina: np.ndarray) -> None:
    save(retina, tmp_path, "train/a.png", "val/b.png")
    (tmp_path / "train" / "broken.png").write_text("<html>", encoding="utf-8")
    with pytest.raises(InputError, match=r"broken\.png: is named \.png but holds text"):
        load_datalist(tmp_path, "train")


@pytest.mark.parametrize(("power", "shares"), [(0.0, (0.75, 0.25)), (1.0, (0.5, 0.5))])
def test_weights_balance_files_or_modalities(power: float, shares: tuple[float, float]) -> None:
    items = [{"modality": "xray"}] * 6 + [{"modality": "fundus"}] * 2
    weights = np.asarray(balanced_weights(items, power))
    assert weights[:6].sum() / weights.sum() == pytest.approx(shares[0])
    assert weights[6:].sum() / weights.sum() == pytest.approx(shares[1])


def test_every_image_at_every_severity_or_each_at_one_in_turn() -> None:
    items = [{"image": name} for name in "abcd"]
    in_turn = with_severities(items, every=False)
    assert [item["severity"] for item in in_turn] == ["light", "medium", "heavy", "light"]
    crossed = with_severities(items)
    assert len({(item["image"], item["severity"]) for item in crossed}) == len(crossed) == 12
    assert items == [{"image": name} for name in "abcd"]
