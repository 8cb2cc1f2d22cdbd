"""A worker that kills itself, as kill -9 does, at a named step: what no other process could hit exactly."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lowlight import Enhancer
from lowlight.services.pacs import enhancing
from lowlight.services.pacs.destinations import StowDestination
from lowlight.services.pacs.queue import Queue, State
from lowlight.services.pacs.rules import load
from lowlight.services.pacs.sources import OrthancSource
from lowlight.services.pacs.worker import Worker


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(holder: Any, name: str) -> None:
    setattr(holder, name, lambda *_, **__: _die())


def _after(holder: Any, name: str) -> None:
    real = getattr(holder, name)

    def then_die(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        if result:
            _die()
        return result

    setattr(holder, name, then_die)


def _moving(to: State, committed: bool) -> Callable[[], None]:
    def patch() -> None:
        real = Queue.move_all

        def move_all(queue: Queue, moves: Any, tone: Any = None) -> int:
            meant = any(state == to for _, state, _ in moves)
            if meant and not committed:
                _die()
            moved = real(queue, moves, tone)
            if meant:
                _die()
            return moved

        Queue.move_all = move_all  # type: ignore[method-assign]

    return patch


def _stored() -> None:
    real = StowDestination.store

    def store(destination: StowDestination, file: Path) -> None:
        real(destination, file)
        _die()

    StowDestination.store = store  # type: ignore[method-assign]


STEPS: dict[str, Callable[[], None]] = {
    "met, not noted": lambda: _before(Queue, "see"),
    "noted": lambda: _after(OrthancSource, "discover"),
    "fetched, not noted": _moving(State.SEEN, False),
    "fetched": _moving(State.SEEN, True),
    "claimed": lambda: _after(Queue, "take_series"),
    "tone decided": lambda: _before(Enhancer, "__call__"),
    "made, not noted": lambda: _after(enhancing, "write"),
    "made": _moving(State.ENHANCED, True),
    "sent, not noted": _stored,
    "sent": _moving(State.STORED, True),
    "read back, not noted": lambda: _after(StowDestination, "fetch"),
    "verified": _moving(State.VERIFIED, True),
}


def work_until(step: str, rules: Path) -> None:
    """Run a worker that dies at a step."""
    STEPS[step]()
    the_rules = load(rules)
    Worker(the_rules, Queue(the_rules.folder), once=True).run()
