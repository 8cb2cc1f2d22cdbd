"""Stand-in for Slicer's `qt`: the real classes of PySide6, spoken to as PythonQt wants it.

PythonQt turns every Qt property into an attribute (`label.text`, not `label.text()`), calls `objectName` also `name`,
takes signals by their signature (`button.connect("clicked()", slot)`), and knows no enumerators inside enumerations
(`qt.Qt.Horizontal`). Code that passes with these classes speaks that language.
"""

from __future__ import annotations

import inspect
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

_PLACES = (QtCore, QtGui, QtWidgets, QtUiTools)
_VIRTUAL = {"sizeHint", "minimumSizeHint", "singleShot"}
"""Their getters are virtual methods, which Qt calls itself, or share a name with a static one: they stay methods."""


def _property(name: str) -> property:
    return property(lambda self: self.property(name), lambda self, value: self.setProperty(name, value))


def _signal(self: Any, signature: str) -> Any:
    signal = getattr(self, signature.split("(")[0], None)
    if not isinstance(signal, QtCore.SignalInstance):
        raise ValueError(f"{type(self).__name__} has no signal {signature}")
    return signal


def _connect(self: Any, signature: str, slot: Any) -> bool:
    _signal(self, signature).connect(slot)
    return True


def _disconnect(self: Any, signature: str, slot: Any) -> bool:
    return bool(_signal(self, signature).disconnect(slot))


def as_in_pythonqt(original: type) -> type:
    """The class with PythonQt's manners; classes that are no QObjects stay as they are."""
    if not issubclass(original, QtCore.QObject):
        return original
    meta = original.staticMetaObject
    names = [meta.property(index).name() for index in range(meta.propertyCount())]
    declared = {name for name in names if isinstance(inspect.getattr_static(original, name, None), QtCore.Property)}
    attributes: dict[str, Any] = {name: _property(name) for name in names if name not in _VIRTUAL | declared}
    attributes |= {
        "name": _property("objectName"),
        "connect": _connect,
        "disconnect": _disconnect,
        "className": lambda self: self.metaObject().className(),
    }
    if hasattr(original, "exec"):
        attributes["exec_"] = lambda self, *arguments: self.exec(*arguments)
    return type(original.__name__, (original,), attributes)


class _Loader(QtUiTools.QUiLoader):
    """Reads .ui files with these classes and those of the other stand-ins."""

    def createWidget(self, name: str, parent: Any = None, object_name: str = "") -> Any:
        import ctk
        import qmrml

        for place in (ctk, qmrml):
            if hasattr(place, name):
                widget = getattr(place, name)(parent)
                break
        else:
            widget = globals()["__getattr__"](name)(parent)
        widget.setObjectName(object_name)
        _kept.append(widget)
        return widget


_kept: list[Any] = []
"""Widgets of loaded files: their Python side has to live as long as Qt's."""


def forget_deleted() -> None:
    """Let go of widgets that Qt has deleted."""
    _kept[:] = [widget for widget in _kept if shiboken6.isValid(widget)]


def __getattr__(name: str) -> Any:
    """Made when first asked for, once."""
    if name == "QUiLoader":
        made: Any = _Loader
    else:
        for place in _PLACES:
            if hasattr(place, name):
                made = (
                    as_in_pythonqt(getattr(place, name))
                    if isinstance(getattr(place, name), type)
                    else getattr(place, name)
                )
                break
        else:
            raise AttributeError(f"module 'qt' has no attribute {name!r}")
    globals()[name] = made
    return made
