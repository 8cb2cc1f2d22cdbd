"""What was enhanced in a viewer becomes derived DICOM files, made from the source files and not from its copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import changed, grey_clip, shipped
from dicom_validation import is_dumped, new_kinds_of_error
from worker_runs import Worker

from lowlight import Enhancer
from lowlight.cli.app import run
from lowlight.imaging import read

WHITE = 1000
"""Of the clips here; what a user's window says."""


def as_loaded(paths: list[Path]) -> np.ndarray:
    """The stack as a viewer holds it: rescaled, in an order of its own, upside down."""
    return np.stack([pydicom.dcmread(path).pixel_array[::-1] for path in sorted(paths)])


def test_a_stack_is_exported_as_it_was_seen(worker: Worker, tmp_path: Path) -> None:
    paths = grey_clip(tmp_path / "in")
    before = {path: path.read_bytes() for path in paths}
    stack = as_loaded(paths)
    answer = worker.enhance(stack, frames=True, value_range=[0, WHITE], force=True)
    worker.take(answer["image"])
    seen = worker.take(worker.ask("blend", result=answer["result"], brightness=0.8, denoise=0.5)["image"])
    out = tmp_path / "out"
    strengths = {"brightness": 0.8, "denoise": 0.5}
    exported = worker.ask(
        "export", result=answer["result"], sources=list(map(str, paths)), folder=str(out), **strengths
    )
    assert exported["type"] == "exported", exported
    assert (exported["anew"], exported["refused"]) == (False, [])
    assert {Path(file) for file in exported["files"]} == set(out.rglob("*.dcm"))
    assert len(exported["files"]) == len(paths)
    sources = {pydicom.dcmread(path).SOPInstanceUID: (path, number) for number, path in enumerate(sorted(paths))}
    for file in map(Path, exported["files"]):
        dataset = pydicom.dcmread(file)
        source, number = sources[dataset.SourceImageSequence[0].ReferencedSOPInstanceUID]
        shown = read(file).pixels[::-1] * WHITE
        assert np.abs(shown - seen[number]).max() <= 0.51 + WHITE / 4095, "another picture than the one that was seen"
        assert dataset.ImageType[0] == "DERIVED"
        assert "brightness 0.8" in dataset.DerivationDescription
        assert not new_kinds_of_error(source, file, tmp_path / "inflated.dcm")
        assert is_dumped(file)
    assert len({pydicom.dcmread(file).SeriesInstanceUID for file in exported["files"]}) == 1
    again = worker.ask("export", result=answer["result"], sources=list(map(str, paths)), folder=str(out), **strengths)
    assert sorted(again["files"]) == sorted(exported["files"]), "a second run made doubles"
    assert {path: path.read_bytes() for path in paths} == before, "a source was changed"


@pytest.mark.parametrize("inverted", [False, True])
def test_one_image_is_exported_whichever_way_its_grey_runs(worker: Worker, tmp_path: Path, inverted: bool) -> None:
    (path,) = grey_clip(tmp_path, 1, PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2")
    dataset = pydicom.dcmread(path)
    loaded = np.minimum(dataset.pixel_array, WHITE)
    if inverted:
        loaded = WHITE - loaded
    dataset.PixelData = loaded.astype("<u2").tobytes()
    dataset.save_as(path)
    black_white = [WHITE, 0] if inverted else [0, WHITE]
    answer = worker.enhance(loaded, value_range=black_white, force=True)
    seen = worker.take(answer["image"]).astype(float)
    exported = worker.ask("export", result=answer["result"], sources=[str(path)], folder=str(tmp_path / "out"))
    shown = read(exported["files"][0]).pixels
    expected = (WHITE - seen) / WHITE if inverted else seen / WHITE
    assert np.abs(shown - expected).max() <= 1.5 / WHITE


@pytest.mark.parametrize("stack", [None, "shared", "own"])
def test_colour_is_exported(worker: Worker, tmp_path: Path, stack: str | None) -> None:
    path = shipped("examples_rgb_color.dcm")
    loaded = pydicom.dcmread(path).pixel_array
    given = loaded if stack is None else loaded[None]
    answer = worker.enhance(given, brightness=1.2, frames=stack is not None, tone=stack)
    seen = worker.take(answer["image"]).reshape(loaded.shape)
    exported = worker.ask("export", result=answer["result"], sources=[str(path)], folder=str(tmp_path))
    assert np.abs(read(exported["files"][0]).pixels * 255 - seen).max() <= 1


def test_an_image_that_was_left_alone_is_exported_as_it_is(worker: Worker, tmp_path: Path, retina: np.ndarray) -> None:
    pixels = retina[:256, :256]
    path = changed(tmp_path / "good.dcm", Rows=256, Columns=256, PixelData=pixels.tobytes(), PlanarConfiguration=0)
    answer = worker.enhance(pixels)
    worker.take(answer["image"])
    assert answer["undamaged"]
    exported = worker.ask(
        "export", result=answer["result"], sources=[str(path)], folder=str(tmp_path / "out"), brightness=1
    )
    dataset = pydicom.dcmread(exported["files"][0])
    assert np.array_equal(dataset.pixel_array, pixels)
    assert "Judged undamaged" in dataset.DerivationDescription


def test_files_that_were_not_enhanced_are_not_exported(worker: Worker, tmp_path: Path) -> None:
    paths = grey_clip(tmp_path / "in")
    stack = as_loaded(paths)
    stack[2] += 40
    answer = worker.enhance(stack, frames=True, value_range=[0, WHITE], force=True)
    worker.take(answer["image"])
    out = tmp_path / "out"
    error = worker.ask("export", result=answer["result"], sources=list(map(str, paths)), folder=str(out))
    assert error["kind"] == "mismatch"
    assert list(out.rglob("*.dcm")) == []


def test_without_a_result_the_files_are_enhanced_as_the_command_line_does(
    worker: Worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = grey_clip(tmp_path / "in")
    note = tmp_path / "in" / "note.txt"
    note.write_text("no image")
    exported = worker.ask("export", sources=[str(path) for path in [*paths, note]], folder=str(tmp_path / "out"))
    assert exported["anew"]
    assert [refused["source"] for refused in exported["refused"]] == [str(note)]
    run(["enhance", str(tmp_path / "in"), "-o", str(tmp_path / "cli")])
    capsys.readouterr()
    expected = {path.relative_to(tmp_path / "cli"): path.read_bytes() for path in (tmp_path / "cli").rglob("*.dcm")}
    assert expected == {Path(file).relative_to(tmp_path / "out"): Path(file).read_bytes() for file in exported["files"]}


@pytest.mark.parametrize("tone", ["shared", "own"])
@pytest.mark.parametrize("film", [False, True], ids=["files", "one film"])
def test_without_a_result_frames_share_a_tone_or_have_each_its_own(
    worker: Worker, enhancer: Enhancer, tmp_path: Path, film: bool, tone: str
) -> None:
    paths = grey_clip(tmp_path / "in", 3)
    datasets = [pydicom.dcmread(path) for path in paths]
    stack = np.stack([dataset.pixel_array for dataset in datasets])
    # Nothing tells that the files belong together.
    for number, (path, dataset) in enumerate(zip(paths, datasets, strict=True)):
        dataset.SeriesInstanceUID += f".{number}"
        dataset.save_as(path)
    if film:
        datasets[0].NumberOfFrames, datasets[0].PixelData = len(stack), stack.tobytes()
        datasets[0].save_as(paths[0])
        paths = paths[:1]
    given = {"value_range": [0, WHITE], "force": True, "modality": "ultrasound", "tone": tone}
    answer = worker.ask("export", sources=list(map(str, paths)), folder=str(tmp_path / "out"), **given)
    options = {"value_range": (0, WHITE), "force": True, "modality": "ultrasound"}
    if tone == "shared":
        expected = enhancer(stack, frames=True, **options).image
    else:
        expected = np.stack([enhancer(frame, **options).image for frame in stack])
    found = {}
    for file in answer["files"]:
        source = pydicom.dcmread(file).SourceImageSequence[0].ReferencedSOPInstanceUID
        found[str(source)] = read(file).pixels
    written = [found[str(dataset.SOPInstanceUID)] for dataset in datasets[: len(paths)]]
    shown = written[0] if film else np.stack(written)
    assert np.abs(shown - np.clip(expected / WHITE, 0, 1)).max() <= 1.5 / WHITE


def test_measured_values_are_refused_unless_insisted(worker: Worker, tmp_path: Path) -> None:
    source = str(shipped("CT_small.dcm"))
    error = worker.ask("export", sources=[source], folder=str(tmp_path / "out"))
    assert error["kind"] == "unreadable"
    exported = worker.ask("export", sources=[source], folder=str(tmp_path / "out"), any_modality=True, label=True)
    assert exported["type"] == "exported"
    assert is_dumped(Path(exported["files"][0]))


def test_a_folder_that_cannot_be_is_named(worker: Worker, tmp_path: Path) -> None:
    paths = grey_clip(tmp_path / "in", 1)
    (tmp_path / "file").write_text("")
    error = worker.ask("export", sources=[str(paths[0])], folder=str(tmp_path / "file"))
    assert error["kind"] == "not-written"
    assert "is a file, not a folder" in error["message"]


def test_an_export_can_be_cancelled(worker: Worker, tmp_path: Path) -> None:
    paths = grey_clip(tmp_path / "in", 60)
    number = worker.send("export", sources=list(map(str, paths)), folder=str(tmp_path / "out"), force=True)
    worker.until(lambda fields: fields["id"] == number and fields["phase"] == "enhancing")
    worker.send("cancel", job=number)
    error = worker.answer(number)
    assert error["kind"] == "cancelled"
    assert sorted(error["files"]) == sorted(map(str, (tmp_path / "out").rglob("*.dcm")))
    again = worker.ask("export", sources=[str(paths[0])], folder=str(tmp_path / "out"), force=True)
    assert len(again["files"]) == 1
