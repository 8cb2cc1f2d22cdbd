"""What can go wrong with a request, in the words of the protocol."""

from __future__ import annotations

import errno
import logging
import traceback
from pathlib import Path
from typing import Any, Literal

from lowlight.errors import (
    BundleError,
    DependencyError,
    InputError,
    LowLightError,
    OutputError,
    ReaderElsewhereError,
    StoppedError,
    StudyError,
)

logger = logging.getLogger(__name__)

Kind = Literal[
    "bad-request",
    "not-an-image",
    "out-of-memory",
    "no-space",
    "cancelled",
    "superseded",
    "no-result",
    "mismatch",
    "unreadable",
    "not-written",
    "reader-elsewhere",
    "no-sitting",
    "study",
    "missing-dependency",
    "incompatible",
    "internal",
]
"""What docs/worker.md explains one by one."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Failure(Exception):  # noqa: N818  (an answer of the protocol, of type "error")
    """The final answer to a request that cannot be done.

    Args:
        kind: for programs. message: what is wrong, a sentence for people. remedy: what to do.
        details: further fields of the answer.
    """

    def __init__(self, kind: Kind, message: str, remedy: str = "", **details: Any) -> None:
        super().__init__(message)
        self.kind, self.message, self.remedy, self.details = kind, message, remedy, details

    def fields(self) -> dict[str, Any]:
        """The fields of the answer, without its id."""
        return {"type": "error", "kind": self.kind, "message": self.message, "remedy": self.remedy, **self.details}


def bad_request(message: str, remedy: str = "See the protocol, docs/worker.md.") -> Failure:
    """For a request that no correct client sends."""
    return Failure("bad-request", message, remedy)


def no_space() -> Failure:
    """For a file that does not fit on its disk."""
    return Failure(
        "no-space", "The disk is full, or this account may not write files of this size.", "Free some space."
    )


def failure_of(error: BaseException) -> Failure:
    """The answer that tells of an exception, whatever it is."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, StoppedError):
        return Failure("cancelled", "Cancelled.", "")
    if isinstance(error, MemoryError):
        return Failure(
            "out-of-memory",
            "There is not enough memory, even for doing it in small tiles.",
            "Close other programs, or crop the image, or scale it down.",
        )
    if isinstance(error, OutputError):
        reason = error.__cause__ or error.__context__
        if isinstance(reason, OSError) and reason.errno in _FULL:
            return no_space()
        return Failure("not-written", _sentence(f"{error.source}: {error.fault}"), _sentence(error.remedy))
    if isinstance(error, StudyError):
        # Without the folders above it, which may be named after patients.
        found: Kind = "reader-elsewhere" if isinstance(error, ReaderElsewhereError) else "study"
        return Failure(found, _sentence(f"Study {Path(error.source).name}: {error.fault}"), _sentence(error.remedy))
    if isinstance(error, InputError):
        return Failure("unreadable", _sentence(f"{error.source}: {error.fault}"), _sentence(error.remedy))
    if isinstance(error, (DependencyError, BundleError)):
        kind: Kind = "missing-dependency" if isinstance(error, DependencyError) else "incompatible"
        # Their messages end in the way out.
        message, _, remedy = str(error).rpartition("; ")
        return Failure(kind, _sentence(message or remedy), _sentence(remedy if message else ""))
    if isinstance(error, OSError) and error.errno in _FULL:
        return no_space()
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return failure_of(MemoryError())
    if isinstance(error, LowLightError):
        return Failure("internal", _sentence(str(error)))
    _log(error)
    return Failure(
        "internal",
        f"An unexpected fault ({type(error).__name__}) of LowLightEnhance.",
        "Try again; if it comes back, report it with the log.",
    )


def unsuitable(error: InputError) -> Failure:
    """The answer for an array that the engine refuses."""
    return Failure("not-an-image", f"The {error.source} cannot be used: {error.fault}.", _sentence(error.remedy))


def _sentence(text: str) -> str:
    text = text.strip()
    # A path keeps its case; words get a capital letter.
    first = text[:1].upper() + text[1:] if text[:1].isalpha() and text[1:2] != ":" else text
    return first if not first or first.endswith(".") else f"{first}."


def _log(error: BaseException) -> None:
    """Where it happened, and not what the exception says: that may name a patient's file."""
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error("%s at %s", type(error).__name__, " < ".join(reversed(places)))
