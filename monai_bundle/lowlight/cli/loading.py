"""The network loads while this process reads its arguments and loads what else it needs: ONNX Runtime lets it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from lowlight.batch.signals import interruption
from lowlight.bundle import DEFAULT_SIZE

if TYPE_CHECKING:
    from lowlight import Enhancer

# With one of these, arguments have to be understood before anything is loaded.
_DECIDING = ("--device", "--engine", "--size", "--max-memory", "--cluster", "--help", "-h")

_GLANCE = 0.2
"""Seconds between two looks at whether a signal came that a library has swallowed."""


class Wanted(NamedTuple):
    """What is asked of the engine; the defaults are those of the command line."""

    device: str = "auto"
    engine: str = "auto"
    max_memory: int | None = None
    size: str = DEFAULT_SIZE


_begun: dict[Wanted, Future[Enhancer]] = {}


def begin(arguments: Sequence[str]) -> None:
    """Begin to load the network, if a command line plainly is the commonest one; it is taken up by `loading`.

    Args:
        arguments: without the program's name, as they came.
    """
    if arguments[:1] != ["enhance"] or not arguments[1:] or any(word.startswith(_DECIDING) for word in arguments):
        return
    try:
        _begun[Wanted()] = loading(Wanted())
    except Exception:
        # The command itself meets it again, and says what is wrong.
        return


def is_left_over() -> bool:
    """Whether a network that has begun to load is wanted by nobody, after wrong usage say."""
    return bool(_begun)


def when_loaded(found: Future[Enhancer]) -> Enhancer:
    """The engine, once it is there; Ctrl-C is met while it is waited for.

    Raises:
        KeyboardInterrupt: as `lowlight.batch.signals` has it. Whatever `Enhancer` raises.
    """
    while True:
        wait([found], _GLANCE)
        interruption.check()
        if found.done():
            return found.result()


def loading(wanted: Wanted) -> Future[Enhancer]:
    """The engine, which is loading in a thread, or has been since `begin`; errors come from ``result()``."""
    if (begun := _begun.pop(wanted, None)) is not None:
        return begun

    # Here, not in the thread: two threads that import the same modules can get in each other's way.
    from lowlight import Enhancer

    found: Future[Enhancer] = Future()

    def load() -> None:
        try:
            found.set_result(Enhancer(**wanted._asdict()))
        except BaseException as error:
            found.set_exception(error)

    # No daemon: what ends while a library holds it can take the process with it.
    Thread(target=load, name="loading the network").start()
    return found
