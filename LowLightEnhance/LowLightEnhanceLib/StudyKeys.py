"""Keys of a reading. They work wherever in the window the reader last clicked, above all in the images."""

import qt
import slicer
from slicer.i18n import tr as _

_OWN_ARROWS = ("QSlider", "QComboBox", "QSpinBox", "QDoubleSpinBox", "QListWidget", "QTabBar")
"""Widgets in which arrow keys are their own."""


class StudyKeys:
    """Shortcuts that exist only while an item is looked at.

    Args:
        part: the StudyPart that they act on.
    """

    def __init__(self, part):
        self._part = part
        window = slicer.util.mainWindow() or part.widget
        self._arrows, self._others = [], []
        ui = part.ui
        arrows = (("Left", self._left), ("Right", self._right))
        others = (
            *((str(number), lambda number=number: self._number(number)) for number in range(1, 6)),
            ("Backspace", part.grades.takeBack),
            ("Return", part.save),
            ("Enter", part.save),
            ("U", part.undo),
            ("Ctrl+Z", part.undo),
            ("P", part.pause),
            ("R", part.resetView),
            ("+", ui.zoomInButton.click),
            ("=", ui.zoomInButton.click),
            ("-", ui.zoomOutButton.click),
        )
        for keys, made in ((arrows, self._arrows), (others, self._others)):
            for key, act in keys:
                shortcut = qt.QShortcut(qt.QKeySequence(key), window)
                shortcut.autoRepeat = False
                for signal in ("activated()", "activatedAmbiguously()"):
                    # Slicer has shortcuts of its own, such as Ctrl+Z: while an item is read, these count.
                    shortcut.connect(signal, lambda *_unused, act=act: self._press(act))
                made.append(shortcut)
        slicer.app.connect("focusChanged(QWidget*,QWidget*)", self.enable)
        self.enable()

    def enable(self, *_unused):
        """Keys act while an item is looked at; arrows are a slider's own where that has the focus."""
        reading = self._part.reading
        focus = qt.QApplication.focusWidget() if reading else None
        own = focus is not None and any(focus.inherits(name) for name in _OWN_ARROWS)
        for shortcut in self._arrows:
            shortcut.enabled = reading and not own
        for shortcut in self._others:
            shortcut.enabled = reading

    def close(self):
        """Give the keys back."""
        slicer.app.disconnect("focusChanged(QWidget*,QWidget*)", self.enable)
        for shortcut in (*self._arrows, *self._others):
            shortcut.enabled = False
            shortcut.deleteLater()
        self._arrows, self._others = [], []

    @staticmethod
    def explained(task):
        """What the keys do, for people."""
        answer = _("← → choose.") if task == "pair" else _("1 to 5 grade the next, Backspace takes back, Enter saves.")
        return _("Keys: {answer} U undoes, P pauses, + − R zoom.").format(answer=answer)

    def _press(self, act):
        if self._part.reading:
            act()

    def _left(self):
        self._part.choose("left")

    def _right(self):
        self._part.choose("right")

    def _number(self, number):
        if not self._part.canAnswer:
            return
        if self._part.sitting.item["task"] == "rating":
            self._part.grades.grade(number)
        elif number <= 2:
            (self._left, self._right)[number - 1]()
