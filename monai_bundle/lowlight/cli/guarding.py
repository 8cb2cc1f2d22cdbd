"""What surrounds every command: no traceback, no chatter of libraries, the right exit code."""

from __future__ import annotations

import functools
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import typer

from lowlight.batch.signals import interruption
from lowlight.batch.text import printable, unexpected
from lowlight.errors import LowLightError

REFUSED = 1
BROKEN_PIPE = 141
"""128 + SIGPIPE: what a shell reports of a program that wrote to a closed pipe."""

OF_STUDIES = ("choix", "krippendorff", "statsmodels", "pandas", "starlette", "uvicorn")
"""Packages that the extra "study" brings."""

Command = TypeVar("Command", bound=Callable[..., None])


def guarded(command: Command) -> Command:
    """Make a command end in an exit code, whatever happens. It has to take a keyword argument ``debug``."""

    @functools.wraps(command)
    def with_guard(*, debug: bool, **arguments: object) -> None:
        with interruption.caught(), _libraries(loud=debug):
            try:
                command(debug=debug, **arguments)
                sys.stdout.flush()
            except (typer.Exit, typer.BadParameter):
                raise
            except KeyboardInterrupt:
                _interrupted()
            except BrokenPipeError:
                _leave_stdout()
                raise typer.Exit(BROKEN_PIPE) from None
            except LowLightError as error:
                _fail(str(error), debug)
            except ModuleNotFoundError as error:
                extra = "study" if error.name in OF_STUDIES else "bundle"
                remedy = f"pip install 'lowlight-enhance[{extra}]'"
                _fail(f"this needs the package {error.name}, which is not installed; {remedy}", debug)
            except Exception as error:
                # Some libraries turn a Ctrl-C while they load into an error of their own.
                if interruption.received is not None:
                    _interrupted()
                _fail(unexpected(error), debug)

    return with_guard  # type: ignore[return-value]


def _interrupted() -> None:
    with suppress(OSError):
        print("interrupted", file=sys.stderr)
    raise typer.Exit(interruption.exit_code) from None


def _fail(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    with suppress(OSError):
        print(f"lowlight: {printable(message)}", file=sys.stderr)
    raise typer.Exit(REFUSED) from None


def _leave_stdout() -> None:
    """Nobody reads any more: what is still buffered must not raise again when the interpreter ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _libraries(loud: bool) -> Iterator[None]:
    """Keep warnings and log messages of libraries off the console, unless they are asked for."""
    root, ours = logging.getLogger(), logging.getLogger("lowlight")
    # With no handler at all Python would print warnings of loggers to the console.
    handler = logging.StreamHandler() if loud else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    level = ours.level
    root.addHandler(handler)
    if loud:
        ours.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings():
            if not loud:
                warnings.simplefilter("ignore")
            yield
    finally:
        ours.setLevel(level)
        root.removeHandler(handler)


__all__ = ["guarded"]
