"""What a clinician does in the panel, and waiting for what comes of it."""

from __future__ import annotations

from typing import Any


def finished(module: Any, qtbot: Any) -> Any:
    """Wait until no job runs; the present enhancement."""
    qtbot.waitUntil(lambda: not module.logic.busy, timeout=60_000)
    return module.panel.enhancement


def enhance(module: Any, qtbot: Any, node: Any = None) -> Any:
    """Click Enhance on a node and wait for what comes of it."""
    if node is not None:
        module.choose(node)
    module.ui.enhanceButton.click()
    return finished(module, qtbot)


def blended(module: Any, qtbot: Any) -> None:
    """Wait until the picture shows where the sliders are."""
    blending = module.panel.enhance.blending
    qtbot.waitUntil(lambda: not blending.busy, timeout=20_000)


def exported(module: Any, qtbot: Any, folder: Any) -> str:
    """Export into a folder, and wait for what the panel says."""
    module.ui.folderRadio.click()
    module.ui.folderEdit.text = str(folder)
    module.ui.exportButton.click()
    qtbot.waitUntil(lambda: not module.panel.export.busy, timeout=300_000)
    return module.message


def shown_as(module: Any) -> str:
    """How the panel's message looks: "information", "good", "warning" or "problem"."""
    from LowLightEnhanceLib import Panel

    style = module.ui.messageLabel.styleSheet
    return next(kind for kind, look in Panel._STYLES.items() if look in style)
