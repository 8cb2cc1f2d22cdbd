"""What a group is told of in one process, kept to be told in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lowlight.batch.doing import Told
from lowlight.errors import InputError


@dataclass(frozen=True)
class Event:
    """One thing that was told. Can be sent to other processes.

    Attributes:
        method: of `Told`. arguments, options: what it was called with.
    """

    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)


class Recorder:
    """Keeps what it is told; how far a file is cannot wait, so it is left out.

    Attributes:
        events: in their order.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def begin(self, path: Path) -> None:
        """Left out."""

    def step(self, done: int, total: int) -> None:
        """Left out."""

    def warn(self, message: str) -> None:
        """As `Told` has it, like those below."""
        self._keep("warn", message)

    def skipped(self, error: InputError) -> None:
        self._keep("skipped", error)

    def refused(self, source: Path, message: str) -> None:
        self._keep("refused", source, message)

    def done(
        self,
        source: Path,
        output: Path | None,
        seconds: float,
        parameters: dict[str, Any] | None = None,
        *,
        line: str = "",
        unchanged: bool = False,
    ) -> None:
        self._keep("done", source, output, seconds, parameters, line=line, unchanged=unchanged)

    def show_card(self, card: Any) -> None:
        self._keep("show_card", card)

    def _keep(self, method: str, *arguments: Any, **options: Any) -> None:
        self.events.append(Event(method, arguments, options))


def tell(events: Sequence[Event], told: Told) -> None:
    """Tell what was recorded."""
    for event in events:
        getattr(told, event.method)(*event.arguments, **event.options)
