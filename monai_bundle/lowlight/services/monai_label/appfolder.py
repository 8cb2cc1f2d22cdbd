"""The folder that MONAI Label loads as an app."""

from __future__ import annotations

import json
from pathlib import Path

from lowlight.errors import OutputError
from lowlight.imaging import atomic_path

_MAIN = '''"""The MONAI Label app of LowLightEnhance: the code is that of the installed package."""

from lowlight.services.monai_label.app import LowLightApp

__all__ = ["LowLightApp"]
'''

_README = """# MONAI Label app of LowLightEnhance

Start it, on this machine alone, for a folder of images:

    lowlight label-app THIS_FOLDER --studies IMAGES

How to ask it for images is said in docs/monai_label.md of the bundle. Fine-tuned weights are kept in model/.
"""

_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    # MONAI Label and the libraries name files and what was written about them: only our own lines, which do not, and
    # the server's about its start are let through.
    "loggers": {
        "lowlight.services": {"level": "INFO", "handlers": ["console"], "propagate": False},
        "uvicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False},
    },
    "root": {"level": "CRITICAL", "handlers": []},
}

LOGGING = "logging.json"


def write_app(folder: Path) -> None:
    """Write the app, or write it anew; what else lies in the folder stays.

    Raises:
        OutputError: it cannot be written there, or something else lies there.
    """
    main = folder / "main.py"
    if main.exists() and "LowLightApp" not in main.read_text(encoding="utf-8", errors="replace"):
        raise OutputError(folder, "holds another MONAI Label app", "name another folder")
    for name, content in (
        ("main.py", _MAIN),
        ("README.md", _README),
        (LOGGING, json.dumps(_LOGGING, indent=2) + "\n"),
    ):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
