"""`lowlight enhance`: dark images in, readable images out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from lowlight.cli.guarding import guarded
from lowlight.cli.options import Debug, Device, Inputs, Json, Modality, Output, ValueRange, strength


@guarded
def enhance(
    *,
    paths: Inputs,
    output: Output,
    brightness: Annotated[
        float | None, strength(1.5, "0 keeps the exposure, 1 is the network's own guess. Default: 1.")
    ] = None,
    denoise: Annotated[
        float | None, strength(1, "0 keeps noise and detail as they are, 1 removes all. Default: 1.")
    ] = None,
    modality: Annotated[
        Modality | None,
        typer.Option(
            help="Kind of image; recorded in the report. Strengths may differ by modality in the bundle's "
            "inference.yaml. Default: what the file says, if it does."
        ),
    ] = None,
    value_range: ValueRange = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make dark, noisy, blurred or JPEG-damaged images readable.

    Results have the kind, depth and geometry of their sources (a JPEG comes out as PNG). Sources are never changed.
    """
    from lowlight.cli.batch import Batch, Outcome, Work, plan
    from lowlight.cli.report import Report
    from lowlight.imaging import Found, MedicalImage

    def prepare() -> Work:
        from lowlight import Enhancer

        enhancer = Enhancer(device=device)

        def work(image: MedicalImage, found: Found, progress: Callable[[int, int], None]) -> Outcome:
            result = enhancer(
                image.pixels,
                brightness=brightness,
                denoise=denoise,
                modality=modality or image.modality,
                value_range=image.value_range,
                frames=image.frames,
                progress=progress,
            )
            return Outcome(result.image, result.derivation, result.report)

        return work

    the_plan = plan(paths, output)
    report = Report("enhancing", "enhanced", len(the_plan.jobs), as_json)
    raise typer.Exit(Batch(the_plan, report, debug).run(prepare, "loading the network", value_range))
