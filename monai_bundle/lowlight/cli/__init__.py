"""The command `lowlight`.

Exit codes: 0 all done, 1 some inputs refused or nothing could be done, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    try:
        # Imported here so that Ctrl-C while it loads is met as well.
        from lowlight.cli.app import run

        for stream in (sys.stdout, sys.stderr):
            # A file name that the terminal cannot show must not end a batch.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
