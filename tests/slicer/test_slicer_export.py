"""Export as derived DICOM: what is written is what was seen, or what is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from LowLightEnhanceLib import Volumes
from slicer_clicks import enhance, exported, shown_as

WHITE = 1000
"""What the user's window says; the stored bits reach to 4095."""


def shown_by(folder: Path, original: str) -> dict[str, np.ndarray]:
    """Written pictures as a viewer shows them, (H, W) in [0, 1], by the UIDs of their originals."""
    from lowlight.imaging import read

    found = {}
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        found[str(dataset.SourceImageSequence[0].ReferencedSOPInstanceUID)] = read(path).pixels
    assert original in found
    return found


@pytest.mark.parametrize("shared", [True, False], ids=["one exposure for all", "one exposure a slice"])
def test_made_anew_it_is_made_as_the_job_made_it(module, qtbot, clip, tmp_path, shared):
    volume, files = clip
    Volumes.setWindow(volume, (0, WHITE))
    if not shared:
        module.ui.sharedToneCheck.click()
    enhancement = enhance(module, qtbot, volume)
    assert enhancement.limits == (0, WHITE)
    seen = Volumes.arrayOf(enhancement.output.node) / WHITE
    # The settings of today are not those of the job.
    module.ui.rangeBox.currentIndex = module.ui.rangeBox.findData("type")
    if not shared:
        module.ui.sharedToneCheck.click()
    module.logic.worker.stop()
    module.ui.anewCheck.click()
    message = exported(module, qtbot, tmp_path / "out")
    uids = [str(pydicom.dcmread(file).SOPInstanceUID) for file in files]
    written = shown_by(tmp_path / "out", uids[0])
    for uid, picture in zip(uids, seen, strict=True):
        assert np.abs(written[uid] - np.clip(picture, 0, 1)).max() <= 1.5 / WHITE
    assert "enhanced anew" in message
    assert f"black 0, white {WHITE}" in message
    assert ("one exposure for all slices" in message) == shared


def test_made_anew_by_the_engine_of_the_job(module, qtbot, clip, tmp_path, monkeypatch):
    volume, _files = clip
    module.ui.engineBox.currentIndex = module.ui.engineBox.findData("torch")
    enhance(module, qtbot, volume)
    module.ui.engineBox.currentIndex = module.ui.engineBox.findData("onnx")
    asked, request = [], module.logic.worker.request

    def listening(kind, fields, *callbacks):
        asked.append((kind, fields))
        return request(kind, fields, *callbacks)

    monkeypatch.setattr(module.logic.worker, "request", listening)
    module.ui.anewCheck.click()
    exported(module, qtbot, tmp_path / "out")
    ((_kind, fields),) = [found for found in asked if found[0] == "export"]
    assert fields["engine"] == "torch"


def test_an_export_that_left_files_out_is_not_announced_as_good(module, qtbot, clip, tmp_path):
    volume, files = clip
    enhance(module, qtbot, volume)
    assert "3 DICOM files written" in exported(module, qtbot, tmp_path / "whole")
    assert shown_as(module) == "good"
    files[1].write_bytes(b"this was DICOM once")
    message = exported(module, qtbot, tmp_path / "less")
    assert "2 DICOM files written" in message
    assert files[1].name in message
    assert shown_as(module) == "warning"


def test_the_sample_image_can_be_exported_too(module, qtbot, tmp_path):
    module.ui.sampleButton.click()
    enhancement = enhance(module, qtbot)
    assert exported(module, qtbot, tmp_path / "out") == f"One DICOM file written to {tmp_path / 'out'}."
    assert shown_as(module) == "good"
    (path,) = (tmp_path / "out").rglob("*.dcm")
    dataset = pydicom.dcmread(path)
    assert str(dataset.PatientName) == "Sample^Dark Retina"
    apart = np.abs(dataset.pixel_array.astype(int) - Volumes.arrayOf(enhancement.output.node)[0])
    assert apart.max() <= 1, f"{apart.max()}, {np.mean(apart > 0)}"


def test_the_samples_dicom_file_is_the_picture_that_is_shown():
    import slicer_sample
    from LowLightEnhanceLib import SampleData

    shipped, made = pydicom.dcmread(SampleData.DICOM), slicer_sample.sample()
    shown = Volumes.arrayOf(SampleData.load())[0]
    assert np.array_equal(shipped.pixel_array, shown)
    for element in made:
        if element.keyword != "PixelData":
            assert shipped[element.tag] == element


def test_the_window_lives_while_the_database_takes_the_files(module, qtbot, clip):
    from PySide6 import QtCore

    volume, _files = clip
    enhance(module, qtbot, volume)
    module.ui.databaseRadio.click()
    beats, bar = [], module.ui.progressBar
    heart = QtCore.QTimer()
    heart.timeout.connect(lambda: beats.append(bar.format))
    heart.start(1)
    module.ui.exportButton.click()
    qtbot.waitUntil(lambda: not module.panel.export.busy, timeout=60_000)
    assert any("DICOM database" in text for text in beats), "between two files"
    assert slicer.dicomDatabase.imported[-1][1] == 3
    assert "3 DICOM files written to Slicer's DICOM database" in module.message


def test_an_import_can_be_cancelled_and_says_what_is_there(module, qtbot, clip, monkeypatch):
    volume, _files = clip
    enhance(module, qtbot, volume)
    module.ui.databaseRadio.click()
    take = slicer.dicomDatabase.take

    def and_cancel(path):
        take(path)
        module.ui.cancelButton.click()

    monkeypatch.setattr(slicer.dicomDatabase, "take", and_cancel)
    module.ui.exportButton.click()
    qtbot.waitUntil(lambda: not module.panel.export.busy, timeout=60_000)
    assert module.message == "Cancelled. 1 of 3 files are in Slicer's DICOM database."
    assert not Path(slicer.dicomDatabase.imported[-1][0]).exists()


def test_a_database_that_does_not_take_the_files_is_told_about(module, qtbot, clip, monkeypatch):
    volume, _files = clip
    enhance(module, qtbot, volume)
    module.ui.databaseRadio.click()
    monkeypatch.setattr(slicer.dicomDatabase, "isOpen", False)
    module.ui.exportButton.click()
    qtbot.waitUntil(lambda: not module.panel.export.busy, timeout=60_000)
    assert "no database is open" in module.message
    assert "Export into a folder" in module.message
    assert shown_as(module) == "problem"


def test_no_batch_begins_while_files_are_written(module, qtbot, clip, tmp_path):
    volume, _files = clip
    enhance(module, qtbot, volume)
    module.logic.worker.stop()
    module.ui.anewCheck.click()
    module.ui.folderRadio.click()
    module.ui.folderEdit.text = str(tmp_path / "out")
    module.ui.tabs.setCurrentIndex(1)
    module.ui.exportButton.click()
    assert module.panel.export.busy
    assert not module.ui.batchButton.enabled
    module.panel.batch.start()
    assert not module.panel.batch.busy
    module.panel.export.cancel()
    assert module.ui.batchButton.enabled


def test_files_on_their_way_to_the_database_do_not_outlive_a_killed_slicer(module, qtbot, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, lives, foreign = (tmp_path / name for name in (f"{p}-x" for p in ("lowlight-export", "other", "else")))
    left = tmp_path / f"lowlight-export-{gone.pid}-a1"
    lives = tmp_path / f"lowlight-export-{os.getppid()}-a2"
    foreign = tmp_path / "lowlight-export"
    for folder in (left, lives, foreign):
        folder.mkdir()
        (folder / "1.dcm").write_bytes(b"somebody's image")
    volume, _files = clip
    enhance(module, qtbot, volume)
    module.ui.databaseRadio.click()
    module.ui.exportButton.click()
    qtbot.waitUntil(lambda: not module.panel.export.busy, timeout=30_000)
    assert slicer.dicomDatabase.imported[-1][1] == 3
    assert not left.exists()
    assert lives.exists()
    assert foreign.exists()
    assert [path.name for path in tmp_path.glob("lowlight-export-*")] == [lives.name]
