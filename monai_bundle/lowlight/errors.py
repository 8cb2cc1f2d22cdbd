"""The one family of exceptions that a user of LowLightEnhance meets.

Every message is one line that names the input, what is wrong with it and what to do about it. The command line prints
it as it is; no traceback reaches a user.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class LowLightError(Exception):
    """Base of all errors raised on purpose by this package."""


class InputError(LowLightError):
    """An input was refused.

    Args:
        source: the file (or array) that was refused.
        fault: what is wrong with it.
        remedy: what the user can do about it.
    """

    def __init__(self, source: str | Path, fault: str, remedy: str = "") -> None:
        self.source, self.fault, self.remedy = str(source), fault, remedy
        super().__init__(f"{self.source}: {fault}" + (f"; {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are made anew from their message alone where they go from one process to another.
        return _anew, (type(self), vars(self))


class NotAnImageError(InputError):
    """The file is valid or irrelevant, but holds no image to enhance: batches skip it with one line, exit code 0.

    Args:
        source, fault, remedy: as for `InputError`.
        beside_images: it is what studies bring along (a report, a plan, a README): skipped even if it was named.
    """

    def __init__(self, source: str | Path, fault: str, remedy: str = "", beside_images: bool = False) -> None:
        super().__init__(source, fault, remedy)
        self.beside_images = beside_images


class LimitError(InputError):
    """Reading an input took more time or memory than it may take, or crashed a decoder: trying again is no use."""


class NoPartnerError(InputError):
    """An image that was to be compared has no partner; a part of a collection has many of them."""


class OutputError(InputError):
    """A result could not be written; nothing half-written was left behind."""


class StudyError(InputError):
    """A reader study, or what is asked of it, was refused; what it holds is as it was."""


class ReaderElsewhereError(StudyError):
    """The reader is reading somewhere else; who opens the study may take the reading over."""


class StoppedError(LowLightError):
    """Whoever asked for a run ended it."""


class BundleError(LowLightError):
    """The bundle's configuration or weights are missing, damaged, or do not belong together."""


class DependencyError(LowLightError):
    """An optional package that this operation needs is not installed; the message names the extra that brings it."""


class RulesError(InputError):
    """The rules of a service cannot be followed as they stand: the message names file, key and what is allowed."""


class UnavailableError(LowLightError):
    """Another system does not answer, or lets nobody in: what it was asked for waits until it does."""


class ClusterError(LowLightError):
    """A cluster cannot be reached, has gone away, or its workers do not fit this machine; what is done is kept."""


class RejectedError(LowLightError):
    """Another system answered, and would not take or give this object."""


def _anew(kind: type[InputError], state: dict[str, Any]) -> InputError:
    error = kind(state["source"], state["fault"], state["remedy"])
    vars(error).update(state)
    return error
