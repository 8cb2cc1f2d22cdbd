"""`lowlight evaluate`: how close enhanced images come to the truth."""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowlight.cli.guarding import decoders_silenced, guarded
from lowlight.cli.options import Debug, Json, ValueRange
from lowlight.cli.signals import interruption
from lowlight.cli.text import printable, unexpected
from lowlight.errors import LowLightError

if TYPE_CHECKING:
    from lowlight.cli.report import Report
    from lowlight.evaluation import Mean, Pairing, Row

COLUMNS = {
    "psnr": ("PSNR dB", "{:.2f}"),
    "ssim": ("SSIM", "{:.4f}"),
    "contrast": ("contrast", "{:.3f}"),
    "improvement": ("contrast gain", "{:.2f}"),
    "colour": ("CIEDE2000", "{:.2f}"),
}


class By(StrEnum):
    """Twin of `lowlight.evaluation.Grouping`, which takes seconds to load."""

    FOLDER = "folder"
    PREFIX = "prefix"


@guarded
def evaluate(
    *,
    clean: Annotated[Path, typer.Argument(metavar="CLEAN", help="The truth: a folder or a file.")],
    enhanced: Annotated[Path, typer.Argument(metavar="ENHANCED", help="What is judged: a folder or a file.")],
    observed: Annotated[
        Path | None,
        typer.Option("--input", metavar="DARK", help="What it was made from: adds the gain in local contrast."),
    ] = None,
    by: Annotated[
        By, typer.Option(help="Average by sub-folder, or by what a file name has before the first underscore.")
    ] = By.FOLDER,
    table: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Also write one line per image.")] = None,
    value_range: ValueRange = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare enhanced images with the truth: PSNR, SSIM, local contrast and colour, per group.

    Partners have the same path below their folder; suffixes do not count. One clean image may be the truth of several:
    heavy/a.png is compared with a.png where there is no heavy/a.png.
    """
    from lowlight.cli.report import Report
    from lowlight.evaluation import Grouping, pair, summarise, write_csv
    from lowlight.imaging import collect

    before = None if observed is None else collect([observed])
    pairing = pair(collect([clean]), collect([enhanced]), before, Grouping(by.value))
    total = len(pairing.pairs) + len(pairing.refused) + len(pairing.skipped)
    report = Report("comparing", "compared", total, as_json)
    rows: list[Row] = []
    try:
        with report:
            _measure_all(pairing, report, rows, value_range, debug)
        if table is not None and rows:
            with interruption.held():
                write_csv(rows, table)
    except KeyboardInterrupt:
        report.close(interrupted=True)
        raise typer.Exit(interruption.exit_code) from None
    means = summarise(rows)
    if not as_json and means:
        _print_table(means)
    report.close(summary={"means": [asdict(mean) for mean in means]})
    raise typer.Exit(report.exit_code)


def _measure_all(
    pairing: Pairing, report: Report, rows: list[Row], value_range: tuple[float, float] | None, debug: bool
) -> None:
    """Add a row for each pair that can be measured, and tell the report of all that cannot."""
    from lowlight.evaluation import measure

    for skipped in pairing.skipped:
        report.skipped(skipped)
    for refused in pairing.refused:
        report.refused(Path(refused.source), str(refused))
    for one in pairing.pairs:
        interruption.check()
        path = one.enhanced.path
        report.begin(path)
        started = time.monotonic()
        try:
            with decoders_silenced(debug):
                row = measure(one, value_range, report.step)
        except LowLightError as error:
            report.refused(path, str(error))
            continue
        except Exception as error:
            interruption.check()
            if debug:
                traceback.print_exc()
            report.refused(path, f"{path}: {unexpected(error)}")
            continue
        rows.append(row)
        parameters = {"clean": one.clean.path, "group": one.group}
        report.done(path, None, time.monotonic() - started, parameters, asdict(row.measures))


def _print_table(means: list[Mean]) -> None:
    from rich.console import Console
    from rich.table import Table

    measured = [name for name in COLUMNS if any(getattr(mean.measures, name) is not None for mean in means)]
    view = Table("group", header_style="bold")
    for title in ("images", *(COLUMNS[name][0] for name in measured)):
        view.add_column(title, justify="right", no_wrap=True)
    for mean in means:
        values = ((COLUMNS[name][1], getattr(mean.measures, name)) for name in measured)
        cells = ["-" if value is None else form.format(value) for form, value in values]
        view.add_row(printable(mean.group), str(mean.count), *cells, end_section=len(means) > 1 and mean is means[-2])
    # A pipe has no width: nothing may be cut off in a file.
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 200).print(view)
