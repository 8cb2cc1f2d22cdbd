"""`lowlight worker`: the service behind a viewer's module."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowlight.batch.signals import raise_again
from lowlight.cli.options import Device, EngineName, NetworkSize, RunningEngine, Size


def worker(
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the bundle. Default: the one that is installed.")
    ] = None,
    engine: RunningEngine = EngineName.AUTO,
    size: NetworkSize = Size.DEFAULT,
    device: Device = "auto",
    temporary: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where its private folder is made. Default: the system's temporary folder."),
    ] = None,
) -> None:
    """Serve another program, such as the 3D Slicer module. Not for people: use enhance instead.

    It loads the network once, and then speaks JSON lines on stdin and stdout, as docs/worker.md of the bundle says. It
    ends with the program that started it.
    """
    from lowlight.services.worker import run_worker

    raise_again()
    run_worker(bundle, engine.value, device, temporary, size.value)
