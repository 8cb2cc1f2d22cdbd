"""The tab “Settings”: what persists, what has to be installed, and the log."""

import qt
from slicer.i18n import tr as _

from . import Dependencies, Environment, Settings
from .DependenciesDialog import DependenciesDialog
from .Problems import Problem

_RANGES = (
    ("automatic", _("Automatic")),
    ("window", _("The window of the display")),
    ("type", _("All values of the pixel type")),
)
_ENGINES = (("", _("Automatic")), ("onnx", _("ONNX Runtime")), ("torch", _("PyTorch")))


class SettingsPart:
    """Boxes that remember, and the log."""

    def __init__(self, panel):
        self._panel, self._ui = panel, panel.ui
        self.dialog, self._missing = None, None
        ui = self._ui
        self._remember(ui.rangeBox, _RANGES, "limits")
        self._remember(ui.engineBox, _ENGINES, "engine")
        self._remember(ui.deviceBox, (("", _("Automatic")), ("cpu", _("Processor"))), "device")
        ui.sharedToneCheck.checked = Settings.read("sharedTone", True)
        ui.sharedToneCheck.connect("toggled(bool)", lambda on: Settings.write("sharedTone", bool(on)))
        ui.pythonEdit.text = Settings.read("python", "")
        ui.pythonEdit.connect("editingFinished()", self._pythonChanged)
        ui.devicesButton.connect("clicked()", self._findDevices)
        ui.installButton.connect("clicked()", self.install)
        ui.torchButton.connect("clicked()", self._torch)
        ui.restartButton.connect("clicked()", self._stop)
        ui.copyLogButton.connect("clicked()", self._copyLog)
        ui.logView.setMaximumBlockCount(2000)

    def refresh(self):
        """Say whether everything is there."""
        ui = self._ui
        ui.restartButton.enabled = self._panel.logic.worker.running
        if Environment.usesOwnPython():
            ui.packagesLabel.text = _("The packages of the Python named above are used.")
            ui.installButton.enabled = False
            return
        ui.installButton.enabled = True
        if self._missing is None:
            self._missing = [name for name, *_rest in Environment.missing()]
        missing = self._missing
        ui.packagesLabel.text = (
            _("Not installed yet: {names}.").format(names=", ".join(missing))
            if missing
            else _("Everything that is needed is installed.")
        )

    def lookAgain(self):
        """What is installed may have changed: looking takes too long to be done at every click."""
        self._missing = None

    def limits(self):
        """What is black and white: one of `Volumes.RANGES`."""
        return self._data(self._ui.rangeBox)

    def sharedTone(self):
        """Whether all slices get the same exposure."""
        return self._ui.sharedToneCheck.checked

    def engine(self):
        """ "onnx", "torch", or None."""
        return self._data(self._ui.engineBox) or None

    def device(self):
        """ "cpu", "cuda:0", …, or None."""
        return self._data(self._ui.deviceBox) or None

    def install(self, *_unused):
        """Show what is needed, before anything is installed."""
        # A dialog whose installation still runs comes to the front; else what it says may be out of date.
        if self.dialog is None or not self.dialog.busy:
            self.closeDialog()
            self.dialog = DependenciesDialog(self._installed, self._panel.widget)
        self.dialog.show()

    def closeDialog(self):
        """The dialog goes; an installation that it has begun is cancelled."""
        if self.dialog is not None:
            self.dialog.leave()
            self.dialog = None

    def _installed(self):
        self.lookAgain()
        # A worker of before would not see the new packages.
        self._panel.logic.worker.stop()
        self._panel.tell(_("Everything is installed. Press Enhance."), "good")
        self._panel.refresh()

    def _torch(self, *_unused):
        try:
            Dependencies.installTorch()
        except Problem as problem:
            self._panel.tellProblem(problem)
        except Exception as error:  # whatever the other extension ends with
            self._panel.tell(_("PyTorch was not installed: {reason}").format(reason=error), "problem")

    def _findDevices(self, *_unused):
        worker = self._panel.logic.worker

        def found(message):
            box = self._ui.deviceBox
            kept = self._data(box)
            known = [box.itemData(row) for row in range(box.count)]
            for device in message["devices"]:
                if device["device"] not in known:
                    box.addItem(f"{device['device']}: {device['name']}", device["device"])
            box.currentIndex = max(box.findData(kept), 0)
            names = ", ".join(f"{device['device']} ({device['name']})" for device in message["devices"])
            self._panel.tell(_("Found: {names}.").format(names=names))

        def ask():
            worker.request("devices", {}, found, self._panel.tellProblem)

        worker.whenReady(ask, self._panel.tellProblem)

    def _stop(self, *_unused):
        self._panel.logic.worker.stop()
        self._panel.refresh()

    def _pythonChanged(self, *_unused):
        text = self._ui.pythonEdit.text.strip()
        if text != Settings.read("python", ""):
            Settings.write("python", text)
            self._panel.logic.worker.stop()
            self._panel.refresh()

    def _copyLog(self, *_unused):
        qt.QApplication.clipboard().setText(self._ui.logView.toPlainText())

    def _remember(self, box, items, name):
        for data, text in items:
            box.addItem(text, data)
        kept = Settings.read(name, items[0][0])
        if box.findData(kept) < 0 and name == "device":
            # It was found in an earlier session.
            box.addItem(kept, kept)
        box.currentIndex = max(box.findData(kept), 0)
        box.connect("currentIndexChanged(int)", lambda *_unused: Settings.write(name, self._data(box)))

    @staticmethod
    def _data(box):
        return box.itemData(box.currentIndex)
