"""The section “Export as DICOM”."""

import qt
from slicer.i18n import tr as _

from . import Settings
from .Exporting import Export
from .Problems import Problem


class ExportPart:
    """Where to, and the button that does it."""

    def __init__(self, panel):
        self._panel, self._ui = panel, panel.ui
        self._export = None
        ui = self._ui
        ui.folderEdit.text = Settings.read("exportFolder", "")
        if not Settings.read("exportToDatabase", True):
            ui.folderRadio.checked = True
        ui.exportButton.connect("clicked()", self.export)
        ui.folderButton.connect("clicked()", self._browse)
        ui.folderEdit.connect("textEdited(QString)", self._typed)

    @property
    def busy(self):
        """Whether files are being written."""
        return self._export is not None

    def refresh(self):
        """Enable what can be done now."""
        self._ui.exportButton.enabled = self._panel.enhancement is not None and not self._panel.busy

    def cancel(self):
        """Stop writing; files that are already there stay."""
        if self._export is not None:
            self._export.cancel()

    def close(self):
        """The panel closes."""
        if self._export is not None:
            self._export.abandon()
            self._export = None

    def export(self, *_unused):
        """Write the enhancement at the strengths of the sliders."""
        if self._panel.enhancement is None or self._panel.busy:
            return
        ui = self._ui
        toDatabase = ui.databaseRadio.checked
        folder = ui.folderEdit.text.strip()
        if not toDatabase and not folder:
            self._panel.tell(_("Choose the folder that the DICOM files go to."), "warning")
            ui.folderEdit.setFocus()
            return
        Settings.write("exportToDatabase", toDatabase)
        Settings.write("exportFolder", folder)
        try:
            self._export = Export(
                self._panel.logic.worker,
                self._panel.enhancement,
                self._panel.enhance.strengths(),
                None if toDatabase else folder,
                self._done,
                self._failed,
                self._panel.enhance.progress,
                anew=ui.anewCheck.checked,
                label=ui.markCheck.checked,
            )
        except Problem as problem:
            self._failed(problem)
        except OSError as error:
            self._failed(Problem("not-written", str(error)))
        self._panel.refresh()

    def _done(self, text, whole):
        self._end()
        self._panel.tell(text, "good" if whole else "warning")

    def _failed(self, problem):
        self._end()
        self._panel.tellProblem(problem)

    def _end(self):
        self._export = None
        self._panel.enhance.idle()
        self._panel.refresh()

    def _typed(self, *_unused):
        self._ui.folderRadio.checked = True

    def _browse(self, *_unused):
        folder = qt.QFileDialog.getExistingDirectory(
            self._panel.widget, _("Folder for DICOM files"), self._ui.folderEdit.text
        )
        if folder:
            self._ui.folderEdit.text = folder
            self._ui.folderRadio.checked = True
