"""Stand-in for Slicer's layout manager: slice views that the real slice logic draws, laid out beside each other."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import qt
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

_TITLE = 22
_ONE_VIEW = (
    '<layout type="horizontal"><item><view class="vtkMRMLSliceNode" singletontag="Red">'
    '<property name="viewlabel" action="default">R</property></view></item></layout>'
)
"""In the place of Slicer's conventional layout, whose 3D view needs a graphics card."""


class SliceView(QtWidgets.QWidget):
    """One view: what `vtkMRMLSliceLogic` blends for the layers of its composite node."""

    def __init__(self, tag: str, properties: dict[str, str], application: Any) -> None:
        super().__init__()
        scene = slicer.mrmlScene
        self.tag, self.title = tag, properties.get("viewlabel", tag)
        self.node = scene.GetSingletonNode(tag, "vtkMRMLSliceNode")
        if self.node is None:
            # By its scene, which knows how anatomical planes lie: left on the right.
            node = scene.CreateNodeByClass("vtkMRMLSliceNode")
            node.UnRegister(None)
            node.SetSingletonTag(tag)
            node.SetName(tag)
            node.SetLayoutName(tag)
            node.SetLayoutLabel(self.title)
            node.SetOrientationToAxial()
            self.node = scene.AddNode(node)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application)
        self.logic.SetMRMLScene(scene)
        self.logic.SetSliceNode(self.node)
        composite = scene.GetSingletonNode(tag, "vtkMRMLSliceCompositeNode")
        if composite is None:
            made = slicer.vtkMRMLSliceCompositeNode()
            made.SetSingletonTag(tag)
            made.SetName(tag)
            made.SetLayoutName(tag)
            composite = scene.AddNode(made)
        self.composite = composite
        self.logic.SetSliceCompositeNode(composite)
        self.setMinimumSize(160, 160)

    # What the module asks of a slice widget.
    def mrmlSliceNode(self) -> Any:
        return self.node

    def mrmlSliceCompositeNode(self) -> Any:
        return self.composite

    def sliceLogic(self) -> Any:
        return self.logic

    def picture(self) -> QtGui.QImage:
        """The view's pixels at its present size."""
        width, height, _depth = self.node.GetDimensions()
        self.logic.UpdatePipeline()
        connection = self.logic.GetImageDataConnection()
        if connection is None:
            empty = QtGui.QImage(width, height, QtGui.QImage.Format_RGB888)
            empty.fill(QtCore.Qt.black)
            return empty
        cast = vtk.vtkImageCast()
        cast.SetInputConnection(connection)
        cast.SetOutputScalarTypeToUnsignedChar()
        cast.Update()
        data = cast.GetOutput()
        shape = data.GetDimensions()
        pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(shape[1], shape[0], -1)[::-1]
        colours = pixels[..., :3].astype(np.float32)
        if pixels.shape[-1] == 4:
            colours *= pixels[..., 3:].astype(np.float32) / 255
        rgb = np.ascontiguousarray(np.broadcast_to(colours, (*shape[1::-1], 3)).astype(np.uint8))
        return QtGui.QImage(rgb.data, shape[0], shape[1], 3 * shape[0], QtGui.QImage.Format_RGB888).copy()

    def resizeEvent(self, event: Any) -> None:
        # As Slicer's own views do: what lies above the picture is no part of it.
        ratio = self.devicePixelRatioF()
        size = [max(1, round(length * ratio)) for length in (self.width(), self.height() - _TITLE)]
        self.logic.ResizeSliceNode(*size)
        super().resizeEvent(event)

    def paintEvent(self, event: Any) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtCore.Qt.black)
        image = self.picture()
        image.setDevicePixelRatio(self.devicePixelRatioF())
        painter.drawImage(0, _TITLE, image)
        painter.fillRect(0, 0, self.width(), _TITLE, QtGui.QColor("#2f4f6f"))
        painter.setPen(QtCore.Qt.white)
        offset = self.node.GetSliceOffset()
        painter.drawText(8, 15, f"{self.title}      S: {offset:.1f} mm")
        painter.end()


class LayoutManager(QtCore.QObject):
    """`slicer.app.layoutManager()`: layouts are the real node's XML; the views of the present one are shown."""

    layoutChanged = QtCore.Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._node = None
        self._views: dict[str, SliceView] = {}
        self._application: Any = None
        self.widget = QtWidgets.QWidget()
        QtWidgets.QHBoxLayout(self.widget).setContentsMargins(0, 0, 0, 0)

    def layoutLogic(self) -> LayoutManager:
        return self

    def GetLayoutNode(self) -> Any:
        if self._node is None or self._node.GetScene() is not slicer.mrmlScene:
            self._node = slicer.mrmlScene.AddNode(slicer.vtkMRMLLayoutNode())
            self._node.AddLayoutDescription(1, _ONE_VIEW)
            self._node.SetViewArrangement(1)
        return self._node

    @property
    def layout(self) -> int:
        return self.GetLayoutNode().GetViewArrangement()

    def setLayout(self, number: int) -> None:
        node = self.GetLayoutNode()
        node.SetViewArrangement(number)
        row = self.widget.layout()
        while row.count():
            shown = row.takeAt(0).widget()
            shown.setVisible(False)
            shown.setParent(None)
        for view in ElementTree.fromstring(node.GetLayoutDescription(number)).iter("view"):
            tag = view.attrib["singletontag"]
            properties = {item.attrib["name"]: item.text or "" for item in view.iter("property")}
            if tag not in self._views or self._views[tag].node.GetScene() is None:
                self._views[tag] = SliceView(tag, properties, self._application)
            row.addWidget(self._views[tag])
            self._views[tag].setVisible(True)
        self._application.SetSliceLogics(self.mrmlSliceLogics())
        self.layoutChanged.emit(number)

    def sliceViewNames(self) -> list[str]:
        shown = re.findall(r'singletontag="(\w+)"', self.GetLayoutNode().GetLayoutDescription(self.layout) or "")
        return [name for name in shown if name in self._views]

    def mrmlSliceLogics(self) -> Any:
        logics = vtk.vtkCollection()
        for name in self.sliceViewNames():
            logics.AddItem(self._views[name].logic)
        return logics

    def sliceWidget(self, name: str) -> SliceView | None:
        return self._views.get(name)

    def begin(self) -> None:
        """The real application logic, which links views: it has to know the scene before their nodes come."""
        self._application = slicer.vtkMRMLApplicationLogic()
        self._application.SetMRMLScene(slicer.mrmlScene)

    def forget(self) -> None:
        """Views and layout node belong to one scene: a new test starts with none."""
        if self._application is not None:
            self._application.SetMRMLScene(None)
        for view in self._views.values():
            view.logic.SetMRMLScene(None)
            view.setParent(None)
        self._views, self._node = {}, None


def as_seen(node_class: str = "") -> Any:
    """For tests: all pixels shown now, one array a view."""
    manager = slicer.app.layoutManager()
    pictures = {}
    for name in manager.sliceViewNames():
        image = manager.sliceWidget(name).picture()
        flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
        pictures[name] = flat[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()
    return pictures


__all__ = ["LayoutManager", "SliceView", "as_seen", "qt"]
