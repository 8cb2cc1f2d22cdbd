"""`lowlight simulate`: clean images in, low-light observations of them out, the same ones every time."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlight.cli.guarding import guarded
from lowlight.cli.options import Debug, Inputs, Json, Modality, Output, ValueRange

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lowlight.batch.doing import Work
    from lowlight.degradation import Observation
    from lowlight.imaging import Found, MedicalImage


class Severity(StrEnum):
    """How dark and damaged: `lowlight.degradation.SEVERITIES`."""

    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"


@guarded
def simulate(
    *,
    paths: Inputs,
    output: Output,
    severity: Annotated[Severity, typer.Option(help="How dark and damaged.")] = Severity.MEDIUM,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Another number gives other images; the same, the same.")
    ] = 1,
    modality: Annotated[
        Modality | None,
        typer.Option(
            help="Kind of image, whose own preset is drawn from. Without, the ranges that all kinds share are mixed "
            "with those of the kind that the file names, or of any."
        ),
    ] = None,
    value_range: ValueRange = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Darken and damage clean images the way low light does: for tests, training and teaching.

    What happens to an image depends on the seed and on its name below the folder that was named. Each line says what
    was done: the severity, the preset whose ranges were drawn from, and every step. With --json it can be replayed
    exactly (lowlight.degradation.replay).
    """
    from lowlight.batch.doing import Outcome
    from lowlight.cli.batch import Batch, plan
    from lowlight.cli.report import Report

    def prepare() -> Work:
        import numpy as np

        from lowlight.degradation import LowLight
        from lowlight.degradation.presets import MODALITY_SHARE

        def work(image: MedicalImage, found: Found, progress: Callable[[int, int], None]) -> Outcome:
            kind = modality or image.modality
            share = MODALITY_SHARE if modality is None else 1.0
            transform = LowLight(severity.value, kind, modality_share=share)
            observation = transform.draw(np.random.RandomState(file_seed(seed, found.relative)))
            pixels = darken(image, observation, progress)
            parameters = {"severity": severity, "seed": seed, "modality": kind, "record": [observation.record()]}
            done = described(observation)
            return Outcome(pixels, f"Simulated low light, for tests: {done}", parameters, f"{found.path}: {done}")

        return work

    the_plan = plan(paths, output)
    report = Report("darkening", "darkened", len(the_plan.jobs), as_json)
    raise typer.Exit(Batch(the_plan, report, debug).run(prepare, "loading the transforms", value_range))


def described(observation: Observation) -> str:
    """What was drawn, in one line: how severe, from whose ranges, and each step with its parameters."""
    steps = " -> ".join(step.describe() for step in observation.steps)
    return f"severity {observation.severity}, ranges {observation.profile}: {steps}"


def file_seed(seed: int, relative: Path) -> int:
    """The random seed of one file, in [0, 2^32): the same on every machine, whatever else is in the batch."""
    digest = hashlib.sha256(f"{seed} {relative.as_posix()}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big")


def darken(
    image: MedicalImage, observation: Observation, progress: Callable[[int, int], None]
) -> NDArray[np.floating[Any]]:
    """The observation of an image, in the units of its pixels.

    All frames are exposed alike; frame k has noise of its own, from the recorded seeds plus k.
    """
    import numpy as np

    black, white = image.value_range
    frames = image.normalised() if image.frames else image.normalised()[None]
    dark = np.empty_like(frames)
    for index, frame in enumerate(frames):
        planes = np.clip(frame[None] if frame.ndim == 2 else np.moveaxis(frame, -1, 0), 0, 1)
        observed = _reseeded(observation, index)(planes)
        dark[index] = observed[0] if frame.ndim == 2 else np.moveaxis(observed, 0, -1)
        progress(index + 1, len(frames))
    # Double: 32-bit integers and Hounsfield-like ranges have more levels than a float32.
    stored = black + dark.astype(np.float64) * (white - black)
    return stored if image.frames else stored[0]


def _reseeded(observation: Observation, offset: int) -> Observation:
    steps = (
        dataclasses.replace(step, seed=(step.seed + offset) % 2**32) if hasattr(step, "seed") else step
        for step in observation.steps
    )
    return dataclasses.replace(observation, steps=tuple(steps))
