"""How original and result are shown: views, wipe, maps and their legend."""

import qt
import slicer
from slicer.i18n import tr as _

from . import Comparing, Maps, Settings

_MODES = ("side", "wipe", "slicer")
_REST = 200
"""Milliseconds that the picture rests before the map is made for it."""


class ComparePart:
    """The group “Compare”."""

    def __init__(self, panel):
        self._panel, self._ui = panel, panel.ui
        self.comparison, self._mapShown = Comparing.Comparison(), ""
        ui = self._ui
        self._radios = dict(zip(_MODES, (ui.sideRadio, ui.wipeRadio, ui.slicerRadio)))
        self._radios.get(Settings.read("view", "side"), ui.sideRadio).checked = True
        for radio in self._radios.values():
            radio.connect("toggled(bool)", self._modeChanged)
        ui.wipeSlider.connect("valueChanged(int)", self._wiped)
        ui.mapBox.addItem(_("Nothing"), "")
        for kind, described in Maps.KINDS.items():
            ui.mapBox.addItem(described.name, kind)
        ui.mapBox.connect("currentIndexChanged(int)", self._mapChanged)
        ui.opacitySlider.connect("valueChanged(int)", self._opacityChanged)
        ui.legendLabel.visible = False
        self._rested = qt.QTimer()
        self._rested.setSingleShot(True)
        self._rested.setInterval(_REST)
        self._rested.connect("timeout()", self._mapChanged)

    @property
    def mode(self):
        """ "side", "wipe" or "slicer"."""
        return next(mode for mode, radio in self._radios.items() if radio.checked)

    def refresh(self):
        """Enable what can be done now."""
        ui, there = self._ui, self._panel.enhancement is not None
        ui.wipeSlider.enabled = ui.wipeLabel.enabled = there and self.mode == "wipe"
        ui.mapBox.enabled = there
        ui.opacitySlider.enabled = ui.opacityLabel.enabled = there and ui.mapBox.currentIndex > 0

    def show(self, enhancement):
        """Show an enhancement in the chosen way; None: nothing to compare."""
        self._ui.mapBox.currentIndex = 0
        self._clearMap()
        if enhancement is not None:
            self._apply()

    def showAlone(self, volume):
        """Show one volume in Slicer's own views."""
        if not self.comparison.mode:
            slicer.util.setSliceViewerLayers(background=volume, foreground=None, label=None, fit=True)

    def leave(self):
        """Slicer's own layout again."""
        self._clearMap()
        self.comparison.close()

    def forget(self):
        """The scene is gone."""
        self.comparison.forget()

    def close(self):
        """The panel closes."""
        self._rested.stop()
        self.comparison.close()

    def currentSlice(self):
        """Number of the slice that is looked at."""
        return self.comparison.currentSlice()

    def refreshPicture(self):
        """The result's pixels have changed."""
        self.comparison.refresh()
        if self._ui.mapBox.currentIndex > 0:
            self._rested.start()

    def _apply(self):
        if self.mode == "slicer":
            self.comparison.close()
        else:
            self.comparison.show(self._panel.enhancement, self.mode)
            self._wiped()

    def _modeChanged(self, checked):
        if not checked:
            return
        Settings.write("view", self.mode)
        if self._panel.enhancement is not None and self._panel.stillComparable():
            self._apply()
        self.refresh()

    def _wiped(self, *_unused):
        self.comparison.wipeTo(self._ui.wipeSlider.value / 100)

    def _mapChanged(self, *_unused):
        kind = self._ui.mapBox.itemData(self._ui.mapBox.currentIndex)
        enhancement = self._panel.enhancement
        self.refresh()
        if kind != self._mapShown:
            # The one of before must not pass for the one that is chosen now.
            self._clearMap()
        if not kind or enhancement is None or not self._panel.stillComparable():
            return

        def shown(node):
            if (
                enhancement is self._panel.enhancement
                and self._ui.mapBox.itemData(self._ui.mapBox.currentIndex) == kind
            ):
                self.comparison.showMap(node, self._ui.opacitySlider.value / 100)
                self._showLegend(kind, node)
                self._mapShown = kind

        def failed(problem):
            self._ui.mapBox.currentIndex = 0
            self._panel.tellProblem(problem)

        self._panel.logic.showMap(enhancement, kind, shown, failed)

    def _opacityChanged(self, *_unused):
        self.comparison.setOpacity(self._ui.opacitySlider.value / 100)

    def _clearMap(self):
        self.comparison.showMap(None)
        self._ui.legendLabel.visible = False
        self._mapShown = ""

    def _showLegend(self, kind, node):
        described = Maps.KINDS[kind]
        lowest, highest = Maps.limits(node)
        label = self._ui.legendLabel
        texts = [described.format(value) for value in (lowest, (lowest + highest) / 2, highest)]
        label.setPixmap(legendPicture(kind, *texts, label.palette.color(qt.QPalette.WindowText)))
        label.toolTip = described.explain
        label.accessibleDescription = described.explain
        label.visible = True


def legendPicture(kind, lowest, middle, highest, ink, width=360, ratio=2):
    """The colours of a map from left to right, with what the ends and the middle stand for (qt.QPixmap)."""
    described = Maps.KINDS[kind]
    picture = qt.QPixmap(width * ratio, 58 * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(picture)
    try:
        for index, (red, green, blue) in enumerate(Maps.gradient(kind).tolist()):
            left = index * width // 256
            painter.fillRect(left, 0, (index + 1) * width // 256 - left + 1, 12, qt.QColor(red, green, blue))
        painter.setPen(ink)
        painter.drawText(0, 27, lowest)
        metrics = painter.fontMetrics()
        painter.drawText((width - metrics.horizontalAdvance(middle)) // 2, 27, middle)
        painter.drawText(width - metrics.horizontalAdvance(highest), 27, highest)
        painter.drawText(qt.QRect(0, 30, width, 28), qt.Qt.AlignLeft | qt.Qt.TextWordWrap, described.explain)
    finally:
        painter.end()
    return picture
