"""The panel beside the views, as in Slicer's window: what tests click, and what screenshots show."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

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
