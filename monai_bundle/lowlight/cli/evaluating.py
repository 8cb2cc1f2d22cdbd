"""`lowlight evaluate`: how close enhanced images come to the truth."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowlight.batch.signals import interruption
from lowlight.batch.silencing import decoders_silenced
from lowlight.batch.text import counted, printable, unexpected
from lowlight.cli.guarding import guarded
from lowlight.cli.options import Debug, Json, ValueRange
from lowlight.errors import InputError, LowLightError, NoPartnerError

if TYPE_CHECKING:
    from lowlight.cli.report import Report
    from lowlight.evaluation import Group, Pairing, Row
    from lowlight.imaging import Found


MOST_ALONE = 5
"""Images without a partner that are named; the others are counted."""


class By(StrEnum):
    """Twin of `lowlight.evaluation.Grouping`, which takes seconds to load."""

    FOLDER = "folder"
    PREFIX = "prefix"
    MODALITY = "modality"


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
        By,
        typer.Option(
            help="Sum up by sub-folder, by what a file name has before the first underscore, or by modality: from a "
            "MANIFEST.csv (columns file, modality) in CLEAN or above it, else from names of sub-folders and files."
        ),
    ] = By.FOLDER,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            readable=False,
            help="Also write one line per image, as a .csv file, and beside it FILE_summary.csv: one per group and "
            "measure.",
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", readable=False, help="Also write a page with plots and pictures, as a .html file."
        ),
    ] = None,
    value_range: ValueRange = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare enhanced images with the truth: fidelity, contrast, colour and detail, per group.

    Partners have the same path below their folder; suffixes do not count. One clean image may be the truth of several:
    heavy/a.png is compared with a.png where there is no heavy/a.png. What each measure means is said below the table.
    """
    from lowlight.cli.outputs import PAGE, TABLE, check_output, without_outputs
    from lowlight.cli.report import Report
    from lowlight.evaluation import Grouping, pair, summarise, summary_path
    from lowlight.imaging import collect

    check_output(table, TABLE, "--csv")
    check_output(page, PAGE, "--html")
    outputs = (table, None if table is None else summary_path(table), page)
    sides = [path for path in (clean, enhanced, observed) if path is not None]
    roots = {path: without_outputs(collect([path]), outputs) for path in sides}
    _end_without(roots, as_json)
    before = None if observed is None else roots[observed]
    pairing = pair(roots[clean], roots[enhanced], before, Grouping(by.value))
    total = len(pairing.pairs) + len(pairing.refused) + len(pairing.skipped)
    report = Report("comparing", "compared", total, as_json)
    rows: list[Row] = []
    try:
        with report:
            _measure_all(pairing, report, rows, value_range, debug)
            groups = summarise(rows)
            if rows and (table is not None or page is not None):
                report.show("writing")
                with interruption.held():
                    _write(rows, groups, table, page, report, value_range)
    except KeyboardInterrupt:
        report.close(interrupted=True)
        raise typer.Exit(interruption.exit_code) from None
    if groups and not as_json:
        _print_table(groups)
        _print_sources(rows)
    report.close(summary={"groups": [asdict(group) for group in groups]})
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


def _measure_all(
    pairing: Pairing, report: Report, rows: list[Row], value_range: tuple[float, float] | None, debug: bool
) -> None:
    """Add a row for each pair that can be measured, and tell the report of all that cannot."""
    from lowlight.evaluation import measure

    for skipped in pairing.skipped:
        report.skipped(skipped)
    _tell_refused(pairing.refused, report)
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
        parameters = {"clean": one.clean.path, "group": row.pair.group}
        report.done(path, None, time.monotonic() - started, parameters, asdict(row.measures))


def _tell_refused(refused: Sequence[InputError], report: Report) -> None:
    """A line each; of images without a partner, of which a part of a collection has hundreds, only for the first."""
    alone = 0
    for error in refused:
        alone += isinstance(error, NoPartnerError)
        folded = isinstance(error, NoPartnerError) and alone > MOST_ALONE
        report.refused(Path(error.source), str(error), quietly=folded)
    if alone > MOST_ALONE:
        report.note(f"refused: {counted(alone - MOST_ALONE, 'more image')} without a partner; --json names them all")


def _write(
    rows: Sequence[Row],
    groups: Sequence[Group],
    table: Path | None,
    page: Path | None,
    report: Report,
    value_range: tuple[float, float] | None,
) -> None:
    from lowlight.evaluation import summary_path, write_csv, write_summary_csv

    if table is not None:
        write_csv(rows, table)
        write_summary_csv(groups, summary_path(table))
    if page is not None:
        from lowlight.reports.evaluation import write_page

        write_page(rows, groups, page, report.left_out, value_range)


def _print_table(groups: Sequence[Group]) -> None:
    from rich.console import Console
    from rich.table import Table

    from lowlight.evaluation import MEANINGS, interval_note

    measured = [name for name in MEANINGS if any(group.measures[name].count for group in groups)]
    view = Table("measure", "group", header_style="bold")
    for title in ("images", "mean", "95 % interval", "median"):
        view.add_column(title, justify="right", no_wrap=True)
    for name in measured:
        shown = [group for group in groups if group.measures[name].count]
        for group in shown:
            one, written = group.measures[name], MEANINGS[name].written
            interval = "-" if one.low is None else f"{written(one.low)} to {written(one.high)}"
            cells = (str(one.count), written(one.mean), interval, written(one.median))
            first, last = group is shown[0], group is shown[-1]
            view.add_row(name if first else "", printable(group.name), *cells, end_section=last)
    # A pipe has no width: nothing may be cut off in a file.
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 200).print(view)
    longest = max(map(len, measured))
    for name in measured:
        print(f"  {name:{longest}}  {MEANINGS[name].text}")
    print(f"  {interval_note()}")


def _print_sources(rows: Sequence[Row]) -> None:
    """What told the modalities, if they were asked for."""
    counts = Counter(row.pair.group_from for row in rows if row.pair.group_from)
    if counts:
        told = ", ".join(f"{printable(source)} ({counted(count, 'image')})" for source, count in counts.most_common())
        print(f"  modality told by: {told}")
