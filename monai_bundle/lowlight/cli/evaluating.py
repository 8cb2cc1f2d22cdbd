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
from lowlight.errors import InputError, LowLightError, OutputError

if TYPE_CHECKING:
    from lowlight.cli.report import Report
    from lowlight.evaluation import Mean, Pairing, Row
    from lowlight.imaging import Found

COLUMNS = {
    "psnr": ("{:.2f}", "peak signal-to-noise ratio in dB, higher is closer; 100 for identical images"),
    "ssim": ("{:.4f}", "structural similarity, 1 for identical images"),
    "contrast": (
        "{:.3f}",
        "local contrast over that of CLEAN: 1 restored, below 1 flat, above 1 exaggerated; - if flat",
    ),
    "contrast_improvement": ("{:.2f}", "local contrast over that of DARK: above 1 is a gain; - if DARK is flat"),
    "colour_difference": ("{:.2f}", "mean CIEDE2000, lower is closer; about 1 can just be seen; - for grey images"),
}
"""Each measure as it is called everywhere, with its format and what it means."""


class By(StrEnum):
    """Twin of `lowlight.evaluation.Grouping`, which takes seconds to load."""

    FOLDER = "folder"
    PREFIX = "prefix"


@guarded
def evaluate(
    *,
    clean: Annotated[Path, typer.Argument(metavar="CLEAN", readable=False, help="The truth: a folder or a file.")],
    enhanced: Annotated[
        Path, typer.Argument(metavar="ENHANCED", readable=False, help="What is judged: a folder or a file.")
    ],
    observed: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="DARK", readable=False, help="What it was made from: adds contrast_improvement."
        ),
    ] = None,
    by: Annotated[
        By, typer.Option(help="Average by sub-folder, or by what a file name has before the first underscore.")
    ] = By.FOLDER,
    table: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", readable=False, help="Also write one line per image, as a .csv file."),
    ] = None,
    value_range: ValueRange = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare enhanced images with the truth, per group: psnr, ssim, contrast, contrast_improvement, colour_difference.

    Partners have the same path below their folder; suffixes do not count. One clean image may be the truth of several:
    heavy/a.png is compared with a.png where there is no heavy/a.png. What each measure means is said below the table.
    """
    from lowlight.cli.report import Report
    from lowlight.evaluation import Grouping, pair, summarise, write_csv
    from lowlight.imaging import collect

    if table is not None and table.suffix.lower() != ".csv":
        raise typer.BadParameter(f"{table} has to end in .csv", param_hint="'--csv'")
    roots = {path: list(collect([path])) for path in (clean, enhanced, observed) if path is not None}
    _end_without(roots, as_json)
    before = None if observed is None else roots[observed]
    pairing = pair(roots[clean], roots[enhanced], before, Grouping(by.value))
    if table is not None:
        _check_no_input(table, pairing)
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


def _end_without(roots: dict[Path, list[Found]], as_json: bool) -> None:
    """Where a whole side is missing or unreadable nothing can be compared: one line says so, not one for each image.

    Raises:
        typer.Exit: it is so, and was told.
    """
    from lowlight.cli.report import Report
    from lowlight.imaging.filetype import identify

    report = Report("comparing", "compared", len(roots), as_json)
    for root, found in roots.items():
        try:
            if not found:
                raise InputError(root, "holds no image", "check the path")
            if found[0].fault is not None and found[0].explicit:
                raise found[0].fault
            if found[0].explicit:
                identify(root)
        except InputError as error:
            report.refused(root, str(error))
    if report.exit_code:
        report.close()
        raise typer.Exit(report.exit_code)


def _check_no_input(table: Path, pairing: Pairing) -> None:
    """Raises OutputError if the table would replace an image, whatever that is called here."""
    from lowlight.cli.batch import identity

    sides = (item for one in pairing.pairs for item in (one.clean, one.enhanced, one.observed) if item is not None)
    images = [*(item.path for item in sides), *(Path(error.source) for error in pairing.refused)]
    target = identity(table)
    if target is not None and target in map(identity, images):
        raise OutputError(table, "is one of the inputs, which are never changed", "choose another name")


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
    terminal = sys.stdout.isatty()
    # Folded, the long names fit into 80 columns.
    for title in ("images", *(name.replace("_", "_\n") if terminal else name for name in measured)):
        view.add_column(title, justify="right", no_wrap=True)
    for mean in means:
        values = ((COLUMNS[name][0], getattr(mean.measures, name)) for name in measured)
        cells = ["-" if value is None else form.format(value) for form, value in values]
        view.add_row(printable(mean.group), str(mean.count), *cells, end_section=len(means) > 1 and mean is means[-2])
    # A pipe has no width: nothing may be cut off in a file.
    Console(markup=False, highlight=False, width=None if terminal else 200).print(view)
    longest = max(map(len, measured))
    for name in measured:
        print(f"  {name:{longest}}  {COLUMNS[name][1]}")
