"""`lowlight enhance`: dark images in, readable images out."""

from __future__ import annotations

import webbrowser
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowlight.batch.text import printable
from lowlight.cli.guarding import guarded
from lowlight.cli.loading import Wanted, loading, when_loaded
from lowlight.cli.options import (
    FLAG,
    AnyModality,
    ClusterAddress,
    Compression,
    Debug,
    Device,
    EngineName,
    Inputs,
    Json,
    LimitWishes,
    MaxMemory,
    Modality,
    NamedAsInputs,
    NetworkSize,
    Output,
    RunningEngine,
    Size,
    ValueRange,
    Window,
    dicom_reading,
    memory_of,
    strength,
)

if TYPE_CHECKING:
    from lowlight.batch.enhancing import ImageEnhancer
    from lowlight.cli.report import Report
    from lowlight.enhance import Result
    from lowlight.imaging import Found
    from lowlight.reports import EnhancedPage
    from lowlight.services.preview import Preview


@guarded
def enhance(
    *,
    paths: Inputs,
    output: Output,
    brightness: Annotated[
        float | None,
        strength(1.5, "0 keeps the exposure, 1 is the network's own guess. Default: the modality's, 1 if none is set."),
    ] = None,
    denoise: Annotated[
        float | None,
        strength(1, "0 keeps noise and detail as they are, 1 removes all. Default: the modality's, 1 if none is set."),
    ] = None,
    modality: Annotated[
        Modality | None,
        typer.Option(
            help="Kind of image; recorded in the report. Default strengths may differ by modality: the bundle's "
            "inference.yaml has them, and over them lies what `lowlight study calibrate` found. Default: what the file "
            "says, if it does."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", metavar=FLAG, help="Enhance images that are judged undamaged, too.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            readable=False,
            help="Also write a page that shows each image before and after, and what changed, as a .html file.",
        ),
    ] = None,
    value_range: ValueRange = None,
    window: Window = 1,
    any_modality: AnyModality = False,
    compress: Annotated[
        Compression | None,
        typer.Option(help="DICOM: compress the results, without loss. Default: Explicit VR Little Endian."),
    ] = None,
    label: Annotated[
        bool,
        typer.Option(
            "--label",
            metavar=FLAG,
            help="Burn a visible mark into a corner of what was enhanced, outside the anatomy if possible.",
        ),
    ] = False,
    named_as_inputs: NamedAsInputs = False,
    lossless: Annotated[
        bool,
        typer.Option(
            "--lossless",
            metavar=FLAG,
            help="Films: compress the results without loss (FFV1), for work on them; few players show it. Default: "
            "H.264 of high quality, in .avi Motion JPEG.",
        ),
    ] = False,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            metavar=FLAG,
            help="Show images and frames before and after while they are made, in the browser of this machine.",
        ),
    ] = False,
    limits: LimitWishes = None,
    max_memory: MaxMemory = None,
    size: NetworkSize = Size.DEFAULT,
    engine: RunningEngine = EngineName.AUTO,
    device: Device = "auto",
    cluster: ClusterAddress = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make dark, noisy, blurred or JPEG-damaged images and films readable.

    Results have the kind, depth and geometry of their sources (a JPEG comes out as PNG). Sources are never changed. An
    image that is judged undamaged comes out as it is, and a line says so. Films (MP4, MOV, MKV, WebM, AVI; extra
    "video") keep their frames' times and their sound, do not flicker, and come out as .mp4, .mkv or .avi.
    """
    memory = memory_of(max_memory)
    early = loading(Wanted(device, engine.value, memory, size.value)) if cluster is None else None

    from lowlight.batch.doing import Work
    from lowlight.batch.enhancing import ImageEnhancer, Wishes
    from lowlight.cli.batch import Batch, plan
    from lowlight.cli.clips import Clips, ClipWishes
    from lowlight.cli.outputs import PAGE, check_output, known_as, without_outputs
    from lowlight.cli.report import Report

    check_output(page, PAGE, "--report")
    if preview and cluster is not None:
        raise typer.BadParameter("a preview shows what this process makes, not what others do", param_hint="--preview")
    reading = dicom_reading(window, any_modality, limits)
    planned = plan(paths, output, reading, named_as_inputs)
    inputs = without_outputs([job.found for job in planned.jobs], [page])
    the_plan = planned.only(item.path for item in inputs)
    report = Report("enhancing", "enhanced", len(the_plan.jobs), as_json)
    names = known_as(inputs)
    wishes = Wishes(
        brightness,
        denoise,
        None if modality is None else modality.value,
        force,
        label,
        device,
        memory,
        reports=as_json,
        pictures=None if page is None else len(inputs),
        size=size.value,
        engine=engine.value,
    )

    with ExitStack() as stack:
        drawn = None if page is None else stack.enter_context(_page(len(inputs)))
        watched = stack.enter_context(_preview(report)) if preview else None
        if drawn is not None:
            report.show_card = drawn.add

        @cache
        def loaded() -> ImageEnhancer:
            enhancer = ImageEnhancer(wishes, enhancer=None if early is None else when_loaded(early))
            for line in enhancer.outdated:
                report.note(line)
            return enhancer

        def seen(found: Found, result: Result) -> None:
            if watched is not None:
                watched.show(result.source, result.image, result.value_range, printable(found.path.name))

        def prepare() -> Work:
            return loaded().work(names, seen)

        def finish() -> None:
            if drawn is not None and page is not None and drawn.rows:
                drawn.write(page, report.left_out)

        clip_wishes = ClipWishes(
            brightness,
            denoise,
            modality,
            force=force,
            value_range=value_range,
            label=label,
            lossless=lossless,
            named=named_as_inputs,
            limits=reading.limits,
            pictures=wishes.pictures,
        )
        clips = Clips(clip_wishes, lambda: loaded().enhancer, report, watched, names)
        batch = Batch(the_plan, report, debug, reading, compress, clips)
        if cluster is None:
            code = batch.run(prepare, "loading the network", value_range, finish)
        else:
            from lowlight.cli.spreading import spread_over

            spread = spread_over(cluster, wishes, batch, value_range, names if page else {})
            code = batch.run_elsewhere(spread, finish)
        raise typer.Exit(code)


def _preview(report: Report) -> Preview:
    """The page, with the browser opened on it."""
    from lowlight.services.preview import Preview

    preview = Preview()
    if report.as_json:
        report.print_json({"preview": preview.link})
    report.note(f"preview: {preview.link}")
    webbrowser.open(preview.link)
    return preview


def _page(expected: int) -> EnhancedPage:
    from lowlight.reports import EnhancedPage

    return EnhancedPage(expected)
