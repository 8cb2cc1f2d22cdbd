"""The module's panel: joins its parts, and holds what they share."""

import re

import slicer
from slicer.i18n import tr as _

from . import Environment
from .BatchPart import BatchPart
from .ComparePart import ComparePart
from .Comparing import comparable
from .EnhancePart import EnhancePart
from .ExportPart import ExportPart
from .FindingsPart import FindingsPart
from .Parameters import Parameters
from .SettingsPart import SettingsPart
from .StudyPart import StudyPart

_STYLES = {
    "information": "background: #e3eefb; color: #123a66; border: 1px solid #9dbfe6;",
    "good": "background: #e2f3e4; color: #17502a; border: 1px solid #9fd0a8;",
    "warning": "background: #fdf1d8; color: #5e4203; border: 1px solid #e5c270;",
    "problem": "background: #fbe3e1; color: #6d1a14; border: 1px solid #e3a29c;",
}


class Panel:
    """Everything on the screen.

    A further tab is added with `addTab(title, widget)`.

    Attributes:
        ui: the widgets by name. logic: an EnhancingLogic. parameters: typed values in the scene.
        enhancement: the one that sliders, maps, findings and export act on; None: there is none.
        offering: whether the message comes with a button for what it speaks of.
    """

    def __init__(self, widget, logic):
        self.widget, self.logic = widget, logic
        self.ui = slicer.util.childWidgetVariables(widget)
        self.enhancement, self.parameters, self._gui = None, None, None
        logic.worker.log = self.log
        self.ui.inputSelector.setMRMLScene(slicer.mrmlScene)
        self.settings = SettingsPart(self)
        self.compare = ComparePart(self)
        self.findings = FindingsPart(self)
        self.enhance = EnhancePart(self)
        self.export = ExportPart(self)
        self.batch = BatchPart(self)
        self.study = StudyPart(self)
        self.offering, self._offered = False, lambda: None
        self.ui.neededButton.connect("clicked()", self.settings.install)
        self.ui.offerButton.connect("clicked()", lambda *_unused: self._offered())
        self.ui.tabs.connect("currentChanged(int)", self._tabChanged)
        scene = slicer.mrmlScene
        self._observers = [
            scene.AddObserver(scene.StartCloseEvent, self._sceneCloses),
            scene.AddObserver(scene.EndCloseEvent, self._sceneClosed),
            scene.AddObserver(scene.NodeRemovedEvent, self._nodeRemoved),
        ]
        self.connectParameters()
        self.refresh()

    def addTab(self, title, widget):
        """Add a tab before the settings, which stay last."""
        self.ui.tabs.insertTab(self.ui.tabs.count - 1, widget, title)

    def connectParameters(self):
        """Bind the widgets to the parameters of the present scene."""
        self.disconnectParameters()
        self.parameters = Parameters(self.logic.getParameterNode())
        self._gui = self.parameters.connectGui(self.ui)
        # A selector without a choice takes what is there, as the clinician would.
        if self.parameters.inputNode is None:
            candidates = self.logic.candidates()
            self.ui.inputSelector.setCurrentNode(candidates[0] if candidates else None)

    def disconnectParameters(self):
        """Let go of the scene's parameters."""
        if self.parameters is not None:
            self.parameters.disconnectGui(self._gui)
            self.parameters = None

    def close(self):
        """End the worker and give the views back."""
        for tag in self._observers:
            slicer.mrmlScene.RemoveObserver(tag)
        self.findings.stop()
        self.settings.closeDialog()
        self.export.close()
        self.study.close()
        self.compare.close()
        self.logic.close()
        self.disconnectParameters()
        self.ui.inputSelector.setMRMLScene(None)

    # What the parts share

    @property
    def busy(self):
        """Whether images are being enhanced or files written."""
        return self.logic.busy or self.export.busy or self.batch.busy

    def tell(self, text, kind="information", force=False, install=False, offer=None):
        """Show a message; `force`, `install`, or `offer`, as (text, tooltip, act), give the button that acts on it."""
        self.showMessage(self.ui.messageLabel, text, kind)
        self.ui.forceButton.visible = force
        self.ui.neededButton.visible = install
        self.offering = offer is not None
        self.ui.offerButton.visible = self.offering
        if offer is not None:
            self.ui.offerButton.text, self.ui.offerButton.toolTip, self._offered = offer
        if text:
            self.log(text)

    @staticmethod
    def showMessage(label, text, kind):
        """Show a message in a label of its own, in the colours of its kind; an empty one hides it."""
        label.text = text
        label.styleSheet = f"QLabel {{ {_STYLES[kind]} border-radius: 4px; padding: 6px; }}"
        label.visible = bool(text)

    def tellProblem(self, problem):
        """Show what went wrong and what to do."""
        if problem.kind == "cancelled":
            self.tell(str(problem))
            return
        lacking = problem.kind in ("not-installed", "missing-dependency")
        if lacking:
            self.settings.lookAgain()
        self.tell(str(problem), "problem", install=lacking)

    def log(self, text):
        """A line for the log, without names of images and of the folder for exports: they may name patients."""
        self.ui.logView.appendPlainText(_withoutNames(text, self.ui.folderEdit.text.strip()))

    def show(self, enhancement):
        """Make an enhancement the one that all parts act on; None: none, nor one that lacks its original."""
        if enhancement is not None and not comparable(enhancement):
            enhancement = None
        self.enhancement = enhancement
        self.compare.show(enhancement)
        self.findings.show(enhancement)
        self.enhance.follow(enhancement)
        self.refresh()

    def stillComparable(self):
        """Whether original and result can still be compared; if not, let go of them, and say so."""
        if self.enhancement is None or comparable(self.enhancement):
            return self.enhancement is not None
        self.compare.leave()
        self.show(None)
        self.tell(_("Original and result can no longer be compared: one of them was changed. Press Enhance again."))
        return False

    def refresh(self):
        """Enable what can be done now."""
        for part in (self.enhance, self.compare, self.findings, self.export, self.batch, self.settings):
            part.refresh()
        self.ui.offerButton.enabled = self.ui.forceButton.enabled = not self.busy

    # Events

    def _tabChanged(self, *_unused):
        self.batch.refresh()

    def _sceneCloses(self, *_unused):
        self.logic.cancel()
        self.compare.leave()
        self.study.sceneCloses()
        self.disconnectParameters()

    def _sceneClosed(self, *_unused):
        self.logic.forgetScene()
        self.compare.forget()
        self.connectParameters()
        self.show(None)

    def _nodeRemoved(self, *_unused):
        enhancement = self.enhancement
        if enhancement is None or slicer.mrmlScene.IsClosing():
            return
        if not comparable(enhancement):
            self.compare.leave()
            self.show(None)
            self.tell(_("The compared image was removed from the scene."))


def _withoutNames(text, folder):
    scene = slicer.mrmlScene
    names = {folder}
    for kind in ("vtkMRMLVolumeNode", "vtkMRMLSequenceNode"):
        for index in range(scene.GetNumberOfNodesByClass(kind)):
            names.add(scene.GetNthNodeByClass(index, kind).GetName() or folder)
    for name in sorted(names - {""}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", text)
    return text


def load():
    """The panel's widget from its file."""
    widget = slicer.util.loadUI(str(Environment.MODULE_FOLDER / "Resources" / "UI" / "LowLightEnhance.ui"))
    widget.setMRMLScene(slicer.mrmlScene)
    return widget
