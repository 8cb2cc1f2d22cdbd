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
        # Escape and the cross of the window: Qt closes the dialog, and says so.
        ui.connect("rejected()", self.cancel)
        self.ui.browseButton.connect("clicked()", self._browse)
        for radio in (self.ui.wheelsRadio, self.ui.slicerRadio):
            radio.connect("toggled(bool)", self._choose)
        self._choose()
        self._running(False)
        self._tell("")
        self.ui.installButton.setFocus()

    @property
    def busy(self):
        """Whether an installation is running."""
        return self._installer is not None and not self._installer.over

    def show(self):
        """Open without blocking Slicer, or come to the front."""
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def close(self, *_unused):
        """Close; an installation that runs is cancelled, unless packages are being put in place."""
        self.dialog.reject()

    def leave(self):
        """The panel closes: nobody is left to be told of an installation that cannot be stopped any more."""
        self.close()
        if self.busy:
            self._installer.abandon()
        self.dialog.deleteLater()

    def install(self, *_unused):
        """Begin with what is chosen."""
        if self.busy:
            return
        ui = self.ui
        wheels = ui.wheelsEdit.text.strip() if ui.wheelsRadio.checked else None
        if wheels == "":
            self._tell(_("Choose the folder that holds the wheels."))
            ui.wheelsEdit.setFocus()
            return
        ui.logView.clear()
        self._running(True)
        self._tell(_("The installer is starting…"))
        try:
            place = Dependencies.SlicersOwn() if ui.slicerRadio.checked else Dependencies.OwnFolder(wheels)
            self._installer = Dependencies.Installer(
                place, self._done, self._failed, ui.logView.appendPlainText, self._progress
            )
        except Problem as problem:
            self._failed(problem)
        except OSError as error:
            self._failed(
                Problem(
                    "not-installed",
                    _("There is no room for the packages: {reason}.").format(reason=error.strerror or error),
                    _("Make room on the disk, then press Install again."),
                )
            )

    def cancel(self, *_unused):
        """Stop the installation that runs."""
        if self.busy:
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
            widget.enabled = self.ui.wheelsRadio.checked and not self.busy
        intro = _(
            "The network runs in ONNX Runtime, in a process beside Slicer. For that, these packages are installed, "
            "once: <b>about {size:.0f} MB</b>. PyTorch is not needed."
        ).format(size=Dependencies.megabytes())
        if self.ui.slicerRadio.checked:
            where = _(
                "They are added to Slicer's own Python. What is there already stays in its version; "
                "no folder that could be deleted undoes it."
            )
        else:
            where = _(
                "They go into the folder<br><code>{folder}</code>.<br>"
                "Nothing that Slicer or another extension uses is changed; deleting the folder undoes it."
            ).format(folder=Environment.packagesFolder())
        self.ui.introLabel.text = f"{intro}<br>{where}"

    def _progress(self, met, expected, what):
        self.ui.progressBar.maximum = expected
        self.ui.progressBar.value = met
        stoppable = self._installer is None or self._installer.stoppable
        self.ui.stopButton.enabled = stoppable
        if not stoppable:
            what += " " + _("This takes a moment and cannot be stopped halfway.")
        self._tell(what)

    def _done(self):
        self._running(False)
        self.ui.progressBar.value = self.ui.progressBar.maximum
        self._tell(_("Everything is installed."))
        self.dialog.hide()
        self._installed()

    def _failed(self, problem):
        self._running(False)
        self.ui.progressBar.value = 0
        self._tell(str(problem))

    def _tell(self, text):
        self.ui.messageLabel.text = text
        self.ui.messageLabel.visible = bool(text)

    def _running(self, running):
        ui = self.ui
        ui.installButton.enabled = not running
        ui.stopButton.enabled = running
        ui.progressBar.visible = ui.logView.visible = running or bool(ui.logView.toPlainText())
        ui.progressBar.maximum = 0 if running else 100
        for radio in (ui.indexRadio, ui.wheelsRadio, ui.slicerRadio):
            radio.enabled = not running and not (radio is ui.slicerRadio and Environment.clashes())
        for widget in (ui.wheelsEdit, ui.browseButton):
            widget.enabled = not running and ui.wheelsRadio.checked
