"""What must not go by unnoticed: a result that nobody can see, and values that measure."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from LowLightEnhanceLib import Volumes
from slicer_clicks import enhance, finished, shown_as
from slicer_volumes import added, node_ids


@pytest.fixture
def faint(dim):
    """A 16-bit image that uses but 228 of its 65536 values, as some detectors write them."""
    return added(np.minimum(dim[None, ..., 1].astype(np.uint16) * 8, 228), "faint")


@pytest.fixture
def ct(clip, monkeypatch):
    """A volume that the database says is a CT."""
    volume, _files = clip
    monkeypatch.setattr(
        slicer.dicomDatabase,
        "instanceValue",
        lambda uid, tag: "CT" if tag == "0008,0060" else "",
    )
    Volumes.setWindow(volume, (0, 4095))
    return volume


def test_a_result_that_came_out_black_is_not_announced_as_good(module, qtbot, faint):
    module.ui.rangeBox.currentIndex = module.ui.rangeBox.findData("type")
    black = enhance(module, qtbot, faint)
    assert Volumes.arrayOf(black.output.node).max() < 0.1 * 65535, "then there is nothing to warn of"
    assert shown_as(module) == "warning"
    assert "nearly black" in module.message
    assert "black 0, white 65535" in module.message
    assert "0 to 228" in module.message
    # The way out is one click: what the window of the original shows can be seen in the result, too.
    Volumes.setWindow(faint, (0, 228))
    assert module.ui.offerButton.visible
    module.ui.offerButton.click()
    seen = finished(module, qtbot)
    assert seen is not black
    assert Volumes.arrayOf(seen.output.node).mean() > 0.2 * 228
    assert "nearly black" not in module.message
    assert not module.ui.offerButton.visible
    assert module.panel.settings.limits() == "type", "one image's way out changes no setting"


def test_a_good_announcement_says_what_was_black_and_white(module, qtbot, dim):
    enhance(module, qtbot, added(dim[None]))
    assert shown_as(module) == "good"
    assert "black 0, white 255" in module.message


def test_a_script_is_warned_of_a_black_result(warm_logic, faint):
    result = warm_logic.enhance(faint, limits="type", brightness=1, denoise=1)
    assert any("nearly black" in warning for warning in warm_logic.enhancementOf(result).warnings)
    result = warm_logic.enhance(faint, limits="type", brightness=0, denoise=1)
    assert not warm_logic.enhancementOf(result).warnings, "nobody asked for it to be brighter"


def test_values_that_measure_are_not_enhanced_before_someone_has_agreed(module, qtbot, ct):
    before = node_ids()
    assert enhance(module, qtbot, ct) is None
    assert not module.logic.busy
    assert node_ids() == before
    assert "CT values are measurements" in module.message
    assert shown_as(module) == "warning"
    module.ui.offerButton.click()
    assert finished(module, qtbot) is not None
    assert "CT values are measurements" in module.message
    assert shown_as(module) == "warning"
    assert not module.ui.offerButton.visible
    # Who has agreed once is not asked again about the same image; about another one, yes.
    first = module.panel.enhancement
    assert enhance(module, qtbot, ct) is not first


def test_agreeing_counts_for_one_image_alone(module, qtbot, ct, dim):
    enhance(module, qtbot, ct)
    module.choose(added(dim[None], "other"))
    assert not module.ui.offerButton.visible
    module.choose(ct)
    assert enhance(module, qtbot) is None
    assert module.ui.offerButton.visible


def test_in_a_batch_values_that_measure_are_not_ticked_and_never_pass_in_silence(module, qtbot, ct, dim):
    added(dim[None], "photograph")
    module.ui.tabs.currentIndex = 1
    rows = [module.ui.batchList.item(row) for row in range(module.ui.batchList.count)]
    ticked = {item.text(): item.checkState() == checked() for item in rows}
    assert [name for name, on in ticked.items() if on] == ["photograph"]
    assert any("CT" in name for name in ticked), "the list says why"
    module.ui.tickAllButton.click()
    assert [item.text() for item in rows if item.checkState() == checked()] == ["photograph"]
    next(item for item in rows if "CT" in item.text()).setCheckState(checked())
    module.ui.batchButton.click()
    qtbot.waitUntil(lambda: not module.panel.batch.busy, timeout=60_000)
    summary = module.ui.batchSummary.toPlainText()
    assert summary.startswith("2 enhanced")
    assert "Warning: clip: CT values are measurements" in summary
    assert "Warning: photograph" not in summary


def test_a_batch_tells_which_results_came_out_black(module, qtbot, faint):
    module.ui.rangeBox.currentIndex = module.ui.rangeBox.findData("type")
    module.ui.tabs.currentIndex = 1
    module.ui.batchButton.click()
    qtbot.waitUntil(lambda: not module.panel.batch.busy, timeout=60_000)
    assert "Warning: faint: " in module.ui.batchSummary.toPlainText()
    assert "nearly black" in module.ui.batchSummary.toPlainText()


def checked():
    import qt

    return qt.Qt.Checked
