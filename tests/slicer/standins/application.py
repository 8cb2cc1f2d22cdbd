"""Puts the stand-ins in Slicer's place: `slicer.app`, `slicer.modules`, `slicer.i18n` and the rest."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import ctk
import parameter_node
import qmrml
import qt
import scripted_module
import slicer
import slicer.util
import vtk
from PySide6 import QtCore, QtWidgets
from views import LayoutManager

MODULE = Path(__file__).resolve().parents[3] / "LowLightEnhance" / "LowLightEnhance.py"


class DicomDatabase:
    """Stand-in for ctkDICOMDatabase: a dictionary of instances, by UID, with their files and tags."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.imported: list[tuple[str, int]] = []
        self.isOpen = True

    def take(self, path: Path) -> None:
        """What an import does with each file."""
        from pydicom import dcmread

        self.files[str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)] = str(path)

    def fileForInstance(self, uid: str) -> str:
        return self.files.get(uid, "")

    def instanceValue(self, uid: str, tag: str) -> str:
        return self.fileValue(self.files.get(uid, ""), tag)

    def fileValue(self, path: str, tag: str) -> str:
        from pydicom import dcmread

        if not path:
            return ""
        group, element = tag.split(",")
        found = dcmread(path, stop_before_pixels=True, force=True).get((int(group, 16), int(element, 16)))
        return "" if found is None else str(found.value)


class Application(QtCore.QObject):
    """`slicer.app`, as far as the module speaks to it."""

    startupCompleted = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layouts = LayoutManager()
        self.majorVersion, self.minorVersion = 5, 12
        self.applicationName = "Slicer"
        self.temporaryPath = QtCore.QDir.tempPath()
        self.slicerUserSettingsFilePath = ""

    def layoutManager(self) -> LayoutManager:
        return self._layouts

    def applicationLogic(self) -> Any:
        return self

    def GetSliceLogic(self, node: Any) -> Any:
        view = self._layouts.sliceWidget(node.GetSingletonTag())
        return view.logic if view else None

    def processEvents(self) -> None:
        QtWidgets.QApplication.processEvents()

    def testingEnabled(self) -> bool:
        return False

    def moduleManager(self) -> Any:
        return self

    def module(self, name: str) -> Any:
        raise RuntimeError(f"no module {name}")

    def connect(self, signature: str, slot: Any) -> bool:
        return qt._connect(self._sender(signature), signature, slot)

    def disconnect(self, signature: str, slot: Any) -> bool:
        return qt._disconnect(self._sender(signature), signature, slot)

    def _sender(self, signature: str) -> QtCore.QObject:
        # Slicer's application is a QApplication, of which there is one already.
        return self if signature.startswith("startupCompleted") else QtWidgets.QApplication.instance()


class _Colors:
    """`slicer.modules.colors`, with the real logic, which adds Slicer's own colour tables to the scene."""

    def __init__(self) -> None:
        self._logic = slicer.vtkSlicerColorLogic()

    def logic(self) -> Any:
        return self._logic

    def begin(self) -> None:
        self._logic.SetMRMLScene(None)
        self._logic.SetMRMLScene(slicer.mrmlScene)


class _Sequences:
    """`slicer.modules.sequences`, with the real logic."""

    def __init__(self) -> None:
        self._logic = slicer.vtkSlicerSequencesLogic()

    def logic(self) -> Any:
        if self._logic.GetMRMLScene() is not slicer.mrmlScene:
            self._logic.SetMRMLScene(slicer.mrmlScene)
        return self._logic


def _module(name: str, **attributes: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    vars(made).update(attributes)
    sys.modules[name] = made
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, made)
    return made


def install() -> None:
    """Once in a process."""
    slicer.app = Application()
    slicer.mrmlScene = slicer.vtkMRMLScene()
    slicer.dicomDatabase = DicomDatabase()
    slicer.modules = types.SimpleNamespace(
        colors=_Colors(),
        sequences=_Sequences(),
        lowlightenhance=types.SimpleNamespace(path=str(MODULE), name="LowLightEnhance"),
    )
    slicer.app.module = lambda name: slicer.modules.lowlightenhance  # type: ignore[method-assign]
    slicer.qMRMLWidget, slicer.qMRMLNodeComboBox = qmrml.qMRMLWidget, qmrml.qMRMLNodeComboBox
    slicer.util.modulePath = lambda name: str(MODULE)
    slicer.util.mainWindow = lambda: None
    _module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    _module(
        "slicer.parameterNodeWrapper",
        **{
            name: getattr(parameter_node, name) for name in ("parameterNodeWrapper", "WithinRange", "Choice", "Default")
        },
    )
    _module(
        "slicer.ScriptedLoadableModule",
        **{name: getattr(scripted_module, name) for name in scripted_module.__all__},
        __all__=scripted_module.__all__,
    )
    assert ctk


_observers: list[int] = []


def new_scene() -> Any:
    """An empty scene in the place of the old one, for one test."""
    slicer.app.layoutManager().forget()
    while _observers:
        slicer.mrmlScene.RemoveObserver(_observers.pop())
    slicer.mrmlScene.Clear(True)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
    slicer.app.layoutManager().begin()
    slicer.modules.sequences.logic()
    slicer.modules.colors.begin()
    for event, act in (
        ("NodeAddedEvent", _to_subject_hierarchy),
        ("NodeAboutToBeRemovedEvent", _from_subject_hierarchy),
    ):
        _observers.append(slicer.mrmlScene.AddObserver(getattr(slicer.vtkMRMLScene, event), act))
    slicer.dicomDatabase = DicomDatabase()
    qt.forget_deleted()
    return slicer.mrmlScene


@vtk.calldata_type(vtk.VTK_OBJECT)
def _to_subject_hierarchy(scene: Any, event: Any, node: Any) -> None:
    """What Slicer's subject hierarchy plug-ins do: each volume and sequence that is added gets an item."""
    if node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLSequenceNode"):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _from_subject_hierarchy(scene: Any, event: Any, node: Any) -> None:
    """And what they do when it goes."""
    if node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLSequenceNode"):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)
