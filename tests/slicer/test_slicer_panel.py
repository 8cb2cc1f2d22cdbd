"""The panel as a clinician uses it: real Qt, real scene, real worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
import slicer
from LowLightEnhanceLib import Maps, SampleData, Settings, Volumes
from slicer_volumes import added, node_ids, sequence_of
from views import as_seen


@pytest.fixture
def dark(retina: np.ndarray) -> np.ndarray:
    """A small dark, noisy colour photograph: uint8 (176, 176, 3)."""
    noise = np.random.default_rng(7).normal(0, 6, retina.shape)
    return np.clip(retina * 0.16 + noise, 0, 255).astype(np.uint8)[::2, ::2]


def finished(module, qtbot):
    """Wait until no job runs; the present enhancement."""
    qtbot.waitUntil(lambda: not module.logic.busy, timeout=60_000)
    return module.panel.enhancement


def enhance(module, qtbot, node=None):
    """Click Enhance on a node and wait for what comes of it."""
    if node is not None:
        module.choose(node)
    module.ui.enhanceButton.click()
    return finished(module, qtbot)


def blended(module, qtbot):
    """Wait until the picture shows where the sliders are."""
    blending = module.panel.enhance.blending
    qtbot.waitUntil(lambda: not blending.busy, timeout=20_000)


def measured(module, qtbot):
    """Wait until the table says what there was before and after."""
    qtbot.waitUntil(lambda: module.ui.findingsTable.item(1, 2).text() != "–", timeout=20_000)


def test_from_the_sample_to_the_compared_result(module, qtbot):
    module.ui.sampleButton.click()
    sample = module.ui.inputSelector.currentNode()
    before = Volumes.arrayOf(sample).tobytes()
    enhancement = enhance(module, qtbot)
    assert Volumes.arrayOf(sample).tobytes() == before
    assert enhancement.output.node.GetName() == f"{sample.GetName()} enhanced"
    assert "is ready" in module.message
    original, enhanced = as_seen().values()
    assert enhanced.mean() > 2 * original.mean()
    measured(module, qtbot)
    assert module.ui.findingsTable.item(1, 1).text().startswith("strong")
    assert module.ui.findingsTable.item(1, 2).text() == "none"

    module.ui.brightnessSlider.value = 0.6
    module.ui.denoiseSlider.value = 0.4
    blended(module, qtbot)
    qtbot.waitUntil(lambda: module.ui.findingsTable.item(1, 2).text() != "none", timeout=20_000)
    module.ui.resetButton.click()
    blended(module, qtbot)
    qtbot.waitUntil(lambda: module.ui.findingsTable.item(1, 2).text() == "none", timeout=20_000)

    module.ui.wipeRadio.click()
    module.ui.wipeSlider.value = 55
    module.ui.sideRadio.click()
    for number, kind in ((1, "gain"), (2, "residual"), (3, "uncertainty")):
        module.ui.mapBox.currentIndex = number
        qtbot.waitUntil(lambda kind=kind: kind in enhancement.maps, timeout=20_000)
        assert module.ui.legendLabel.visible
    module.ui.mapBox.currentIndex = 0
    assert not module.ui.legendLabel.visible


@pytest.mark.parametrize("kind", ["gain", "residual", "uncertainty"])
def test_a_map_is_explained_by_its_legend(module, qtbot, dark, kind):
    """In the panel and in the view: the colours that are seen, between the numbers that they stand for."""
    enhancement = enhance(module, qtbot, added(dark[None]))
    plain = as_seen()
    module.ui.mapBox.currentIndex = module.ui.mapBox.findData(kind)
    qtbot.waitUntil(lambda: kind in enhancement.maps, timeout=20_000)
    module.ui.opacitySlider.value = 100
    node, described = enhancement.maps[kind], Maps.KINDS[kind]
    label = module.ui.legendLabel
    picture = label.pixmap.toImage()
    ratio, row = picture.devicePixelRatio(), 6
    shown = [picture.pixelColor(round(at * (picture.width() - 1)), round(row * ratio)) for at in (0, 0.25, 0.5, 1)]
    expected = Maps.gradient(kind)[[0, 64, 128, 255]]
    np.testing.assert_allclose([(c.red(), c.green(), c.blue()) for c in shown], expected, atol=3)
    assert label.toolTip == label.accessibleDescription == described.explain
    # The view's pixels take their colours from the same scale.
    over, original = (as_seen()[f"LowLight{name}"] for name in ("Enhanced", "Original"))
    assert np.array_equal(original, plain["LowLightOriginal"])
    seen = over[over.shape[0] // 2, over.shape[1] // 4 : -over.shape[1] // 4].astype(int)
    apart = np.abs(seen[:, None] - Maps.gradient(kind)[None].astype(int)).sum(-1).min(1)
    assert np.median(apart) < 12
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
    assert legend.GetVisibility()
    assert legend.GetTitleText() == f"{described.name} ({described.unit})"
    lowest, highest = Maps.limits(node)
    values = Volumes.arrayOf(node)
    assert lowest < np.median(values) < highest
    assert np.mean((values >= lowest) & (values <= highest)) > 0.97
    module.ui.mapBox.currentIndex = 0
    assert not label.visible
    assert not legend.GetVisibility()


def test_the_words_of_a_legend_are_drawn_at_its_ends(module):
    from LowLightEnhanceLib.ComparePart import legendPicture
    from PySide6 import QtGui

    ink, empty = QtGui.QColor("black"), ("", "", "")
    plain = legendPicture("gain", *empty, ink).toImage()
    for number, third in enumerate((slice(0, 80), slice(320, 400), slice(640, 720))):
        texts = ["", "", ""]
        texts[number] = "×2.5"
        drawn = legendPicture("gain", *texts, ink).toImage()
        changed = [x for x in range(720) if any(drawn.pixel(x, y) != plain.pixel(x, y) for y in range(24, 60))]
        assert changed
        assert all(third.start <= x < third.stop for x in changed)


def test_sliders_act_without_the_network_and_reset_brings_all_back(module, qtbot, dark):
    source = added(dark[None])
    enhancement = enhance(module, qtbot, source)
    pixels = Volumes.arrayOf(enhancement.output.node)
    full = pixels.copy()
    module.ui.brightnessSlider.value = module.ui.denoiseSlider.value = 0
    blended(module, qtbot)
    assert np.array_equal(pixels, dark[None])
    module.ui.brightnessSlider.value = 0.5
    blended(module, qtbot)
    assert dark.mean() < pixels.mean() < full.mean()
    module.ui.resetButton.click()
    blended(module, qtbot)
    assert np.array_equal(pixels, full)
    assert (module.ui.brightnessSlider.value, module.ui.denoiseSlider.value) == (1, 1)


def test_of_many_slider_moves_the_last_is_what_stays(module, qtbot, dark):
    enhancement = enhance(module, qtbot, added(dark[None]))
    for step in range(30, 0, -1):
        module.ui.brightnessSlider.value = step / 20
    module.ui.brightnessSlider.value = 0
    module.ui.denoiseSlider.value = 0
    blended(module, qtbot)
    assert np.array_equal(Volumes.arrayOf(enhancement.output.node), dark[None])


def test_in_a_stack_the_slice_looked_at_follows_first_and_then_all(module, qtbot, dark):
    stack = np.stack([dark[..., 1], dark[..., 0], dark[::-1, :, 1], dark[:, ::-1, 1]])
    enhancement = enhance(module, qtbot, added(stack))
    view = slicer.app.layoutManager().sliceWidget("LowLightEnhanced").mrmlSliceNode()
    view.SetSliceOffset(2.0)
    assert module.panel.compare.currentSlice() == 2
    pixels = Volumes.arrayOf(enhancement.output.node)
    module.ui.brightnessSlider.value = module.ui.denoiseSlider.value = 0
    blended(module, qtbot)
    assert np.array_equal(pixels[2], stack[2])
    qtbot.waitUntil(lambda: np.array_equal(pixels, stack), timeout=30_000)


def test_the_progress_counts_slices(module, qtbot, retina):
    bar, told = module.ui.progressBar, []
    bar.valueChanged.connect(lambda value: told.append((bar.format, value, bar.maximum)))
    enhance(module, qtbot, added(np.tile(retina[None] // 6, (4, 1, 1, 1))))
    counted = [value for text, value, most in told if "%v / %m" in text and most == 4 and "Enhancing" in text]
    assert counted == sorted(counted)
    assert len(counted) > 1


def test_a_film_is_compared_and_tuned(module, qtbot, dark):
    frames = np.stack([dark[:96, :96, 1], dark[40:136, :96, 1], dark[:96, 40:136, 1]])
    source = sequence_of(frames)
    enhancement = enhance(module, qtbot, source)
    assert as_seen()["LowLightEnhanced"].mean() > 1.5 * as_seen()["LowLightOriginal"].mean()
    module.ui.brightnessSlider.value = module.ui.denoiseSlider.value = 0
    last = enhancement.output.node.GetNthDataNode(2)
    qtbot.waitUntil(lambda: np.array_equal(Volumes.arrayOf(last)[0], frames[2]), timeout=30_000)
    assert np.array_equal(Volumes.arrayOf(enhancement.output.shown)[0], frames[0])


@pytest.mark.parametrize(("moved", "other"), [("Original", "Enhanced"), ("Enhanced", "Original")])
def test_scrolling_or_zooming_one_view_moves_the_other(module, qtbot, dark, moved, other):
    """Through Slicer's own link logic, as the mouse wheel does it: what is seen is compared, not what is set."""
    even = np.full_like(dark[..., 1], 60)
    enhance(module, qtbot, added(np.stack([dark[..., 1], even, dark[..., 0]])))
    view = slicer.app.layoutManager().sliceWidget(f"LowLight{moved}")
    scroll(view, 0.0)
    before = as_seen()
    scroll(view, 1.0)
    assert slicer.app.layoutManager().sliceWidget(f"LowLight{other}").node.GetSliceOffset() == 1.0
    for name, picture in as_seen().items():
        assert np.ptp(middle(picture, 100)) < np.ptp(middle(before[name], 100)) / 2, name
    scroll(view, 2.0)
    whole = as_seen()
    view.logic.StartSliceNodeInteraction(view.node.FieldOfViewFlag)
    width, height, depth = view.node.GetFieldOfView()
    view.node.SetFieldOfView(width / 4, height / 4, depth)
    view.logic.EndSliceNodeInteraction()
    for name, picture in as_seen().items():
        large, small = middle(picture, 200)[::4, ::4], middle(whole[name], 50)
        assert np.corrcoef(large.ravel(), small.ravel())[0, 1] > 0.8, name


def scroll(view, offset: float) -> None:
    """As the mouse wheel does."""
    view.logic.StartSliceOffsetInteraction()
    view.logic.SetSliceOffset(offset)
    view.logic.EndSliceOffsetInteraction()


def middle(picture: np.ndarray, half: int) -> np.ndarray:
    """Brightness of the square in the middle of a view, of twice `half` pixels."""
    row, column = picture.shape[0] // 2, picture.shape[1] // 2
    return picture[row - half : row + half, column - half : column + half].mean(-1)


def test_nothing_is_mirrored(module, qtbot, dark):
    stack = dark[None, ..., 1].copy()
    stack[0, :60, :60] = 200
    enhance(module, qtbot, added(stack))
    for name, picture in as_seen().items():
        shown = picture[picture.max((1, 2)) > 0]
        corners = [c.mean() for half in np.array_split(shown, 2) for c in np.array_split(half, 2, axis=1)]
        assert np.argmax(corners) == 0, f"{name}: the first pixel is the picture's upper left"


def test_another_scenes_image_is_shown_whole_in_both_views(module, qtbot, dark):
    """Its volumes have the IDs that those of the scene before had."""
    enhance(module, qtbot, added(dark[None]))
    slicer.mrmlScene.Clear(False)
    even = np.full((5, 40, 80), 60, np.uint8) + np.arange(5, dtype=np.uint8)[:, None, None]
    even[:, ::3, ::3] = 90
    module.choose(added(even))
    module.ui.brightnessSlider.value = 0.9
    enhance(module, qtbot)
    original, enhanced = as_seen().values()
    assert original.shape == enhanced.shape
    assert np.array_equal(original.max((1, 2)) > 0, enhanced.max((1, 2)) > 0)
    assert (original[original.shape[0] // 2] > 0).mean() > 0.95
    views = [slicer.app.layoutManager().sliceWidget(f"LowLight{name}").node for name in ("Original", "Enhanced")]
    assert [view.GetSliceOffset() for view in views] == [2, 2]


def test_a_second_result_is_shown_at_the_place_that_is_looked_at(module, qtbot, dark):
    source = added(np.stack([dark[..., 1]] * 3))
    enhance(module, qtbot, source)
    # A new layout's views are fitted once they have their size.
    slicer.app.processEvents()
    view = slicer.app.layoutManager().sliceWidget("LowLightOriginal")
    scroll(view, 2.0)
    view.logic.StartSliceNodeInteraction(view.node.FieldOfViewFlag)
    width, height, depth = view.node.GetFieldOfView()
    view.node.SetFieldOfView(width / 3, height / 3, depth)
    view.logic.EndSliceNodeInteraction()
    enhance(module, qtbot)
    other = slicer.app.layoutManager().sliceWidget("LowLightEnhanced").node
    assert other.GetSliceOffset() == 2
    np.testing.assert_allclose(other.GetFieldOfView(), view.node.GetFieldOfView())


def test_the_wipe_shows_the_original_on_the_left(module, qtbot, dark):
    source = added(dark[None])
    enhance(module, qtbot, source)
    original, enhanced = (as_seen()[name] for name in ("LowLightOriginal", "LowLightEnhanced"))
    module.ui.wipeRadio.click()
    assert slicer.app.layoutManager().sliceViewNames() == ["LowLightWipe"]
    wiped = as_seen()["LowLightWipe"]
    left, right = np.array_split(wiped, 2, axis=1)
    assert left.mean() < right.mean() / 2
    module.ui.wipeSlider.value = 100
    assert as_seen()["LowLightWipe"].mean() < enhanced.mean() / 2
    module.ui.wipeSlider.value = 0
    assert as_seen()["LowLightWipe"].mean() > 2 * original.mean()
    module.ui.slicerRadio.click()
    assert slicer.app.layoutManager().layout == 1
    assert not [n for n in node_ids() if slicer.mrmlScene.GetNodeByID(n).GetName().endswith("wipe")]


def test_a_good_image_is_left_alone_until_someone_insists(module, qtbot, retina):
    source = added(retina[None], "good")
    before = node_ids()
    assert enhance(module, qtbot, source) is None
    assert "Judged undamaged, left unchanged." in module.message
    assert node_ids() == before
    module.ui.forceButton.click()
    assert finished(module, qtbot) is not None


def test_cancel_ends_a_job_at_once_and_leaves_the_scene_as_it_was(module, qtbot, retina):
    source = added(np.tile(retina[None] // 6, (8, 1, 1, 1)))
    module.choose(source)
    before = node_ids()
    module.ui.enhanceButton.click()
    qtbot.waitUntil(lambda: "Enhancing" in module.ui.progressBar.format, timeout=30_000)
    assert not module.ui.enhanceButton.enabled
    module.ui.cancelButton.click()
    qtbot.waitUntil(lambda: not module.logic.busy, timeout=20_000)
    assert module.message == "Cancelled. Nothing was changed."
    assert node_ids() == before
    assert module.ui.enhanceButton.enabled
    assert enhance(module, qtbot) is not None


def test_after_the_worker_was_killed_the_next_click_works(module, qtbot, dark):
    source = added(np.tile(dark[None], (8, 1, 1, 1)))
    module.choose(source)
    before = node_ids()
    module.ui.enhanceButton.click()
    qtbot.waitUntil(lambda: "Enhancing" in module.ui.progressBar.format, timeout=30_000)
    temporary = Path(module.logic.worker.folder).parent
    os.kill(module.logic.worker.processId, signal.SIGKILL)
    qtbot.waitUntil(lambda: not module.logic.busy, timeout=20_000)
    assert "ended unexpectedly" in module.message
    assert node_ids() == before
    assert not temporary.exists()
    enhancement = enhance(module, qtbot)
    assert enhancement is not None
    os.kill(module.logic.worker.processId, signal.SIGKILL)
    qtbot.waitUntil(lambda: not module.logic.worker.running, timeout=20_000)
    module.ui.brightnessSlider.value = 0.4
    assert "Press Enhance once more" in module.message
    assert enhance(module, qtbot).brightness == pytest.approx(0.4)


def test_a_batch_has_one_progress_and_says_what_became_of_each(module, qtbot, retina, dark):
    added(dark[None], "dark 1")
    added(dark[None, ..., 1], "dark 2")
    added(retina[None], "good")
    broken = added(np.full((1, 40, 40), np.nan, np.float32), "broken")
    Volumes.setWindow(broken, (0, 1))
    added(dark[None, ..., 2], "not ticked")
    module.ui.tabs.currentIndex = 1
    assert module.ui.batchList.count == 5
    module.ui.batchList.item(4).setCheckState(slicer_unchecked())
    shares = []
    said = []
    module.ui.batchProgress.valueChanged.connect(shares.append)
    module.ui.batchProgress.valueChanged.connect(lambda _value: said.append(module.ui.batchProgress.text))
    module.ui.batchButton.click()
    qtbot.waitUntil(lambda: not module.panel.batch.busy, timeout=60_000)
    summary = module.ui.batchSummary.toPlainText()
    assert summary.startswith("2 enhanced, 1 left unchanged, 1 refused.")
    assert "Unchanged: good: judged undamaged" in summary
    assert "Refused: broken: " in summary
    assert shares == sorted(shares)
    assert shares[-1] == 1000
    assert not [text for text in said if "%%" in text], said
    names = {slicer.mrmlScene.GetNodeByID(node).GetName() for node in node_ids()}
    assert {"dark 1 enhanced", "dark 2 enhanced"} <= names
    assert "not ticked enhanced" not in names
    assert module.ui.batchList.count == 5


def slicer_unchecked():
    import qt

    return qt.Qt.Unchecked


def test_a_scene_that_is_closed_during_a_batch_ends_it(module, qtbot, dark):
    for _number in range(3):
        added(dark[None])
    module.ui.tabs.setCurrentIndex(1)
    module.ui.batchButton.click()
    assert module.panel.batch.busy
    slicer.mrmlScene.Clear(0)
    qtbot.waitUntil(lambda: not module.panel.batch.busy, timeout=60_000)
    assert "0 enhanced" in module.ui.batchSummary.toPlainText()


def test_a_cancelled_batch_keeps_what_is_done(module, qtbot, dark):
    for number in range(4):
        added(dark[None], f"dark {number}")
    module.ui.tabs.currentIndex = 1
    module.ui.batchButton.click()
    qtbot.waitUntil(lambda: len(module.logic.enhancements) == 1, timeout=30_000)
    module.ui.batchCancelButton.click()
    qtbot.waitUntil(lambda: not module.panel.batch.busy, timeout=20_000)
    assert "Cancelled before the end" in module.ui.batchSummary.toPlainText()
    assert 1 <= len(module.logic.enhancements) <= 2


def test_what_dicom_tells_is_used(module, clip):
    volume, _files = clip
    assert module.panel.enhance.wishesFor(volume)["kind"] == "ultrasound"
    assert Volumes.valueRange(Volumes.pictureOf(volume)) == (0, 4095)


def test_export_writes_a_derived_series_into_a_folder(module, qtbot, clip, tmp_path):
    import pydicom

    volume, files = clip
    enhance(module, qtbot, volume)
    before = [file.read_bytes() for file in files]
    module.ui.brightnessSlider.value = 0.8
    module.ui.exportSection.collapsed = False
    module.ui.folderRadio.click()
    module.ui.folderEdit.text = str(tmp_path / "derived")
    module.ui.exportButton.click()
    qtbot.waitUntil(lambda: not module.panel.export.busy, timeout=30_000)
    assert "3 DICOM files written" in module.message
    written = [pydicom.dcmread(file) for file in sorted((tmp_path / "derived").rglob("*.dcm"))]
    assert len(written) == 3
    source = pydicom.dcmread(files[0])
    assert {str(dataset.StudyInstanceUID) for dataset in written} == {str(source.StudyInstanceUID)}
    assert str(source.SeriesInstanceUID) not in {str(dataset.SeriesInstanceUID) for dataset in written}
    assert all(next(iter(dataset.ImageType)) == "DERIVED" for dataset in written)
    assert [file.read_bytes() for file in files] == before
    assert Settings.read("exportFolder", "") == str(tmp_path / "derived")


def test_export_into_the_database_leaves_no_temporary_files(module, qtbot, clip):
    volume, _files = clip
    enhance(module, qtbot, volume)
    module.ui.databaseRadio.click()
    module.ui.exportButton.click()
    qtbot.waitUntil(lambda: not module.panel.export.busy, timeout=30_000)
    assert "Slicer's DICOM database" in module.message
    folder, count = slicer.dicomDatabase.imported[-1]
    assert count == 3
    assert not Path(folder).exists()


def test_what_the_enhancer_no_longer_keeps_is_not_made_anew_unasked(module, qtbot, clip, tmp_path):
    volume, _files = clip
    enhance(module, qtbot, volume)
    module.panel.logic.worker.stop()
    module.ui.folderRadio.click()
    module.ui.folderEdit.text = str(tmp_path / "derived")
    module.ui.exportButton.click()
    assert "no longer keeps this result" in module.message
    assert not (tmp_path / "derived").exists()
    # Made anew when asked for, it can be cancelled while the enhancer still starts.
    module.ui.anewCheck.click()
    module.ui.exportButton.click()
    assert module.panel.export.busy
    module.panel.export.cancel()
    assert not module.panel.export.busy
    assert "Cancelled" in module.message
    assert module.panel.logic.worker.running
    qtbot.waitUntil(lambda: module.panel.logic.worker.folder is not None, timeout=30_000)
    assert not (tmp_path / "derived").exists()


def test_what_was_not_loaded_from_dicom_is_not_exported(module, qtbot, dark):
    enhance(module, qtbot, added(dark[None]))
    module.ui.exportButton.click()
    assert "not loaded from Slicer's DICOM database" in module.message


def test_a_changed_volume_is_not_exported_as_what_it_is_not(module, qtbot, clip, tmp_path):
    volume, _files = clip
    Volumes.arrayOf(volume)[1] //= 2
    enhance(module, qtbot, volume)
    module.ui.folderEdit.text = str(tmp_path / "derived")
    module.ui.folderRadio.click()
    module.ui.exportButton.click()
    qtbot.waitUntil(lambda: not module.panel.export.busy, timeout=30_000)
    assert "Enhance the stored files anew" in module.message
    assert not list((tmp_path / "derived").rglob("*.dcm"))
    module.ui.anewCheck.click()
    module.ui.exportButton.click()
    qtbot.waitUntil(lambda: not module.panel.export.busy, timeout=30_000)
    assert "3 DICOM files written" in module.message


def test_a_ct_is_warned_about_and_can_go_on(module, qtbot, clip, monkeypatch):
    volume, _files = clip
    monkeypatch.setattr(slicer.dicomDatabase, "instanceValue", lambda uid, tag: "CT" if tag == "0008,0060" else "")
    Volumes.setWindow(volume, (0, 4095))
    assert enhance(module, qtbot, volume) is None
    assert "CT values are measurements" in module.message
    module.ui.offerButton.click()
    assert finished(module, qtbot) is not None
    assert "CT values are measurements" in module.message


@pytest.mark.parametrize("close", [False, True], ids=["image deleted", "scene closed"])
def test_what_is_compared_may_go_away(module, qtbot, dark, close):
    source = added(dark[None])
    enhance(module, qtbot, source)
    module.ui.wipeRadio.click()
    if close:
        slicer.mrmlScene.Clear(False)
    else:
        slicer.mrmlScene.RemoveNode(source)
    assert module.panel.enhancement is None
    module.ui.brightnessSlider.value = 0.3
    assert not module.ui.exportButton.enabled
    assert enhance(module, qtbot, added(dark[None], "next")) is not None


def test_no_image_gives_a_plain_message(module):
    module.ui.enhanceButton.click()
    assert module.message.startswith("No image is chosen.")


def test_settings_persist_and_are_used(module):
    module.ui.tabs.currentIndex = 3
    module.ui.engineBox.currentIndex = module.ui.engineBox.findData("onnx")
    module.ui.rangeBox.currentIndex = module.ui.rangeBox.findData("window")
    module.ui.sharedToneCheck.click()
    module.ui.wipeRadio.click()
    again = type(module.module)()
    try:
        wishes = again.panel.enhance.wishesFor(added(np.zeros((1, 4, 4), np.uint8)))
        assert wishes == {"kind": None, "limits": "window", "sharedTone": False, "engine": "onnx", "device": None}
        assert again.panel.ui.wipeRadio.checked
    finally:
        again.cleanup()
        again.parent.close()


def test_the_log_holds_no_patient_name(module, qtbot, dark):
    source = added(dark[None])
    source.SetName("DOE^JANE chest")
    enhance(module, qtbot, source)
    assert "DOE^JANE chest" in module.ui.messageLabel.text
    log = module.ui.logView.toPlainText()
    assert "is ready" in log
    assert "DOE" not in log
    module.ui.copyLogButton.click()
    import qt

    assert qt.QApplication.clipboard().text() == log


def test_closing_the_module_ends_the_worker(qtbot, dark):
    import LowLightEnhance

    widget = LowLightEnhance.LowLightEnhanceWidget()
    widget.panel.ui.inputSelector.setCurrentNode(added(dark[None]))
    widget.panel.ui.enhanceButton.click()
    qtbot.waitUntil(lambda: widget.logic.worker.folder is not None, timeout=30_000)
    process, temporary = widget.logic.worker.processId, widget.logic.worker.folder.parent
    widget.cleanup()
    widget.parent.close()
    assert not psutil.pid_exists(process)
    assert not temporary.exists()


def test_everything_that_can_be_used_has_a_tooltip_and_is_reached_by_keyboard(module):
    import qt

    lacking, unreachable = [], []
    for widget in vars(module.ui).values():
        own = not widget.name.startswith("qt_")
        if own and not isinstance(widget, tuple) and hasattr(widget, "toolTip"):
            container = (
                widget.className() in ("QWidget", "QTabWidget", "QStackedWidget") or "MRMLWidget" in widget.className()
            )
            if not container and not widget.toolTip and widget.className() in USED:
                lacking.append(widget.name)
            if widget.className() in USED - {"QLabel", "QProgressBar", "QGroupBox"}:
                inner = widget.focusProxy() or widget
                if (
                    inner.focusPolicy == qt.Qt.NoFocus
                    if not callable(inner.focusPolicy)
                    else inner.focusPolicy() == qt.Qt.NoFocus
                ):
                    unreachable.append(widget.name)
    assert not lacking
    assert not unreachable


USED = {
    *(
        "QPushButton",
        "QComboBox",
        "QCheckBox",
        "QRadioButton",
        "QSlider",
        "QLineEdit",
        "QPlainTextEdit",
        "QTableWidget",
    ),
    *("QListWidget", "QProgressBar", "QGroupBox", "_NodeComboBox", "_SliderWidget"),
}


def test_the_sample_is_the_image_that_demo_darkens():
    from lowlight.degradation import LowLight
    from lowlight.enhance.demo import EXAMPLES

    clean = EXAMPLES["retina"].pixels()
    planes = LowLight("medium", "fundus").set_random_state(1)(np.moveaxis(clean.astype(np.float32) / 255, -1, 0))
    dark = np.rint(np.clip(np.moveaxis(np.asarray(planes), 0, -1), 0, 1) * 255).astype(np.uint8)
    sample = Volumes.arrayOf(SampleData.load())[0]
    assert sample.shape == dark.shape
    # The darkening draws from random numbers whose last bits may differ between processors.
    assert np.mean(np.abs(sample.astype(int) - dark)) < 0.5


def test_a_damaged_sample_is_refused(module, tmp_path, monkeypatch):
    damaged = tmp_path / "DarkRetina.png"
    damaged.write_bytes(SampleData.FILE.read_bytes()[:-100])
    monkeypatch.setattr(SampleData, "FILE", damaged)
    module.ui.sampleButton.click()
    assert "missing or damaged" in module.message
