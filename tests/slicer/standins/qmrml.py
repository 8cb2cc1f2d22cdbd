"""Stand-in for the MRML widgets that the panel uses, on the real scene."""

from __future__ import annotations

from typing import Any

import shiboken6
import slicer
from PySide6 import QtCore, QtWidgets
from qt import as_in_pythonqt


class _Widget(QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return getattr(self, "_scene", None)


class _NodeComboBox(QtWidgets.QComboBox):
    currentNodeChanged = QtCore.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._types: list[str] = []
        self._none, self._hidden = True, False
        self._last: str | None = None
        self._tags: list[int] = []
        self.currentIndexChanged.connect(self._moved)

    def setMRMLScene(self, scene: Any) -> None:
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        changes = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent) if scene else ()
        self._tags = [scene.AddObserver(change, self._refresh) for change in changes]
        self._refresh()

    def mrmlScene(self) -> Any:
        return self._scene

    def currentNode(self) -> Any:
        identifier = self.itemData(self.currentIndex)
        return self._scene.GetNodeByID(identifier) if self._scene and identifier else None

    def setCurrentNode(self, node: Any) -> None:
        self._select(node.GetID() if node else None)

    def nodeCount(self) -> int:
        return self.count - int(self._none)

    def _select(self, identifier: str | None) -> None:
        index = self.findData(identifier)
        self.setCurrentIndex(index if index >= 0 else 0 if self._none else -1)

    def _moved(self, *_: Any) -> None:
        node = self.currentNode()
        identifier = node.GetID() if node else None
        if identifier != self._last:
            self._last = identifier
            self.currentNodeChanged.emit(node)

    def _refresh(self, *_: Any) -> None:
        if not shiboken6.isValid(self):
            return
        kept = self.itemData(self.currentIndex)
        blocked = self.blockSignals(True)
        self.clear()
        if self._none:
            self.addItem("None", None)
        for index in range(self._scene.GetNumberOfNodes() if self._scene else 0):
            node = self._scene.GetNthNode(index)
            wanted = any(node.IsA(name) for name in self._types)
            if wanted and (self._hidden or not node.GetHideFromEditors()):
                self.addItem(node.GetName(), node.GetID())
        index = self.findData(kept)
        if kept is None and not self._none and self.count:
            index = 0
        self.setCurrentIndex(index if index >= 0 else 0 if self._none else -1)
        self.blockSignals(blocked)
        self._moved()

    def _set(self, name: str, value: Any) -> None:
        setattr(self, name, value)
        self._refresh()

    nodeTypes = QtCore.Property(
        "QStringList", lambda self: self._types, lambda self, value: self._set("_types", list(value))
    )
    noneEnabled = QtCore.Property(bool, lambda self: self._none, lambda self, value: self._set("_none", value))
    addEnabled = QtCore.Property(bool, lambda self: False, lambda self, value: None)
    removeEnabled = QtCore.Property(bool, lambda self: False, lambda self, value: None)
    renameEnabled = QtCore.Property(bool, lambda self: False, lambda self, value: None)
    showHidden = QtCore.Property(bool, lambda self: self._hidden, lambda self, value: self._set("_hidden", value))
    currentNodeID = QtCore.Property(
        str, lambda self: self.itemData(self.currentIndex) or "", lambda self, value: self._select(value)
    )


qMRMLWidget = as_in_pythonqt(_Widget)
qMRMLNodeComboBox = as_in_pythonqt(_NodeComboBox)
slicer.qMRMLWidget, slicer.qMRMLNodeComboBox = qMRMLWidget, qMRMLNodeComboBox
