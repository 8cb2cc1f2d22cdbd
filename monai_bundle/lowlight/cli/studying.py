"""`lowlight study`: readers judge images blindly, and their judgement is analysed and fed back."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowlight.batch.text import counted, printable
from lowlight.cli.guarding import guarded
from lowlight.cli.options import FLAG, AnyModality, Debug, Device, Inputs, Json, LimitWishes, Modality, dicom_reading

if TYPE_CHECKING:
    from lowlight.imaging import Found
    from lowlight.imaging.limits import DicomReading
    from lowlight.study.calibrating import Calibration
    from lowlight.study.making import Case
    from lowlight.study.preferred_strength import Preferred

study = typer.Typer(
    help="Reader studies: make one, have it read blindly, report, and calibrate the default strengths.",
    no_args_is_help=True,
)

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", readable=False, help="A study file, from 'study new'.")]


class Task(StrEnum):
    """What readers are asked: pairs, gradings (ratings), or both."""

    PAIRS = "pairs"
    RATINGS = "ratings"
    BOTH = "both"


TASKS = {Task.PAIRS: ("pair",), Task.RATINGS: ("rating",), Task.BOTH: ("pair", "rating")}


@study.command()
@guarded
def new(
    *,
    paths: Inputs,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", readable=False, help="The study, a .study file.")
    ],
    task: Annotated[
        Task, typer.Option(help="Choose between two versions side by side, grade one by one from 1 to 5, or both.")
    ] = Task.PAIRS,
    brightness: Annotated[
        str, typer.Option(metavar="B,B,...", help="Strengths of brightness to compare, 0 to 1.5.")
    ] = "0.4,0.55,0.7,0.85,1",
    denoise: Annotated[str, typer.Option(metavar="N,N,...", help="Strengths of denoising to compare, 0 to 1.")] = "1",
    original: Annotated[
        bool, typer.Option("--original/--no-original", help="Compare the image as it was, too.")
    ] = True,
    other: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Compare another method's results, named as the images are."),
    ] = None,
    readers: Annotated[int, typer.Option(min=1, max=200, help="How many; they are called R1, R2, ...")] = 1,
    items: Annotated[
        int | None, typer.Option(min=1, help="Questions to each reader (of each task); default: all that there are.")
    ] = None,
    repeats: Annotated[float, typer.Option(min=0, max=1, help="Share of questions that come twice.")] = 0.1,
    modality: Annotated[
        Modality | None, typer.Option(help="Kind of image, where files and folders do not say.")
    ] = None,
    title: Annotated[str, typer.Option(help="Shown to readers and on the report.")] = "Reader study",
    seed: Annotated[int, typer.Option(min=0, help="Of order, sides and selection.")] = 1,
    any_modality: AnyModality = False,
    limits: LimitWishes = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a study from images: one file that holds every version of every image and what each reader is asked.

    The file holds pictures of patients: treat it as you treat the images. Readers have numbers, not names; keep the
    list of who is who elsewhere.
    """
    from lowlight.cli.report import Report
    from lowlight.study.studyfile import SUFFIX, StudyFile

    if output.suffix != SUFFIX:
        raise typer.BadParameter(f"{output} has to end in {SUFFIX}", param_hint="'-o'")
    strengths = [(b, n) for b in _numbers(brightness, 1.5, "--brightness") for n in _numbers(denoise, 1, "--denoise")]
    others = dict(_named(text) for text in other or [])
    if output.exists():
        from lowlight.errors import OutputError

        raise OutputError(output, "exists already, and may hold answers", "choose another name or move it away")
    reading = dicom_reading(1, any_modality, limits)
    cases = _cases(paths, modality, reading)
    report = Report("drawing", "drawn", 1, as_json)
    with report:
        from lowlight import Enhancer
        from lowlight.enhance.settings import Settings
        from lowlight.study.foreseeing import warnings
        from lowlight.study.making import Design, make

        design = Design(TASKS[task], strengths, original, others, readers, items, repeats, seed, title)
        # The bundle's own: strengths are named here, and the user's settings must not be in the way.
        enhancer = Enhancer(device=device, settings=Settings(Path(), {}, {}))
        report.show(f"drawing {counted(len(cases), 'image')}")
        make(output, cases, design, enhancer, report.step, reading)
    summary = _summary(output)
    with StudyFile(output) as made:
        warned = warnings(made)
    for warning in warned:
        report.note(f"warning: {warning}")
    lines = [f"{output}: {_described(summary)}", f"next: lowlight study serve {output}"]
    _tell({**summary, "warnings": warned}, as_json, lines)


@study.command()
@guarded
def simulate(
    *,
    source: StudyPath,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", readable=False, help="The simulated study, a .study file.")
    ],
    prefer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODALITY=B", help="Brightness that simulated readers like best; without, they go by what is seen."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of readers and answers.")] = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Have simulated readers answer a copy of a study: for planning its size and for trying things out, no evidence.

    The copy is marked as a simulation, so is every report of it, and no real reader can go on with it.
    """
    from lowlight.study.observers import Population
    from lowlight.study.simulating import simulate as run
    from lowlight.study.studyfile import SUFFIX

    if output.suffix != SUFFIX:
        raise typer.BadParameter(f"{output} has to end in {SUFFIX}", param_hint="'-o'")
    prefers = {}
    for text in prefer or []:
        name, _, value = text.partition("=")
        if name not in list(Modality):
            raise typer.BadParameter(f"{name!r} is none of {', '.join(Modality)}", param_hint="'--prefer'")
        prefers[name] = _numbers(value, 1.5, "--prefer")[0]
    run(source, output, Population(prefers), seed)
    summary = _summary(output)
    lines = [f"{output}: SIMULATION, {summary['answers']} answers by {summary['readers']} simulated readers"]
    _tell(summary, as_json, lines)


@study.command()
@guarded
def serve(
    *,
    path: StudyPath,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. Beyond this machine a key is needed, which the printed link holds, and nothing "
            "is encrypted: put a proxy with TLS before it, or use a network that you trust.",
        ),
    ] = "127.0.0.1",
    debug: Debug = False,
) -> None:
    """Have a study read in a browser, on this machine or a tablet: blind, one item after the other.

    Each answer is on disk before the next item appears. Ctrl-C ends the server; reading goes on where it stopped.
    """
    from lowlight.study.serving import run

    run(path, host, port, partial(print, flush=True))


@study.command()
@guarded
def report(
    *,
    path: StudyPath,
    page: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", readable=False, help="The page; default: beside the study.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", readable=False, help="Raw answers; default: beside the study."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, max=20000, help="Bootstrap resamples behind each interval.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Analyse a study: preferences, visual grading, agreement, with intervals, as a page and a table of raw answers."""
    from lowlight.cli.outputs import PAGE, TABLE, check_output

    page, table = page or path.with_suffix(".html"), table or path.with_suffix(".csv")
    check_output(page, PAGE, "--html")
    check_output(table, TABLE, "--csv")
    from lowlight.study.report import write_report

    findings = write_report(path, page, table, resamples, seed)
    _tell(findings.as_dict(), as_json, [*findings.lines(), f"page {page}, raw answers {table}"])


@study.command()
@guarded
def calibrate(
    *,
    path: StudyPath,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings", metavar="FILE", readable=False, help="Settings file to write; default: that of this user."
        ),
    ] = None,
    precision: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Largest half-width of the 95 % interval that is accepted.")
    ] = 0.1,
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar=FLAG, help="Say what would be written.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit the default strengths of each modality to the answers, and write them where enhancing looks for them.

    Refused for a modality with too few answers, which says how many are needed. What simulated readers said is written
    to a file that --settings names, never to the user's own settings.
    """
    from datetime import UTC, datetime

    from lowlight.bundle import bundle_root
    from lowlight.enhance.definition import Definition
    from lowlight.enhance.settings import Settings, is_users_own
    from lowlight.errors import StudyError
    from lowlight.study.calibrating import apply
    from lowlight.study.calibrating import calibrate as fit
    from lowlight.study.studyfile import StudyFile

    with StudyFile(path) as opened:
        if opened.simulated and not dry_run and (settings is None or is_users_own(settings)):
            remedy = "name another settings file with --settings, or look at it with --dry-run"
            raise StudyError(path, "its readers are simulated, and do not set your default strengths", remedy)
        kept = Settings.read(settings)
        defaults, _ = kept.over(
            Definition.of(bundle_root()).made("strengths")["strengths"], opened.fact("weights_sha256")
        )
        found = fit(opened, defaults, precision)
        accepted = [one for one in found if not one.refusal]
        if accepted and not dry_run:
            apply(kept, found, opened, datetime.now(UTC).date()).write()
        lines = [line for one in found for line in _calibrated(one, opened.simulated)]
    if accepted:
        lines.append(f"{'would be ' if dry_run else ''}written to {kept.file}")
    _tell({"settings": str(kept.file), "modalities": [_plain(one) for one in found]}, as_json, lines)
    raise typer.Exit(0 if len(accepted) == len(found) else 1)


def _calibrated(one: Calibration, simulated: bool) -> list[str]:
    mark = "SIMULATION: " if simulated else ""
    refused = [f"  refused: {one.modality}: {one.refusal}"] if one.refusal else []
    if one.refusal and not all(part.is_known for part in one.strengths):
        # An end of what was shown is no estimate, and has no interval.
        return [f"{mark}{one.modality}: {_answered(one)}", *refused]
    lines = [f"{mark}{one.modality}: {_told(part)}, from {_answered(one)}" for part in one.strengths]
    if one.held_out is not None:
        after, before = one.held_out
        lines.append(f"  foretells {after:.1%} of the answers of readers left out; the strengths before {before:.1%}")
    return [*lines, *refused]


def _answered(one: Calibration) -> str:
    return f"{one.comparisons} comparisons by {counted(one.readers, 'reader')}"


def _told(part: Preferred) -> str:
    if not part.peaked:
        return f"{part.name} {part.value:g} (an end of the scale)"
    return f"{part.name} {part.value:.3f} (95 % {part.low:.3f} to {part.high:.3f})"


def _plain(one: Calibration) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(one)


def _cases(paths: list[Path], modality: Modality | None, reading: DicomReading) -> list[Case]:
    from lowlight.cli.batch import without_repeats
    from lowlight.errors import InputError, NotAnImageError
    from lowlight.imaging import collect
    from lowlight.imaging.dicom_series import arrange
    from lowlight.imaging.filetype import identify
    from lowlight.study.making import Case

    kept: list[Found] = []
    for found in without_repeats(list(collect(paths))):
        if found.fault is not None:
            if isinstance(found.fault, NotAnImageError):
                continue
            raise found.fault
        try:
            identify(found.path)
        except NotAnImageError as error:
            # What lies beside images is left out; what was named is not.
            if found.explicit:
                raise InputError(error.source, error.fault, error.remedy) from None
            continue
        kept.append(found)
    groups = arrange(kept, reading.limits, False)
    for fault in [one.fault for group in groups for one in group if one.fault is not None]:
        # Copies, and directories of media, are left out; what is over a limit is not.
        if not isinstance(fault, NotAnImageError):
            raise fault
    groups = [group for group in groups if all(one.fault is None for one in group)]
    return [Case(group, modality or _told_by_folder(group[0].path)) for group in groups]


def _told_by_folder(path: Path) -> str | None:
    """The modality that a folder or the beginning of the file's name tells."""
    words = [*reversed(path.parent.parts), path.name.partition("_")[0]]
    return next((word for word in words if word in list(Modality)), None)


def _numbers(text: str, largest: float, option: str) -> list[float]:
    values = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        try:
            value = float(part)
        except ValueError:
            value = -1.0
        if not 0 <= value <= largest:
            raise typer.BadParameter(f"{part!r} is not a number from 0 to {largest:g}", param_hint=f"'{option}'")
        values.append(value)
    if not values:
        raise typer.BadParameter("names no strength", param_hint=f"'{option}'")
    return list(dict.fromkeys(values))


def _named(text: str) -> tuple[str, Path]:
    name, sign, folder = text.partition("=")
    if not (name.strip() and sign and folder):
        raise typer.BadParameter(f"{text!r} is not NAME=DIR", param_hint="'--other'")
    return name.strip(), Path(folder)


def _summary(path: Path) -> dict[str, object]:
    from lowlight.study.studyfile import StudyFile

    with StudyFile(path) as opened:
        return {
            "study": str(path),
            "title": opened.fact("title"),
            "simulated": opened.simulated,
            "images": len(opened.images),
            "versions": [version.name for version in opened.versions.values() if version.shown],
            "readers": len(opened.readers),
            "items": opened.value("SELECT count(*) FROM item"),
            "answers": opened.value("SELECT count(*) FROM answer WHERE undone IS NULL"),
        }


def _described(summary: dict[str, object]) -> str:
    versions = summary["versions"]
    assert isinstance(versions, list)
    return (
        f"{summary['images']} images in {len(versions)} versions, {summary['items']} items for {summary['readers']} "
        "readers"
    )


def _tell(content: dict[str, object], as_json: bool, lines: list[str]) -> None:
    if as_json:
        from lowlight.cli.report import Report

        Report.print_json(content)
        return
    for line in lines:
        print(printable(line))
