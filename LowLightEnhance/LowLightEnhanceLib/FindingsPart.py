"""The table of what is wrong with the image, before and after."""

import qt
from slicer.i18n import tr as _

from . import Findings

_REST = 700
"""Milliseconds that the sliders rest before the image is measured anew."""
_HEADER = 24
"""Height of the titles of the columns, in pixels."""


class FindingsPart:
    """The group “What is wrong with the image”."""

    def __init__(self, panel):
        self._panel, self._ui = panel, panel.ui
        self._asked = 0
        table = self._ui.findingsTable
        table.setHorizontalHeaderLabels([_("Damage"), _("Before"), _("After")])
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setFixedHeight(_HEADER)
        header.setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(1, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(2, qt.QHeaderView.Stretch)
        self._fill(None, None)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST)
        self._timer.connect("timeout()", self._ask)

    def refresh(self):
        """Enable what can be done now."""
        self._ui.findingsGroup.enabled = self._panel.enhancement is not None

    def show(self, enhancement):
        """Measure an enhancement; None: empty the table."""
        self._timer.stop()
        self._asked += 1
        self._fill(None, None)
        self._ui.findingsNote.text = "" if enhancement is not None else _("Measured once an image is enhanced.")
        if enhancement is not None:
            self._ask()

    def later(self):
        """The result has changed: measure it once the sliders rest."""
        self._ui.findingsNote.text = _("Measuring…")
        self._timer.start()

    def stop(self):
        """The panel closes: whatever still comes is of no interest."""
        self._timer.stop()
        self._asked += 1

    def _ask(self, *_unused):
        enhancement = self._panel.enhancement
        if enhancement is None:
            return
        if self._panel.logic.busy:
            self._timer.start()
            return
        self._asked += 1
        number = self._asked

        def reported(before, after):
            if number == self._asked:
                self._fill(before, after)
                self._ui.findingsNote.text = ""

        def failed(problem):
            if number == self._asked and problem.kind not in ("cancelled", "no-result"):
                self._ui.findingsNote.text = str(problem)

        if not self._ui.findingsNote.text:
            self._ui.findingsNote.text = _("Measuring…")
        self._panel.logic.report(enhancement, *self._panel.enhance.strengths(), reported, failed)

    def _fill(self, before, after):
        table = self._ui.findingsTable
        rows = Findings.rows(before, after)
        table.setRowCount(len(rows))
        for row, (title, *cells) in enumerate(rows):
            for column, (text, colour, explanation) in enumerate(((title, None, ""), *cells)):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled)
                item.setToolTip(explanation or text)
                if colour:
                    item.setForeground(qt.QBrush(qt.QColor(colour)))
                table.setItem(row, column, item)
        table.resizeRowsToContents()
        inRows = sum(table.rowHeight(row) for row in range(len(rows)))
        table.setFixedHeight(inRows + _HEADER + 6)
