"""`lowlight quantify`: how damaged images are, in numbers and pictures."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlight.batch.signals import interruption
from lowlight.batch.silencing import decoders_silenced
from lowlight.batch.text import counted, described, printable, unexpected
from lowlight.cli.guarding import guarded
from lowlight.cli.options import (
    FLAG,
    Debug,
    Inputs,
    Json,
    LimitWishes,
    NamedAsInputs,
    ValueRange,
    Window,
    dicom_reading,
)
from lowlight.errors import LowLightError, NotAnImageError

if TYPE_CHECKING:
    from rich.table import Table

    from lowlight.cli.report import Report
    from lowlight.imaging import Found, MedicalImage
    from lowlight.imaging.limits import DicomReading
    from lowlight.reports import QuantifiedPage

WIDE = 120
"""A terminal of so many columns has room for number and severity side by side."""

PUBLISHED = {
    "noise_variance": "noise\nvariance",
    "salt_and_pepper": "salt-and-\npepper",
    "blur": "blur",
    "block_variance": "block\nvariance",
}


@guarded
def quantify(
    *,
    paths: Inputs,
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            metavar=FLAG,
            help="Print the four metrics that were published first, as they were printed. They take darkness for "
            "damage: a baseline, not a judgement.",
        ),
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", readable=False, help="Also write one line per image, as a .csv file."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", readable=False, help="Also write a page with pictures and maps, as a .html file."
        ),
    ] = None,
    every_frame: Annotated[
        bool,
        typer.Option("--every-frame", metavar=FLAG, help="Judge all frames of a file; without, the middle one."),
    ] = False,
    value_range: ValueRange = None,
    window: Window = 1,
    named_as_inputs: NamedAsInputs = False,
    limits: LimitWishes = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how damaged images are: noise, salt-and-pepper, blur, JPEG and exposure, and how badly.

    Images are judged as a screen shows them; files that are frames of one series, as one. Where an image does not let
    something be measured, that is said instead.
    """
    from lowlight.cli.batch import empty_folders, without_repeats
    from lowlight.cli.outputs import PAGE, TABLE, check_output, without_outputs
    from lowlight.cli.report import Report
    from lowlight.imaging import collect
    from lowlight.imaging.dicom_series import arrange
    from lowlight.reports import QuantifiedPage, write_csv

    if published and page is not None:
        raise typer.BadParameter("the published metrics have no page; leave --published away", param_hint="'--html'")
    check_output(table, TABLE, "--csv")
    check_output(page, PAGE, "--html")
    # Measuring changes nothing: what has no use for a tone curve can still be noisy.
    reading = dicom_reading(window, True, limits)
    met = without_outputs(without_repeats(list(collect(paths))), (table, page))
    groups = arrange(met, reading.limits, hashed=not named_as_inputs)
    found = [item for group in groups for item in group]
    report = Report("measuring", "measured", len(found), as_json)
    interrupted = False
    with ExitStack() as stack:
        drawn = None if page is None else stack.enter_context(QuantifiedPage(len(found)))
        measuring = Measuring(report, drawn, published, every_frame, value_range, debug, reading)
        try:
            with report:
                for folder in empty_folders(paths, met):
                    report.note(f"no image found in {folder}")
                measuring.all(groups)
        except KeyboardInterrupt:
            # What was measured until then is not lost: it is written and shown as ever.
            interrupted = True
        try:
            with interruption.held():
                if table is not None and measuring.rows:
                    write_csv(measuring.rows, table)
                if drawn is not None and page is not None and drawn.rows:
                    drawn.write(page, report.left_out, report.not_reached if interrupted else 0)
        except KeyboardInterrupt:
            interrupted = True
    if measuring.rows and not as_json:
        (_print_published if published else _print_measured)(measuring)
    report.close(interrupted=interrupted)
    raise typer.Exit(interruption.exit_code if interrupted else report.exit_code)


class Measuring:
    """Measures file after file, and tells a report of each.

    Args:
        report: told of every file.
        page: gets every image, if there is one.
        published: whether the published metrics are wanted instead of the estimators.
        every_frame: whether all frames of a file are measured, or the middle one.
        value_range: (black, white) for files that do not say.
        debug: print tracebacks of unexpected errors.
        dicom: how DICOM is read.

    Attributes:
        names: of the images measured, as people are shown them.
        measured: their numbers, as JSON-serialisable dictionaries.
        rows: the same as lines of a CSV file.
    """

    def __init__(
        self,
        report: Report,
        page: QuantifiedPage | None,
        published: bool,
        every_frame: bool,
        value_range: tuple[float, float] | None,
        debug: bool,
        dicom: DicomReading,
    ) -> None:
        self.report, self.page, self.published, self.every_frame = report, page, published, every_frame
        self.value_range, self.debug, self.dicom = value_range, debug, dicom
        self.names: list[str] = []
        self.measured: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []

    def all(self, groups: Sequence[tuple[Found, ...]]) -> None:
        """Measure all files, those of a group as one series; one that fails does not stop the others."""
        from lowlight.cli.outputs import known_as

        names = known_as([item for group in groups for item in group])
        for group in groups:
            started = time.monotonic()
            read = [(item, image) for item in group if (image := self._read(item)) is not None]
            for together in self._series(read):
                item = together[0][0]
                with self._refusing(item):
                    self._measure(together, names, time.monotonic() - started)

    def _read(self, item: Found) -> MedicalImage | None:
        """The image, unless it is refused or skipped, which is told."""
        from lowlight.batch.unused_range import unused_range

        interruption.check()
        self.report.begin(item.path)
        with self._refusing(item):
            with decoders_silenced(self.debug):
                image = item.read(self.value_range, self.dicom)
                warning = unused_range(image) if self.value_range is None else None
            if warning is not None:
                self.report.warn(warning)
            return image
        return None

    @staticmethod
    def _series(read: Sequence[tuple[Found, MedicalImage]]) -> list[list[tuple[Found, MedicalImage]]]:
        from lowlight.imaging.dicom_series import can_be_joined

        together = len(read) > 1 and can_be_joined([image for _, image in read])
        return [list(read)] if together else [[one] for one in read]

    @contextmanager
    def _refusing(self, item: Found) -> Iterator[None]:
        """Tell what goes wrong in this block as the end of this file, not of the others."""
        try:
            yield
        except NotAnImageError as error:
            self.report.skipped(error)
        except LowLightError as error:
            self.report.refused(item.path, str(error))
        except BrokenPipeError:
            raise
        except Exception as error:
            interruption.check()
            if self.debug:
                traceback.print_exc()
            self.report.refused(item.path, f"{item.path}: {unexpected(error)}")

    def _measure(self, read: Sequence[tuple[Found, MedicalImage]], names: dict[Path, str], reading: float) -> None:
        """Measure one image with its frames, or several files that are frames of one series."""
        from lowlight.imaging.dicom_series import joined
        from lowlight.reports import flat

        started = time.monotonic()
        image = joined([image for _, image in read]) if len(read) > 1 else read[0][1]
        count = len(image.pixels) if image.frames else 1
        chosen = range(count) if self.every_frame else [count // 2]
        measured = []
        for done, index in enumerate(chosen):
            interruption.check()
            item = read[index if len(read) > 1 else 0][0]
            measured.append((item, self._frame(image, index, count, names[item.path])))
            self.report.step(done + 1, len(chosen))
        for index, (item, numbers) in zip(chosen, measured, strict=True):
            name = names[item.path]
            self.names.append(name if count == 1 or len(read) > 1 else f"{name} [{index + 1}]")
            self.measured.append(numbers)
            self.rows.append({"file": item.path, "frame": index + 1, "frames": count, **flat(numbers)})
        parameters = {"frames": count, "measured": [index + 1 for index in chosen]}
        measures = measured[0][1] if len(chosen) == 1 else {"by_frame": [numbers for _, numbers in measured]}
        seconds = (reading + time.monotonic() - started) / len(read)
        for item, _ in read:
            self.report.done(item.path, None, seconds, parameters, measures)

    def _frame(self, image: MedicalImage, index: int, count: int, name: str) -> dict[str, Any]:
        pixels, valid = image.pixels, image.valid
        if image.frames:
            pixels, valid = pixels[index], None if valid is None else valid[index]
        if self.published:
            from lowlight.artifacts.published import published_metrics

            found = published_metrics(pixels, image.value_range)
            return {**found.as_dict(), "printed": found.printed()}
        from lowlight.artifacts.quantifying import quantify as judge

        numbers = judge(pixels, image.value_range, valid, image.quantisation).as_dict()
        if self.page is not None:
            about = described(image, index)
            self.page.add(name, about, pixels, image.value_range, numbers, valid)
        return numbers


def _print_measured(measuring: Measuring) -> None:
    """One image: a line an artifact. Several: a line an image, and below why numbers are missing."""
    from lowlight.reports import FACTORS, findings, reassurance, state, verdict

    if len(measuring.measured) == 1:
        (numbers,) = measuring.measured
        view = _table(measuring.names[0], "severity", "measured")
        for finding in findings(numbers):
            view.add_row(finding.name, finding.severity, "\n".join([finding.told, *finding.details]))
        _print(view)
        print(f"verdict: {verdict(numbers)}")
        if note := reassurance(numbers):
            print(note)
        return
    joint = " " if _width() >= WIDE else "\n"
    view = _table("image", *(f"{factor.name}\n{factor.unit}" for factor in FACTORS), "verdict")
    reasons: Counter[tuple[str, str]] = Counter()
    for name, numbers in zip(measuring.names, measuring.measured, strict=True):
        found = findings(numbers)
        reasons.update((one.name, one.reason) for one in found if one.severity == "unknown")
        cells = ["-" if one.severity == "unknown" else f"{one.short or '-'}{joint}{one.severity}" for one in found]
        view.add_row(name, *cells, state(numbers))
    _print(view)
    notes = Counter(filter(None, map(reassurance, measuring.measured)))
    for note, count in sorted(notes.items()):
        print(f"  - {counted(count, 'image')}: {note}")
    for (name, reason), count in sorted(reasons.items()):
        print(f"  - {name}: not measurable in {counted(count, 'image')}: {reason}")


def _print_published(measuring: Measuring) -> None:
    view = _table("image", *PUBLISHED.values())
    for name, numbers in zip(measuring.names, measuring.measured, strict=True):
        view.add_row(name, *(f"{numbers['printed'][key]}\n{numbers['ratings'][key]}" for key in PUBLISHED))
    _print(view)


def _table(*titles: str) -> Table:
    from rich.table import Table

    view = Table(header_style="bold", show_lines=_width() < WIDE)
    for index, title in enumerate(titles):
        view.add_column(printable(title) if index == 0 else title, overflow="fold")
    return view


def _width() -> int:
    """Columns of the terminal; a pipe has none, and nothing may be cut off in a file."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else 200


def _print(view: Table) -> None:
    from rich.console import Console

    Console(markup=False, highlight=False, emoji=False, width=_width()).print(view)
