"""What scripts ask for carelessly, what settings may hold, and what someone takes away while it is compared."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from LowLightEnhanceLib import Settings, Volumes
from LowLightEnhanceLib.Batch import Batch
from LowLightEnhanceLib.Jobs import Enhancement
from LowLightEnhanceLib.Outputs import browserOf
from LowLightEnhanceLib.Problems import Problem
from slicer_clicks import blended, enhance
from slicer_volumes import added, node_ids, sequence_of
from slicer_waiting import until


@pytest.mark.parametrize(
    "wishes",
    [
        {"brightness": np.float32(0.5), "denoise": np.int64(1)},
        {"limits": (np.uint8(0), np.uint8(255))},
        {"limits": np.array([0, 255], np.int16)},
    ],
    ids=["strengths", "pair", "array"],
)
def test_numbers_of_numpy_are_numbers(warm_logic, dim, wishes):
    plain = {name: [v.item() for v in value] if name == "limits" else value.item() for name, value in wishes.items()}
    source = added(dim[None])
    result, same = warm_logic.enhance(source, **wishes), warm_logic.enhance(source, **plain)
    assert np.array_equal(Volumes.arrayOf(result), Volumes.arrayOf(same))


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({"brightness": float("nan")}, "finite numbers"),
        ({"limits": (float("nan"), 1)}, "finite numbers"),
        ({"brightness": object()}, "neither text nor number"),
        ({"limits": "darkest"}, "automatic, window, type"),
        ({"kind": "lung"}, "fundus"),
    ],
    ids=["strength", "limits", "object", "choice", "kind"],
)
def test_what_cannot_be_asked_for_is_refused_and_the_next_job_runs(warm_logic, dim, wishes, says):
    source = added(dim[None])
    before = node_ids()
    with pytest.raises(Problem, match=says):
        warm_logic.enhance(source, **wishes)
    assert node_ids() == before
    assert not warm_logic.busy
    assert warm_logic.enhance(source) is not None


def test_a_script_whose_progress_fails_gets_its_result_all_the_same(warm_logic, dim, capsys):
    def failing(phase, done, total):
        raise RuntimeError("no such label")

    ended = []
    warm_logic.enhanceAsync(added(dim[None]), ended.append, ended.append, failing)
    until(lambda: ended)
    assert isinstance(ended[0], Enhancement)
    assert not warm_logic.busy
    assert "no such label" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["view", "limits", "engine"])
def test_a_setting_that_nobody_knows_is_the_default(shared_worker, name):
    import LowLightEnhance

    Settings.write(name, "of a later version")
    widget = LowLightEnhance.LowLightEnhanceWidget()
    try:
        assert widget.panel.compare.mode == "side"
        assert widget.panel.settings.limits() == "automatic"
        assert widget.panel.settings.engine() is None
    finally:
        widget.cleanup()


@pytest.mark.parametrize("gone", ["browser", "what shows the result"])
def test_a_film_whose_views_lost_it_is_no_longer_compared(module, qtbot, dim, gone):
    film = sequence_of(np.stack([dim[:64, :64, 1]] * 2))
    enhancement = enhance(module, qtbot, film)
    module.ui.wipeRadio.click()
    slicer.mrmlScene.RemoveNode(browserOf(film) if gone == "browser" else enhancement.output.shown)
    assert "removed from the scene" in module.message
    assert module.panel.enhancement is None
    module.ui.wipeSlider.value = 20
    module.ui.sideRadio.click()
    module.ui.wipeRadio.click()
    assert enhance(module, qtbot, film).output.shown.GetScene() is slicer.mrmlScene


@pytest.mark.parametrize("pixels", ["cropped", "none"])
def test_a_result_that_someone_cropped_is_no_longer_compared(module, qtbot, dim, pixels):
    enhancement = enhance(module, qtbot, added(dim[None]))
    if pixels == "none":
        enhancement.output.node.SetAndObserveImageData(None)
    else:
        slicer.util.updateVolumeFromArray(enhancement.output.node, dim[None, :30, :30])
    module.ui.wipeRadio.click()
    assert "can no longer be compared" in module.message
    assert module.panel.enhancement is None
    again = enhance(module, qtbot)
    assert again is not enhancement
    module.ui.brightnessSlider.value = 0.4
    blended(module, qtbot)


def test_what_a_library_prints_is_no_message(shared_worker):
    said: list[str] = []
    log, shared_worker.log = shared_worker.log, said.append
    shared_worker.whenReady(lambda: None, said.append)
    process, shared_worker._buffer = shared_worker._process, b'5\n[1]\n"x"\n' + shared_worker._buffer
    shared_worker._read(process)
    shared_worker.log = log
    assert [line for line in said if "Not understood" in line] == [
        "Not understood: 5",
        "Not understood: [1]",
        'Not understood: "x"',
    ]


def test_a_batch_of_many_that_are_refused_at_once_comes_to_its_end(warm_logic):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    ended = []
    Batch(warm_logic, [empty] * 1200, lambda node: {}, lambda share, name: None, ended.append).start()
    assert len(ended) == 1
    assert len(ended[0].refused) == 1200
