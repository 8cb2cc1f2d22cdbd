"""What the panel shows belongs to the image that is chosen, and what is made by the module is no image to enhance."""

from __future__ import annotations

import slicer
from LowLightEnhanceLib import Volumes
from slicer_clicks import blended, enhance
from slicer_volumes import added, sequence_of


def test_sliders_show_the_strengths_of_the_image_that_is_chosen(module, qtbot, dim):
    first, second = added(dim[None], "first"), added(dim[None, ::-1].copy(), "second")
    enhance(module, qtbot, first)
    module.ui.brightnessSlider.value, module.ui.denoiseSlider.value = 0.4, 0.2
    blended(module, qtbot)
    module.choose(second)
    strengths = module.logic.worker.hello["strengths"]["default"]
    assert module.panel.enhance.strengths() == (strengths["brightness"], strengths["denoise"])
    assert module.ui.strengthHint.text == "Chosen by the enhancement."
    # Back at the first one, they are where its picture is.
    module.choose(first)
    assert module.panel.enhance.strengths() == (0.4, 0.2)
    module.ui.resetButton.click()
    blended(module, qtbot)
    assert module.panel.enhance.strengths() == (1, 1)


def test_strengths_chosen_before_a_batch_are_still_chosen_after_it(module, qtbot, dim):
    source = added(dim[None], "first")
    added(dim[None, ::-1].copy(), "second")
    module.choose(source)
    module.ui.brightnessSlider.value = 0.7
    module.ui.tabs.currentIndex = 1
    module.ui.batchList.item(0).setCheckState(unchecked())
    module.ui.batchButton.click()
    qtbot.waitUntil(lambda: not module.panel.batch.busy, timeout=60_000)
    assert module.ui.brightnessSlider.value == 0.7
    assert module.ui.strengthHint.text == "Used for the next enhancement."


def test_one_exposure_for_all_slices_is_a_setting_and_outlives_the_scene(module):
    module.ui.sharedToneCheck.click()
    slicer.mrmlScene.Clear(False)
    assert not module.ui.sharedToneCheck.checked
    again = type(module.module)()
    try:
        assert not again.panel.ui.sharedToneCheck.checked
        assert not again.panel.enhance.wishesFor(added(dim_zero()))["sharedTone"]
    finally:
        again.cleanup()
        again.parent.close()


def test_a_result_whose_original_is_gone_is_no_image_to_enhance(module, qtbot, dim):
    source = added(dim[None], "first")
    result = enhance(module, qtbot, source).output.node
    slicer.mrmlScene.RemoveNode(source)
    assert Volumes.isEnhanced(result)
    assert module.logic.candidates() == []
    module.choose(result)
    assert enhance(module, qtbot) is None
    assert "was made by this module" in module.message
    assert "no longer in the scene" in module.message


def test_a_result_stays_a_result_in_a_scene_that_was_saved_and_loaded(warm_logic, dim, tmp_path):
    result = warm_logic.enhance(added(dim[None], "first"))
    name, folder = result.GetName(), tmp_path / "scene"
    folder.mkdir()
    # Without its original, which was not saved with it.
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetFirstNodeByName("first"))
    xml = folder / "saved.mrml"
    slicer.mrmlScene.SetURL(str(xml))
    assert slicer.mrmlScene.Commit(str(xml))
    slicer.mrmlScene.Clear(False)
    slicer.mrmlScene.SetURL(str(xml))
    slicer.mrmlScene.Import()
    assert Volumes.isEnhanced(slicer.mrmlScene.GetFirstNodeByName(name))


def test_of_a_film_neither_the_result_nor_what_shows_it_is_an_image_to_enhance(warm_logic, dim):
    frames = dim[None, :64, :64, 1].repeat(2, 0)
    source = sequence_of(frames)
    result = warm_logic.enhance(source, brightness=1, denoise=1)
    shown = warm_logic.enhancementOf(result).output.shown
    assert warm_logic.candidates() == [source]
    slicer.mrmlScene.RemoveNode(source)
    assert Volumes.isEnhanced(result)
    assert Volumes.isEnhanced(shown)


def dim_zero():
    import numpy as np

    return np.zeros((1, 4, 4), np.uint8)


def unchecked():
    import qt

    return qt.Qt.Unchecked
