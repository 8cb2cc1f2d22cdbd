"""`lowlight label-app`: a MONAI Label server over this bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowlight.cli.guarding import guarded
from lowlight.cli.options import Debug


@guarded
def label_app(
    *,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", readable=False, help="Folder of the app; made, or brought up to date.")
    ],
    studies: Annotated[
        Path | None,
        typer.Option(metavar="IMAGES", readable=False, help="Start the server for this folder of images."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8000,
    environment: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where MONAI Label is installed. Default: environment/ in the app's folder."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Serve enhanced images to annotators with MONAI Label, and collect their ratings.

    Writes the app, installs MONAI Label into an environment of its own (once, about a minute), and with --studies
    starts the server, which listens on this machine alone. docs/monai_label.md of the bundle says how to ask it.
    """
    from lowlight.services.monai_label.appfolder import write_app
    from lowlight.services.monai_label.environment import make_environment
    from lowlight.services.monai_label.launching import serve

    write_app(folder)
    python = make_environment(environment or folder / "environment", lambda told: typer.echo(told, err=True))
    if studies is None:
        typer.echo(f"{folder} is ready; start it with: lowlight label-app {folder} --studies IMAGES")
        return
    raise typer.Exit(serve(python, folder, studies, port))
