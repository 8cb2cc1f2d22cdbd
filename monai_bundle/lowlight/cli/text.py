"""Words for the console: one line each, whatever a file is called and whatever an exception says."""

from __future__ import annotations

from pathlib import Path

REPORT = "please report it where you got LowLightEnhance from; --debug shows the details"


def printable(text: str | Path) -> str:
    """The text on one line, with control characters and undecodable bytes of file names escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in str(text)
    )


def unexpected(error: BaseException) -> str:
    """One line about an exception that nobody foresaw."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; close other programs, or split the image or scale it down"
    said = " ".join(str(error).split())
    shortened = said if len(said) <= 200 else said[:197] + "..."
    return f"unexpected {type(error).__name__}" + (f" ({shortened})" if shortened else "") + f"; {REPORT}"


def counted(count: int, thing: str) -> str:
    """A number with its noun: 1 image, 2 images."""
    return f"{count} {thing}" + ("" if count == 1 else "s")
