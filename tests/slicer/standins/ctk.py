"""Stand-in for the parts of CTK that the panel uses: plain Qt underneath, CTK's properties and signals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtWidgets
from qt import as_in_pythonqt


class _CollapsibleButton(QtWidgets.QWidget):
    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._button = QtWidgets.QToolButton(self)
        self._button.setObjectName("")
        self._button.setCheckable(True)
        self._button.setChecked(True)
        self._button.setToolButtonStyle(QtCore.Qt.ToolButtonTextBesideIcon)
        self._button.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._button.setStyleSheet("QToolButton { text-align: left; font-weight: bold; padding: 3px; }")
        self._button.toggled.connect(self._apply)
        self._apply(True)

    def resizeEvent(self, event: Any) -> None:
        self._button.setGeometry(0, 0, self.width, self._button.sizeHint().height())
        super().resizeEvent(event)

    def showEvent(self, event: Any) -> None:
        self._apply(self._button.isChecked())
        super().showEvent(event)

    def _apply(self, opened: bool) -> None:
        self._button.setArrowType(QtCore.Qt.DownArrow if opened else QtCore.Qt.RightArrow)
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget) and child is not self._button:
                child.setVisible(opened)
        height = self._button.sizeHint().height()
        self.setContentsMargins(0, height, 0, 0)
        self.setMaximumHeight(16777215 if opened else height)
        self.contentsCollapsed.emit(not opened)

    def _text(self) -> str:
        return self._button.text()

    def _set_text(self, text: str) -> None:
        self._button.setText(text)

    def _collapsed(self) -> bool:
        return not self._button.isChecked()

    def _set_collapsed(self, collapsed: bool) -> None:
        self._button.setChecked(not collapsed)

    text = QtCore.Property(str, _text, _set_text)
    collapsed = QtCore.Property(bool, _collapsed, _set_collapsed)


class _SliderWidget(QtWidgets.QWidget):
    valueChanged = QtCore.Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._box = QtWidgets.QDoubleSpinBox()
        self._box.setKeyboardTracking(False)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self.setFocusProxy(self._slider)
        self._slider.valueChanged.connect(lambda steps: self._box.setValue(steps * self._box.singleStep()))
        self._box.valueChanged.connect(self._moved)

    def _moved(self, value: float) -> None:
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(round(value / self._box.singleStep()))
        self._slider.blockSignals(blocked)
        self.valueChanged.emit(value)

    def _rescale(self) -> None:
        blocked = self._slider.blockSignals(True)
        step = self._box.singleStep()
        self._slider.setRange(round(self._box.minimum() / step), round(self._box.maximum() / step))
        self._slider.setValue(round(self._box.value() / step))
        self._slider.blockSignals(blocked)

    def _set(self, name: str, value: Any) -> None:
        getattr(self._box, name)(value)
        self._rescale()

    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    value = QtCore.Property(float, lambda self: self._box.value(), lambda self, value: self._box.setValue(value))
    minimum = QtCore.Property(
        float, lambda self: self._box.minimum(), lambda self, value: self._set("setMinimum", value)
    )
    maximum = QtCore.Property(
        float, lambda self: self._box.maximum(), lambda self, value: self._set("setMaximum", value)
    )
    singleStep = QtCore.Property(
        float, lambda self: self._box.singleStep(), lambda self, value: self._set("setSingleStep", value)
    )
    decimals = QtCore.Property(
        int, lambda self: self._box.decimals(), lambda self, value: self._set("setDecimals", value)
    )
    suffix = QtCore.Property(str, lambda self: self._box.suffix(), lambda self, value: self._set("setSuffix", value))


class _PathLineEdit(QtWidgets.QWidget):
    currentPathChanged = QtCore.Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._edit = QtWidgets.QLineEdit()
        self._browse = QtWidgets.QToolButton()
        self._browse.setText("…")
        layout.addWidget(self._edit, 1)
        layout.addWidget(self._browse)
        self.setFocusProxy(self._edit)
        self._filters = 0
        self._edit.textChanged.connect(self.currentPathChanged)

    currentPath = QtCore.Property(str, lambda self: self._edit.text(), lambda self, path: self._edit.setText(path))
    filters = QtCore.Property(int, lambda self: self._filters, lambda self, value: setattr(self, "_filters", value))


class _DICOMIndexer(QtCore.QObject):
    """Reads a folder into a database, in the background if told so: here in the event loop, a file a turn."""

    progress = QtCore.Signal(int)
    indexingComplete = QtCore.Signal(int, int, int, int)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._background = False
        self._waiting: list[Path] = []
        self._taken = self._count = 0
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._next)

    def addDirectory(self, database: Any, folder: str, copyFile: bool = False, includeHidden: bool = True) -> None:
        self._database, self._folder = database, folder
        self._waiting = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        self._count = len(self._waiting)
        self._timer.start(5)
        while not self._background and self._timer.isActive():
            self._next()

    def cancel(self) -> None:
        self._waiting.clear()

    def _next(self) -> None:
        if self._waiting:
            self._database.take(self._waiting.pop(0))
            self._taken += 1
            self.progress.emit(100 * self._taken // self._count)
            return
        self._timer.stop()
        self._database.imported.append((self._folder, self._taken))
        self.indexingComplete.emit(1, 1, 1, self._taken)

    backgroundImportEnabled = QtCore.Property(
        bool, lambda self: self._background, lambda self, value: setattr(self, "_background", value)
    )


class _MessageBox(QtWidgets.QMessageBox):
    pass


ctkCollapsibleButton = as_in_pythonqt(_CollapsibleButton)
ctkSliderWidget = as_in_pythonqt(_SliderWidget)
ctkPathLineEdit = as_in_pythonqt(_PathLineEdit)
ctkDICOMIndexer = as_in_pythonqt(_DICOMIndexer)
ctkMessageBox = as_in_pythonqt(_MessageBox)
