"""What decoding libraries say belongs in a log or on one line, not on the user's console."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Without any handler, Python prints what a library logs; pydicom has one of these itself.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep warnings about irregular files off the console: a file is read or refused, and the caller hears which."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def one_line(error: BaseException | str) -> str:
    """The error's message on one line of at most 160 characters; its type where it has none."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
