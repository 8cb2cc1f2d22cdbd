"""One JSON object a line, without anything of a patient: instances and series are named by hashes of their UIDs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import TextIO

_logger = logging.getLogger("lowlight.services.pacs")
_DIGITS = 16


def pseudonym(uid: str, digits: int = _DIGITS) -> str:
    """What logs and lists call an instance or a series: as files of `lowlight enhance` are named."""
    return sha256(uid.encode()).hexdigest()[:digits]


def log(event: str, level: int = logging.INFO, **facts: object) -> None:
    """Log an event with its facts: names of the rules, pseudonyms, numbers and reasons, never a value of an image."""
    _logger.log(level, event, extra={"facts": {name: fact for name, fact in facts.items() if fact != ""}})


@contextmanager
def logging_to(stream: TextIO) -> Iterator[None]:
    """Write the events of this package to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines())
    level, propagates = _logger.level, _logger.propagate
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    _logger.propagate = False
    try:
        yield
    finally:
        _logger.removeHandler(handler)
        _logger.setLevel(level)
        _logger.propagate = propagates


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # No traceback: what libraries say in one may quote an image.
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = getattr(record, "facts", {})
        return json.dumps({"time": time, "level": record.levelname.lower(), "event": record.getMessage(), **facts})
