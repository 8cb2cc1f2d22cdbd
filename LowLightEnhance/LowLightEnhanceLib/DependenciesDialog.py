"""What is shown before anything is installed: names, sizes, where to, and how to do without a network."""

import qt
import slicer
from slicer.i18n import tr as _

from . import Dependencies, Environment
from .Problems import Problem


class DependenciesDialog:
    """Asks, installs, tells. Slicer stays usable meanwhile.

    Args:
        installed: called once everything is there. parent: a widget.
    """

    def __init__(self, installed, parent=None):
        self._installed, self._installer = installed, None
        ui = slicer.util.loadUI(str(Environment.MODULE_FOLDER / "Resources" / "UI" / "Dependencies.ui"))
        self.dialog = ui
        if parent is not None:
            ui.setParent(parent, qt.Qt.Dialog)
        self.ui = slicer.util.childWidgetVariables(ui)
        self._fill()
        self.ui.installButton.connect("clicked()", self.install)
        self.ui.stopButton.connect("clicked()", self.cancel)
        self.ui.laterButton.connect("clicked()", self.close)
        self.ui.browseButton.connect("clicked()", self._browse)
        self.ui.wheelsRadio.connect("toggled(bool)", self._choose)
        self._choose()

    def show(self):
        """Open without blocking Slicer."""
        self.dialog.show()

    def close(self, *_unused):
        """Close; an installation that runs is cancelled."""
        self.cancel()
        self.dialog.hide()

    def install(self, *_unused):
        """Begin with what is chosen."""
        wheels = self.ui.wheelsEdit.text.strip() if self.ui.wheelsRadio.checked else None
        self.ui.logView.clear()
        if self.ui.slicerRadio.checked:
            self._intoSlicer()
            return
        self._running(True)
        try:
            self._installer = Dependencies.Installer(
                self._done, self._failed, self.ui.logView.appendPlainText, self._progress, wheels
            )
        except OSError as error:
            self._failed(Problem("not-installed", str(error)))

    def cancel(self, *_unused):
        """Stop the installation that runs."""
        if self._installer is not None:
            self._installer.cancel()

    def _fill(self):
        table = self.ui.packagesTable
        entries = Environment.requirements()
        table.setRowCount(len(entries) + 1)
        rows = [
            (name, f">= {lowest}", f"{size:.0f} MB" if size >= 1 else "< 1 MB") for name, lowest, _b, size in entries
        ]
        rows.append((_("what these need in turn"), "", f"{Dependencies.IN_TURN:.0f} MB"))
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled)
                table.setItem(row, column, item)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.verticalHeader().hide()
        table.wordWrap = False
        table.resizeRowsToContents()
        clashes = Environment.clashes()
        self.ui.introLabel.text = _(
            "The network runs in ONNX Runtime, in a process beside Slicer. For that, these packages are installed: "
            "<b>about {size:.0f} MB</b>, once, into the folder<br><code>{folder}</code>.<br>"
            "Nothing that Slicer or another extension uses is changed; deleting the folder undoes it. "
            "PyTorch is not needed."
        ).format(size=Dependencies.megabytes(), folder=Environment.packagesFolder())
        self.ui.slicerRadio.enabled = not clashes
        if clashes:
            names = ", ".join(f"{name} {version}" for name, version in clashes)
            self.ui.slicerRadio.toolTip = _("Not possible here: Slicer ships {names}, which is too old.").format(
                names=names
            )

    def _browse(self, *_unused):
        folder = qt.QFileDialog.getExistingDirectory(self.dialog, _("Folder of wheels"), self.ui.wheelsEdit.text)
        if folder:
            self.ui.wheelsEdit.text = folder

    def _choose(self, *_unused):
        for widget in (self.ui.wheelsEdit, self.ui.browseButton):
            widget.enabled = self.ui.wheelsRadio.checked

    def _intoSlicer(self):
        try:
            Dependencies.installIntoSlicer()
        except Problem as problem:
            self._failed(problem)
        except Exception as error:  # whatever Slicer's own installer ends with
            self._failed(Problem("not-installed", str(error)))
        else:
            self._done()

    def _progress(self, met, expected, what):
        self.ui.progressBar.maximum = expected
        self.ui.progressBar.value = met
        self.ui.messageLabel.text = what

    def _done(self):
        self._installer = None
        self._running(False)
        self.ui.progressBar.value = self.ui.progressBar.maximum
        self.ui.messageLabel.text = _("Everything is installed.")
        self.dialog.hide()
        self._installed()

    def _failed(self, problem):
        self._installer = None
        self._running(False)
        self.ui.progressBar.value = 0
        self.ui.messageLabel.text = str(problem)

    def _running(self, running):
        self.ui.installButton.enabled = not running
        self.ui.stopButton.enabled = running
        for radio in (self.ui.indexRadio, self.ui.wheelsRadio, self.ui.slicerRadio):
            radio.enabled = not running and not (radio is self.ui.slicerRadio and Environment.clashes())
