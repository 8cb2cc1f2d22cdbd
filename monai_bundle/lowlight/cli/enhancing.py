"""`lowlight enhance`: dark images in, readable images out."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowlight.cli.guarding import guarded
from lowlight.cli.options import (
    FLAG,
    AnyModality,
    Compression,
    Debug,
    Device,
    Inputs,
    Json,
    LimitWishes,
    MaxMemory,
    Modality,
    NamedAsInputs,
    Output,
    ValueRange,
    Window,
    dicom_reading,
    memory_of,
    strength,
)
from lowlight.cli.text import described, printable

if TYPE_CHECKING:
    from lowlight.cli.report import Report
    from lowlight.enhance import Enhancer, Result
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
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make dark, noisy, blurred or JPEG-damaged images and films readable.

    Results have the kind, depth and geometry of their sources (a JPEG comes out as PNG). Sources are never changed. An
    image that is judged undamaged comes out as it is, and a line says so. Films (MP4, MOV, MKV, WebM, AVI; extra
    "video") keep their frames' times and their sound, do not flicker, and come out as .mp4, .mkv or .avi.
    """
    from lowlight.cli.batch import Batch, Outcome, Work, plan
    from lowlight.cli.clips import Clips, ClipWishes
    from lowlight.cli.outputs import PAGE, check_output, known_as, without_outputs
    from lowlight.cli.report import Report
    from lowlight.imaging import Found, MedicalImage
    from lowlight.imaging.label import burn_label
    from lowlight.imaging.processing import Processing

    check_output(page, PAGE, "--report")
    reading = dicom_reading(window, any_modality, limits)
    planned = plan(paths, output, reading, named_as_inputs)
    inputs = without_outputs([job.found for job in planned.jobs], [page])
    the_plan = planned.only(item.path for item in inputs)
    report = Report("enhancing", "enhanced", len(the_plan.jobs), as_json)
    names = known_as(inputs)
    wishes = {"brightness": brightness, "denoise": denoise, "force": force or None, "label": label or None}

    with ExitStack() as stack:
        drawn = None if page is None else stack.enter_context(_page(len(inputs)))
        watched = stack.enter_context(_preview(report)) if preview else None

        @cache
        def loaded() -> Enhancer:
            from lowlight import Enhancer

            enhancer = Enhancer(device=device, max_memory=memory_of(max_memory))
            for kind in enhancer.outdated:
                report.note(f"settings for {kind} were found with other weights and do not count: calibrate again")
            return enhancer

        def prepare() -> Work:
            enhancer = loaded()

            def work(image: MedicalImage, found: Found, progress: Callable[[int, int], None]) -> Outcome:
                result = enhancer(
                    image.pixels,
                    brightness=brightness,
                    denoise=denoise,
                    modality=modality or image.modality,
                    value_range=image.value_range,
                    frames=image.frames,
                    progress=progress,
                    force=force,
                    valid=image.valid,
                    tables=image.quantisation,
                )
                line = _told(found.path, result) if result.unchanged else ""
                if watched is not None:
                    shown = result.frame(len(image.pixels) // 2) if image.frames else result
                    watched.show(shown.source, shown.image, shown.value_range, printable(found.path.name))
                written = None if drawn is None else drawn.prepare(names[found.path], described(image), result)
                # Judging the result takes time: people without a page are not told of it.
                parameters = result.report if as_json else {}
                processing = Processing(
                    result.derivation,
                    result.facts["model"],
                    result.facts["weights_sha256"],
                    {name: str(value) for name, value in wishes.items() if value is not None},
                    denoised=result.denoise > 0,
                    brightened=result.brightness > 0,
                )
                made = result.image
                if label and processing.enhanced:
                    made = burn_label(made, image.value_range, image.frames, image.valid)
                return Outcome(made, processing, parameters, line, written, result.unchanged)

            return work

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
        )
        clips = Clips(clip_wishes, loaded, report, watched, drawn, names)
        batch = Batch(the_plan, report, debug, reading, compress, clips)
        raise typer.Exit(batch.run(prepare, "loading the network", value_range, finish))


def _told(path: Path, result: Result) -> str:
    """The line about an image that was left alone, and why it was in spite of what is rated."""
    if result.judged is None or not result.undamaged:
        return f"{path}: {result.why_unchanged}"
    from lowlight.reports import reassurance

    return f"{path}: {result.why_unchanged}. {reassurance(result.judged.artifacts.as_dict())}".removesuffix(". ")


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
