"""What persists between sessions of Slicer."""

import qt

_GROUP = "LowLightEnhance/"


def read(name, default):
    """A setting, in the type of its default; the default where none is kept."""
    value = qt.QSettings().value(_GROUP + name)
    if value is None:
        return default
    if isinstance(default, bool):
        return str(value).lower() in ("true", "1")
    return type(default)(value)


def write(name, value):
    """Keep a setting."""
    qt.QSettings().setValue(_GROUP + name, value)
