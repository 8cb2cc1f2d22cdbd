"""Starting the server: MONAI Label's own program, in its environment, on this machine alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from lowlight.errors import InputError, UnavailableError
from lowlight.imaging.filetype import SUFFIXES
from lowlight.services.monai_label.appfolder import LOGGING

HOST = "127.0.0.1"


def command(python: Path, app: Path, studies: Path, port: int) -> tuple[list[str], dict[str, str]]:
    """The command that starts the server, and its environment variables."""
    patterns = [f"*{suffix}" for suffixes in SUFFIXES.values() for suffix in suffixes]
    variables = {
        **os.environ,
        "MONAI_LABEL_DATASTORE_FILE_EXT": json.dumps([*patterns, *map(str.upper, patterns)]),
        # What this app does not serve is not loaded either.
        "MONAI_LABEL_SESSIONS": "false",
        "MONAI_LABEL_TASKS_SCORING": "false",
        "MONAI_LABEL_TASKS_BATCH_INFER": "false",
        "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "PYTHONWARNINGS": "ignore",
    }
    arguments = [
        *("-m", "lowlight.services.monai_label.monai_label_program", "start_server"),
        *("--app", str(app), "--studies", str(studies), "--host", HOST, "--port", str(port)),
        *("--uvicorn_app", "lowlight.services.monai_label.server:app"),
        *("--log_config", str(app / LOGGING), "--verbose", "ERROR"),
    ]
    return [str(python), *arguments], variables


def serve(python: Path, app: Path, studies: Path, port: int) -> int:
    """Run the server until it is ended, and return its exit code; on POSIX this process becomes the server.

    Raises:
        InputError: there is no such folder of images, or what MONAI Label keeps there is damaged.
        UnavailableError: the port is taken.
    """
    if not studies.is_dir():
        raise InputError(studies, "no such folder", "give --studies a folder of images")
    _check_records(studies / "datastore_v2.json")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UnavailableError(f"port {port} cannot be listened on ({error.strerror}); choose another") from None
    # Not resolve(): an environment's program is a link, and knows by its own name where it belongs.
    line, variables = command(python.absolute(), app.resolve(), studies.resolve(), port)
    sys.stdout.flush()
    if os.name == "posix":
        os.chdir(app)
        os.execve(line[0], line, variables)
    return subprocess.run(line, env=variables, cwd=app, check=False).returncode


def _check_records(file: Path) -> None:
    """Refuse records that cannot be read, rather than begin new ones: they hold ratings."""
    if not file.exists():
        return
    try:
        whole = isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        whole = False
    if not whole:
        raise InputError(file, "is damaged; it holds the ratings", "restore it, or move it away to begin anew")
