"""The maps of what was changed belong to the picture that is shown, at the strengths that it is shown with."""

from __future__ import annotations

import numpy as np
from LowLightEnhanceLib import Maps, Volumes
from slicer_clicks import blended, enhance
from slicer_volumes import added


def map_of(module, qtbot, enhancement, number: int, kind: str) -> np.ndarray:
    """Choose a map and wait for it; its pixels."""
    module.ui.mapBox.currentIndex = number
    qtbot.waitUntil(lambda: kind in enhancement.maps and module.ui.legendLabel.visible, timeout=20_000)
    return Volumes.arrayOf(enhancement.maps[kind])


def test_the_gain_map_follows_the_brightness_slider(module, qtbot, dim):
    enhancement = enhance(module, qtbot, added(dim[None]))
    full = map_of(module, qtbot, enhancement, 1, "gain").copy()
    node, scale = enhancement.maps["gain"], Maps.limits(enhancement.maps["gain"])
    assert full.mean() > 1.5
    module.ui.brightnessSlider.value = 0.5
    qtbot.waitUntil(lambda: 1 < Volumes.arrayOf(node).mean() < 0.9 * full.mean(), timeout=20_000)
    module.ui.brightnessSlider.value = 0
    qtbot.waitUntil(lambda: bool((Volumes.arrayOf(node) == 1).all()), timeout=20_000)
    assert enhancement.maps["gain"] is node, "one map of a kind is enough"
    assert Maps.limits(node) == scale, "half as strong must look half as strong"
    module.ui.brightnessSlider.value = 1.5
    qtbot.waitUntil(lambda: Volumes.arrayOf(node).mean() > 1.1 * full.mean(), timeout=20_000)
    assert Maps.limits(node)[1] > scale[1], "the colours and their legend reach as far as the map"


def test_a_map_that_was_put_away_comes_back_for_the_present_picture(module, qtbot, dim):
    enhancement = enhance(module, qtbot, added(dim[None]))
    full = map_of(module, qtbot, enhancement, 2, "residual").copy()
    assert np.abs(full).max() > 1
    sure = map_of(module, qtbot, enhancement, 3, "uncertainty").copy()
    module.ui.mapBox.currentIndex = 0
    module.ui.denoiseSlider.value = 0.5
    blended(module, qtbot)
    module.ui.mapBox.currentIndex = 2
    half = enhancement.maps["residual"]
    qtbot.waitUntil(lambda: bool(np.allclose(Volumes.arrayOf(half), 0.5 * full, atol=1e-3)), timeout=20_000)
    module.ui.denoiseSlider.value = 0
    qtbot.waitUntil(lambda: not Volumes.arrayOf(half).any(), timeout=20_000)
    # What the network expects of itself does not depend on where the sliders are, and its legend says of what it is.
    assert np.array_equal(map_of(module, qtbot, enhancement, 3, "uncertainty"), sure)
    assert "full strength" in module.ui.legendLabel.toolTip


def test_in_a_script_a_map_is_that_of_the_result(warm_logic, qtbot, dim):
    result = warm_logic.enhance(added(dim[None]), brightness=0.5, denoise=0)
    shown, failed = [], []
    for kind in ("gain", "residual"):
        warm_logic.showMap(warm_logic.enhancementOf(result), kind, shown.append, failed.append)
    qtbot.waitUntil(lambda: len(shown) + len(failed) == 2, timeout=20_000)
    gain, residual = map(Volumes.arrayOf, shown)
    assert 1 < gain.mean() < 4
    assert not residual.any(), "nothing was denoised"
