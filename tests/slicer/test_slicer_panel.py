"""The panel as a clinician uses it: real Qt, real scene, real worker."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from LowLightEnhanceLib import SampleData, Volumes
from slicer_volumes import added, node_ids, sequence_of
from slicer_window import picture_of


@pytest.fixture
def sample(module):
    """The sample image, chosen."""
    module.ui.sampleButton.click()
    return module.ui.inputSelector.currentNode()


def enhance(module, qtbot):
    """Click Enhance and wait for what comes of it."""
    module.ui.enhanceButton.click()
    qtbot.waitUntil(lambda: not module.logic.busy, timeout=60_000)
    return module.panel.enhancement


def rested(module, qtbot):
    """Wait until sliders, table and views have come to rest."""
    qtbot.waitUntil(lambda: not (module.panel.enhance.blending and module.panel.enhance.blending.busy), timeout=20_000)


def test_from_the_sample_to_the_compared_result(module, sample, qtbot, tmp_path):
    picture_of(module, "1-sample", tmp_path)
    before = Volumes.arrayOf(sample).tobytes()
    seen = []
    module.ui.progressBar.valueChanged.connect(lambda value: seen.append(module.ui.progressBar.format))
    enhancement = enhance(module, qtbot)
    assert Volumes.arrayOf(sample).tobytes() == before
    assert enhancement.output.node.GetName() == f"{sample.GetName()} enhanced"
    assert "is ready" in module.message
    assert slicer.app.layoutManager().sliceViewNames() == ["LowLightOriginal", "LowLightEnhanced"]
    qtbot.waitUntil(lambda: module.ui.findingsTable.item(1, 2).text() not in ("–", ""), timeout=20_000)
    assert module.ui.findingsTable.item(1, 1).text().startswith(("strong", "moderate"))
    picture_of(module, "2-side-by-side", tmp_path)
    from views import as_seen

    original, enhanced = as_seen().values()
    assert enhanced.mean() > 2 * original.mean()
