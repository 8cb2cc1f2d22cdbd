"""The command `lowlight`.

Exit codes: 0 all done, 1 some inputs refused or nothing could be done, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

from lowlight.batch.signals import leave_at_once

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    leave_at_once()
    try:
        # Imported here so that Ctrl-C while it loads is met as well.
        from lowlight.cli.loading import begin, is_left_over

        begin(sys.argv[1:])

        from lowlight.cli.app import run

        for stream in (sys.stdout, sys.stderr):
            # A file name that the terminal cannot show must not end a batch.
            if stream is not None:
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        code = run(sys.argv[1:])
        hurried = code == _INTERRUPTED or is_left_over()
    except KeyboardInterrupt:
        code, hurried = _INTERRUPTED, True
    if hurried:
        # Python remembers a Ctrl-C that came while a library was loading and would end by that signal all the same,
        # and neither that nor a network that nobody wants is worth the wait of an orderly shutdown. Results are on disk
        # by now.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
