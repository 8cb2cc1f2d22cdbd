"""All commands, and how they are started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

import lowlight
from lowlight.cli.archiving import archive
from lowlight.cli.demonstrating import demo
from lowlight.cli.enhancing import enhance
from lowlight.cli.evaluating import evaluate
from lowlight.cli.labelling import label_app
from lowlight.cli.options import FLAG
from lowlight.cli.pacs import pacs
from lowlight.cli.quantifying import quantify
from lowlight.cli.simulating import simulate
from lowlight.cli.studying import study
from lowlight.cli.working import worker

app = typer.Typer(
    name="lowlight",
    help="Make dark, noisy, blurred or JPEG-damaged medical images readable. Not a medical device.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lowlight {lowlight.__version__}")
        raise typer.Exit


@app.callback()
def _lowlight(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar=FLAG, callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


for command in (demo, enhance, archive, quantify, simulate, evaluate, label_app, worker):
    app.command()(command)
app.add_typer(study, name="study")
app.add_typer(pacs, name="pacs")


def run(arguments: Sequence[str]) -> int:
    """Run one command line, without the program's name, and return its exit code."""
    try:
        typer.main.get_command(app).main(args=list(arguments), prog_name="lowlight")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
