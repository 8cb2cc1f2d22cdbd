"""Stand-in for `slicer.parameterNodeWrapper`: typed parameters on a real parameter node, bound to widgets."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ctk
import qmrml
import qt
import vtk

NAME = "SlicerParameterName"


@dataclass
class WithinRange:
    minimum: float
    maximum: float


@dataclass
class Choice:
    choices: list[Any]


@dataclass
class Default:
    value: Any


@dataclass
class _Parameter:
    name: str
    kind: Any
    annotations: tuple[Any, ...]
    default: Any

    @property
    def holds_node(self) -> bool:
        members = typing.get_args(self.kind) or (self.kind,)
        return all(isinstance(member, type) and member.__name__.startswith("vtkMRML") for member in members)

    def read(self, node: Any) -> Any:
        if self.holds_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text == "True" if self.kind is bool else self.kind(text)

    def write(self, node: Any, value: Any) -> None:
        if self.holds_node:
            node.SetNodeReferenceID(self.name, value.GetID() if value else None)
            return
        value = self.kind(value)
        for annotation in self.annotations:
            if isinstance(annotation, WithinRange) and not annotation.minimum <= value <= annotation.maximum:
                raise ValueError(f"{self.name} must lie in [{annotation.minimum}, {annotation.maximum}], got {value}")
            if isinstance(annotation, Choice) and value not in annotation.choices:
                raise ValueError(f"{self.name} must be one of {annotation.choices}, got {value}")
        node.SetParameter(self.name, str(value))


class _Connection:
    """One widget bound to one parameter: what Slicer calls a GUI connector."""

    def __init__(self, widget: Any, parameter: _Parameter) -> None:
        self.widget = widget
        if parameter.holds_node:
            assert isinstance(widget, qmrml.qMRMLNodeComboBox), f"a node needs a node selector, not {widget}"
            self.changed, self.read, self.write = widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode
        elif parameter.kind is bool:
            assert type(widget) is qt.QCheckBox
            self._bind("toggled", "checked")
        else:
            assert parameter.kind is float, f"no widget is known for {parameter.kind}"
            assert type(widget) in (ctk.ctkSliderWidget, qt.QDoubleSpinBox)
            limits = next(note for note in parameter.annotations if isinstance(note, WithinRange))
            widget.minimum, widget.maximum = limits.minimum, limits.maximum
            self._bind("valueChanged", "value")

    def _bind(self, signal: str, attribute: str) -> None:
        self.changed = getattr(self.widget, signal)
        self.read = lambda: getattr(self.widget, attribute)
        self.write = lambda value: setattr(self.widget, attribute, value)


def parameterNodeWrapper(described: type) -> type:
    """Turn a class of annotated names into typed access to a parameter node."""
    parameters: dict[str, _Parameter] = {}
    for name, hint in typing.get_type_hints(described, include_extras=True).items():
        kind, annotations = hint, ()
        if typing.get_origin(hint) is typing.Annotated:
            kind, *rest = typing.get_args(hint)
            annotations = tuple(rest)
        given = [note.value for note in annotations if isinstance(note, Default)]
        default = getattr(described, name, given[0] if given else None)
        parameters[name] = _Parameter(name, kind, annotations, default)

    class Wrapper:
        def __init__(self, node: Any) -> None:
            self.parameterNode = node
            self._connections: dict[int, list[tuple[_Connection, Callable[..., None]]]] = {}
            self._observer: dict[int, int] = {}
            self._updating = False
            for parameter in parameters.values():
                if not parameter.holds_node and not node.GetParameter(parameter.name):
                    parameter.write(node, parameter.default)

        def connectGui(self, gui: Any) -> int:
            tag = len(self._connections)
            bound = []
            for widget in vars(gui).values():
                name = widget.property(NAME)
                if name:
                    connection = _Connection(widget, parameters[name])
                    connection.write(getattr(self, name))
                    slot = self._slot(name, connection)
                    connection.changed.connect(slot)
                    bound.append((connection, slot))
            self._connections[tag] = bound
            self._observer[tag] = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._to_widgets)
            return tag

        def disconnectGui(self, tag: int) -> None:
            self.parameterNode.RemoveObserver(self._observer.pop(tag))
            for connection, slot in self._connections.pop(tag):
                connection.changed.disconnect(slot)

        def AddObserver(self, event: Any, slot: Callable[..., None]) -> int:
            return self.parameterNode.AddObserver(event, slot)

        def RemoveObserver(self, tag: int) -> None:
            self.parameterNode.RemoveObserver(tag)

        def _slot(self, name: str, connection: _Connection) -> Callable[..., None]:
            def changed(*_: Any) -> None:
                if not self._updating:
                    setattr(self, name, connection.read())

            return changed

        def _to_widgets(self, *_: Any) -> None:
            if self._updating:
                return
            self._updating = True
            try:
                for bound in self._connections.values():
                    for connection, _ in bound:
                        connection.write(getattr(self, connection.widget.property(NAME)))
            finally:
                self._updating = False

    for parameter in parameters.values():
        setattr(
            Wrapper,
            parameter.name,
            property(
                lambda self, parameter=parameter: parameter.read(self.parameterNode),
                lambda self, value, parameter=parameter: parameter.write(self.parameterNode, value),
            ),
        )
    Wrapper.__name__ = described.__name__
    return Wrapper
