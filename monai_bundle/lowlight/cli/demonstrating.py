"""`lowlight demo`: the first thing a new user runs."""

from __future__ import annotations

import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lowlight.cli.guarding import guarded
from lowlight.cli.options import Debug, Device, Json


class ExampleImage(StrEnum):
    """Which image: `lowlight.enhance.demo.EXAMPLES`, named here because loading those takes seconds."""

    RETINA = "retina"
    ULTRASOUND = "ultrasound"


@guarded
def demo(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", readable=False, help="The picture to write, PNG.")
    ] = Path("lowlight-demo.png"),
    image: Annotated[ExampleImage, typer.Option(help="The real image to darken.")] = ExampleImage.RETINA,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Darken a real image, enhance it, and show both beside the truth. Needs no network and no data.

    The image comes with an installed package; the network that ships with LowLightEnhance was not trained on it.
    """
    from lowlight.cli.report import Report

    if output.suffix.lower() != ".png":
        raise typer.BadParameter(f"{output} has to end in .png", param_hint="'-o'")
    report = Report("loading the network", "shown", 1, as_json)
    with report:
        from lowlight import Enhancer
        from lowlight.enhance.demo import EXAMPLES, SEVERITY, demonstrate

        enhancer = Enhancer(device=device)
        started = time.monotonic()
        shown = demonstrate(output, image.value, enhancer)
        seconds = time.monotonic() - started
    before, after = shown.before, shown.after
    parameters = {"image": image, "severity": SEVERITY, "seed": EXAMPLES[image].seed, "degradation": shown.degradation}
    measures = {"before": asdict(before), "after": asdict(after)}
    report.done(Path(EXAMPLES[image].resource), shown.picture, seconds, parameters, measures)
    if as_json:
        report.close()
        return
    report.tell(f"A real image, darkened: {shown.origin}")
    report.tell(f"  dark      PSNR {before.psnr:5.2f} dB   SSIM {before.ssim:.3f}")
    report.tell(f"  enhanced  PSNR {after.psnr:5.2f} dB   SSIM {after.ssim:.3f}   ({seconds:.1f} s)")
    report.tell(f"The picture, with the truth beside it: {shown.picture.resolve()}")
