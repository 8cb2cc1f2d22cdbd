"""The module's logic on real MRML nodes with the real worker: every kind of volume, and what may happen to it."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from LowLightEnhanceLib import Volumes
from LowLightEnhanceLib.Problems import Problem
from slicer_volumes import OBLIQUE, added, fingerprint, matrix_of, node_ids, sequence_of


@pytest.fixture
def dark(retina: np.ndarray) -> np.ndarray:
    """A dark, noisy colour photograph: uint8 (H, W, 3)."""
    noise = np.random.default_rng(7).normal(0, 6, retina.shape)
    return np.clip(retina * 0.16 + noise, 0, 255).astype(np.uint8)


def enhanced(logic, node, **wishes):
    """The result; that the source is as it was, bit for bit, is checked every time."""
    before = Volumes.arrayOf(node).tobytes()
    made = logic.enhance(node, **wishes)
    assert Volumes.arrayOf(node).tobytes() == before
    return made


def test_a_dark_grey_volume_gets_a_brighter_one_beside_it(warm_logic, dark):
    source = added(dark[None, ..., 1], "chest")
    result = enhanced(warm_logic, source)
    assert result is not source
    assert result.GetName() == "chest enhanced"
    assert Volumes.arrayOf(result).dtype == np.uint8
    assert Volumes.arrayOf(result).mean() > 2 * dark[..., 1].mean()


def test_a_colour_volume_stays_in_colour(warm_logic, dark):
    result = enhanced(warm_logic, added(dark[None]))
    assert result.IsA("vtkMRMLVectorVolumeNode")
    assert Volumes.arrayOf(result).shape == (1, *dark.shape)
    red, _green, blue = Volumes.arrayOf(result)[0].reshape(-1, 3).mean(0)
    assert red > blue


def test_opacity_goes_along_unchanged(warm_logic, dark):
    opacity = np.arange(dark[..., 0].size, dtype=np.uint8).reshape(1, *dark.shape[:2], 1)
    result = enhanced(warm_logic, added(np.concatenate([dark[None], opacity], -1)))
    assert np.array_equal(Volumes.arrayOf(result)[..., 3:], opacity)


def test_sixteen_bits_stay_sixteen_bits_and_the_window_fits(warm_logic, dark):
    source = added(dark[None, ..., 1].astype(np.uint16) * 16)
    Volumes.setWindow(source, (0, 4095))
    result = enhanced(warm_logic, source)
    pixels = Volumes.arrayOf(result)
    assert pixels.dtype == np.uint16
    assert len(np.unique(pixels)) > 256
    display = result.GetScalarVolumeDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 4095)
    assert not display.GetAutoWindowLevel()


def test_geometry_of_an_oblique_stack_is_that_of_the_source(warm_logic, dark):
    stack = np.stack([dark[..., 1], dark[..., 0], dark[..., 2]])[:, :96, :128]
    source = added(stack, ijk_to_ras=OBLIQUE)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    source.SetAndObserveTransformNodeID(transform.GetID())
    result = enhanced(warm_logic, source, force=True)
    assert Volumes.arrayOf(result).shape == stack.shape
    np.testing.assert_allclose(matrix_of(result), matrix_of(source), atol=1e-6)
    np.testing.assert_allclose(result.GetSpacing(), source.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(result.GetOrigin(), source.GetOrigin(), atol=1e-6)
    assert result.GetParentTransformNode() is transform


def test_the_result_lies_under_the_same_study(warm_logic, dark):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    source = added(dark[None, ..., 1])
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(source), study)
    result = enhanced(warm_logic, source)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(result)) == study


def test_inverted_grey_is_judged_as_it_is_displayed(warm_logic, dark):
    source = added(255 - dark[None, ..., 1])
    source.CreateDefaultDisplayNodes()
    inverted = slicer.vtkMRMLColorTableNode()
    inverted.SetTypeToInvGrey()
    inverted = slicer.mrmlScene.AddNode(inverted)
    source.GetDisplayNode().SetAndObserveColorNodeID(inverted.GetID())
    assert Volumes.valueRange(Volumes.pictureOf(source)) == (255.0, 0.0)
    result = enhanced(warm_logic, source)
    assert Volumes.arrayOf(result).mean() < Volumes.arrayOf(source).mean() - 20
    assert Volumes.isInverted(result.GetDisplayNode())


def test_numbers_with_a_fraction_are_taken_as_displayed(warm_logic, dark):
    source = added(dark[None, ..., 1].astype(np.float32) / 100)
    Volumes.setWindow(source, (0, 2.55))
    result = enhanced(warm_logic, source)
    assert Volumes.arrayOf(result).dtype == np.float32
    assert Volumes.arrayOf(result).mean() > 2 * Volumes.arrayOf(source).mean()


def test_a_film_becomes_a_film_of_the_same_browser(warm_logic, dark):
    frames = np.stack([dark[:96, :96, 1], dark[96:192, :96, 1], dark[:96, 96:192, 1]])
    source = sequence_of(frames)
    result = warm_logic.enhance(source, brightness=1, denoise=1)
    assert result.IsA("vtkMRMLSequenceNode")
    assert result.GetNumberOfDataNodes() == 3
    for index, frame in enumerate(frames):
        assert np.array_equal(Volumes.arrayOf(source.GetNthDataNode(index))[0], frame)
        assert Volumes.arrayOf(result.GetNthDataNode(index)).mean() > 1.5 * frame.mean()
    shown = warm_logic.enhancementOf(result).output.shown
    assert shown.GetScene() is slicer.mrmlScene


def test_a_good_image_is_left_alone_and_the_reason_told(warm_logic, retina, qtbot):
    source = added(retina[None])
    before, told = node_ids(), []
    assert enhanced(warm_logic, source) is None
    warm_logic.enhanceAsync(source, told.append, told.append)
    qtbot.waitUntil(lambda: bool(told), timeout=30_000)
    assert "undamaged" in told[0].reason
    assert node_ids() == before
    assert enhanced(warm_logic, source, force=True) is not None


def test_strengths_of_nothing_give_the_source_back(warm_logic, dark):
    source = added(dark[None])
    result = enhanced(warm_logic, source, brightness=0, denoise=0)
    assert np.array_equal(Volumes.arrayOf(result), Volumes.arrayOf(source))


@pytest.mark.parametrize("close", [False, True], ids=["node deleted", "scene closed"])
def test_what_loses_its_source_ends_with_a_message_and_leaves_nothing(warm_logic, dark, qtbot, close):
    source = added(np.tile(dark[None, ..., 1], (6, 1, 1)))
    told, phases = [], []
    warm_logic.enhanceAsync(source, told.append, told.append, lambda phase, done, total: phases.append(phase))
    qtbot.waitUntil(lambda: "enhancing" in phases or bool(told), timeout=30_000)
    if close:
        slicer.mrmlScene.Clear(False)
    else:
        slicer.mrmlScene.RemoveNode(source)
    before = node_ids()
    qtbot.waitUntil(lambda: bool(told), timeout=20_000)
    assert isinstance(told[0], Problem)
    assert told[0].kind == "removed"
    other = added(dark[None, ..., 1], "next")
    assert warm_logic.enhance(other) is not None
    assert {
        slicer.mrmlScene.GetNodeByID(i).GetName() for i in node_ids() - before if "Volume" in i and "Display" not in i
    } == {
        "next",
        "next enhanced",
    }


def refusal(logic, node):
    before = node_ids()
    with pytest.raises(Problem) as caught:
        logic.enhance(node)
    assert node_ids() == before
    assert caught.value.remedy
    assert "Traceback" not in str(caught.value)
    return caught.value


def test_no_volume_is_refused(warm_logic):
    assert "No image" in refusal(warm_logic, None).message


def test_a_label_map_is_refused(warm_logic):
    node = slicer.util.addVolumeFromArray(np.ones((1, 8, 8), np.uint8), None, "liver", "vtkMRMLLabelMapVolumeNode")
    assert "label map" in refusal(warm_logic, node).message


def test_a_volume_without_pixels_is_refused(warm_logic):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    assert "no pixels" in refusal(warm_logic, node).message


def test_two_values_a_pixel_are_refused(warm_logic):
    assert "2 values" in refusal(warm_logic, added(np.ones((1, 8, 8, 2), np.uint8))).message


def test_nan_is_refused_by_the_worker_in_words(warm_logic, dark):
    pixels = dark[None, ..., 1].astype(np.float32)
    pixels[0, 3, 4] = np.nan
    node = added(pixels)
    Volumes.setWindow(node, (0, 255))
    assert "NaN" in refusal(warm_logic, node).message


def test_a_sequence_of_stacks_is_refused(warm_logic, dark):
    node = sequence_of(np.tile(dark[None, None, :32, :32, 1], (2, 3, 1, 1)))
    assert "4D" in refusal(warm_logic, node).message


def test_a_second_job_is_refused_while_one_runs(warm_logic, dark, qtbot):
    source, told = added(dark[None]), []
    warm_logic.enhanceAsync(source, told.append, told.append)
    with pytest.raises(Problem, match="Another image"):
        warm_logic.enhanceAsync(source, told.append, told.append)
    qtbot.waitUntil(lambda: bool(told), timeout=30_000)
    assert not isinstance(told[0], Problem)


def test_nothing_half_made_stays_if_the_scene_does_not_take_the_result(warm_logic, dark, monkeypatch):
    source = added(dark[None])
    before = node_ids()
    monkeypatch.setattr(Volumes, "placeBeside", lambda source, node: 1 / 0)
    with pytest.raises(Problem, match="could not be taken over"):
        warm_logic.enhance(source)
    assert node_ids() == before


def test_the_example_of_the_module_runs_as_it_is_written_and_ends_the_worker(dark):
    import textwrap

    import LowLightEnhance

    example = textwrap.dedent(LowLightEnhance.__doc__.partition(":\n\n")[2])
    # A scene remembers names for ever, so this one is used here alone.
    names = {"volumeNode": added(dark[None], "of the example")}
    exec(compile(example, "example", "exec"), names)
    assert names["result"].GetName() == "of the example enhanced"
    assert not names["logic"].worker.running


def test_the_check_that_runs_after_every_test_sees_a_single_bit_and_a_moved_origin(dark):
    """`inputs_stay_as_they_are` in conftest.py compares these fingerprints."""
    source, film = added(dark[None]), sequence_of(dark[None, :32, :32, 1].repeat(2, 0))
    before, before_of_film = fingerprint(source), fingerprint(film)
    Volumes.arrayOf(source)[0, 5, 7, 1] ^= 1
    assert fingerprint(source) != before
    Volumes.arrayOf(source)[0, 5, 7, 1] ^= 1
    assert fingerprint(source) == before
    source.SetOrigin(0, 0, 1e-6)
    assert fingerprint(source) != before
    Volumes.arrayOf(film.GetNthDataNode(1))[0, 3, 3] ^= 1
    assert fingerprint(film) != before_of_film
