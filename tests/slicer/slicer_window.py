"""The panel beside the views, as in Slicer's window: what tests click, and what screenshots show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

PANEL_WIDTH = 440


class Window(QtWidgets.QWidget):
    """The panel on the left, the views on the right."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module, self.panel, self.ui, self.logic = module, module.panel, module.panel.ui, module.logic
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        scroll = QtWidgets.QScrollArea()
        scroll.setFixedWidth(PANEL_WIDTH)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(module.parent)
        self._scroll = scroll
        row.addWidget(scroll)
        row.addWidget(slicer.app.layoutManager().widget, 1)
        slicer.app.layoutManager().setLayout(1)
        self.resize(1280, 880)

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        slicer.app.layoutManager().widget.setParent(None)
        self._scroll.takeWidget().setParent(None)
        super().closeEvent(event)

    def choose(self, node: Any) -> None:
        """Choose the image to enhance."""
        self.ui.inputSelector.setCurrentNode(node)

    @property
    def message(self) -> str:
        """What the panel says; empty: nothing."""
        return self.ui.messageLabel.text if self.ui.messageLabel.visible else ""


def picture_of(widget: Any, name: str, folder: Path) -> Path:
    """Write a screenshot; with LOWLIGHT_SCREENSHOTS set, into that folder. The size is doubled by QT_SCALE_FACTOR=2."""
    folder = Path(os.environ.get("LOWLIGHT_SCREENSHOTS", str(folder)))
    folder.mkdir(parents=True, exist_ok=True)
    QtWidgets.QApplication.processEvents()
    picture = widget.grab()
    ratio = round(picture.devicePixelRatio())
    path = folder / f"{name}{'@2x' if ratio == 2 else ''}.png"
    assert picture.toImage().convertToFormat(QtGui.QImage.Format_RGB888).save(str(path))
    return path
