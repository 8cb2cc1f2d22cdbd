"""The tab “Several images”."""

import qt
import slicer
from slicer.i18n import tr as _

from . import Dicom
from .Batch import Batch
from .Jobs import measuring

_ID = 32
"""Qt::UserRole: the node's ID in its row."""
_MEASURED = 33
"""Whether the image's values are measurements: nobody should enhance such an image without having chosen it."""


class BatchPart:
    """Ticks, one progress bar, a summary."""

    def __init__(self, panel):
        self._panel, self._ui = panel, panel.ui
        self._batch, self._listed = None, None
        ui = self._ui
        ui.batchButton.connect("clicked()", self.start)
        ui.batchCancelButton.connect("clicked()", self.cancel)
        ui.tickAllButton.connect("clicked()", lambda *_unused: self._tick(True))
        ui.tickNoneButton.connect("clicked()", lambda *_unused: self._tick(False))

    @property
    def busy(self):
        """Whether a batch is running."""
        return self._batch is not None

    def refresh(self):
        """List what is in the scene; enable what can be done now."""
        ui = self._ui
        if not self.busy:
            self._list()
        ui.batchButton.enabled = not self._panel.busy and ui.batchList.count > 0
        ui.batchCancelButton.enabled = self.busy
        ui.batchList.enabled = not self.busy

    def start(self, *_unused):
        """Enhance all that is ticked."""
        if self._panel.busy:
            return
        nodes = [node for node in self._ticked() if node is not None]
        if not nodes:
            self._ui.batchSummary.setPlainText(_("No image is ticked."))
            return
        self._ui.batchSummary.clear()
        self._ui.batchProgress.maximum = 1000
        self._batch = Batch(self._panel.logic, nodes, self._panel.enhance.wishesFor, self._progress, self._finished)
        self._batch.start()
        self._panel.refresh()

    def cancel(self, *_unused):
        """Stop within a second; what is done stays."""
        if self._batch is not None:
            self._batch.cancel()

    def _progress(self, share, name):
        bar = self._ui.batchProgress
        bar.value = round(1000 * share)
        # Qt replaces %p, %v and %m, in a name, too.
        name = name.replace("%", "%\u200b")
        bar.format = f"{100 * share:.0f} %  {name}"

    def _finished(self, summary):
        self._batch = None
        bar = self._ui.batchProgress
        bar.value = 0 if summary.cancelled else 1000
        bar.format = _("Cancelled") if summary.cancelled else _("Done")
        self._ui.batchSummary.setPlainText(summary.text())
        # The lines that follow name images, of which some may be gone.
        self._panel.log(summary.text().splitlines()[0])
        self._panel.show(self._panel.logic.enhancementOf(self._ui.inputSelector.currentNode()))

    def _list(self):
        candidates = self._panel.logic.candidates()
        wanted = [(node.GetID(), node.GetName(), Dicom.measured(node)) for node in candidates]
        if wanted == self._listed:
            return
        self._listed = wanted
        self._ui.batchList.clear()
        for identifier, name, measured in wanted:
            item = qt.QListWidgetItem(name)
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsSelectable)
            item.setData(_ID, identifier)
            item.setData(_MEASURED, bool(measured))
            if measured:
                item.setText(_("{name} ({modality}: values are measurements)").format(name=name, modality=measured))
                item.setToolTip(measuring(measured) + " " + _("Tick it by hand if it is for looking at alone."))
            item.setCheckState(qt.Qt.Unchecked if measured else qt.Qt.Checked)
            self._ui.batchList.addItem(item)

    def _ticked(self):
        ticked = [item for item in self._items() if item.checkState() == qt.Qt.Checked]
        return [slicer.mrmlScene.GetNodeByID(item.data(_ID)) for item in ticked]

    def _tick(self, ticked):
        for item in self._items():
            if not ticked or not item.data(_MEASURED):
                item.setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)

    def _items(self):
        return [self._ui.batchList.item(row) for row in range(self._ui.batchList.count)]
