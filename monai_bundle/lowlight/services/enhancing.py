"""The request `enhance`: an array in, an enhanced array out."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance import Enhancer
from lowlight.enhance.loading import ENGINES
from lowlight.enhance.pixels import check_image, resolve_range
from lowlight.errors import InputError
from lowlight.services.engines import Engines
from lowlight.services.failures import bad_request, unsuitable
from lowlight.services.folder import PrivateFolder
from lowlight.services.job import Job
from lowlight.services.kept import MAPS, Enhanced, Map, Shelf
from lowlight.services.requests import Request

LARGEST_BRIGHTNESS, LARGEST_DENOISE = 1.5, 1.0
TONES = ("shared", "own")
LEAST_SHARE = 0.1
"""An image that spans less of an undeclared range than this is told of."""
MOST_BEYOND = 0.05
"""So is one that has a larger share than this beyond black and white."""

_ENOUGH = 2_000_000
"""More pixels than this do not make a percentile better."""

IN_TILES = "There was not enough memory: it was done again on the processor in small tiles, which takes longer."


@dataclass(frozen=True)
class Wishes:
    """How an array is to be enhanced."""

    stack: bool
    own_tones: bool
    brightness: float | None
    denoise: float | None
    modality: str | None
    value_range: tuple[float, float] | None
    force: bool
    engine: str | None
    device: str | None
    maps: list[Map]
    report: bool
    keep: bool

    @classmethod
    def of(cls, request: Request) -> Wishes:
        """From a request.

        Raises:
            Failure: a field is wrong.
        """
        return cls(
            stack=request.flag("frames"),
            own_tones=request.one_of("tone", TONES, "shared") == "own" and request.flag("frames"),
            brightness=request.strength("brightness", LARGEST_BRIGHTNESS),
            denoise=request.strength("denoise", LARGEST_DENOISE),
            modality=request.text("modality"),
            value_range=request.pair("value_range"),
            force=request.flag("force"),
            engine=request.one_of("engine", ENGINES),
            device=request.text("device"),
            maps=request.some_of("maps", MAPS),  # type: ignore[arg-type]
            report=request.flag("report"),
            keep=request.flag("keep", True),
        )


@dataclass(frozen=True)
class Given:
    """The arrays of a request."""

    image: NDArray[Any]
    mask: NDArray[np.bool_] | None
    valid: NDArray[np.bool_] | None

    @classmethod
    def of(cls, request: Request, folder: PrivateFolder) -> Given:
        """Take them from the folder."""
        image = folder.take(request.needed("array"), "image")
        masks: dict[str, NDArray[np.bool_] | None] = {"mask": None, "valid": None}
        for name in masks:
            file = request.text(name)
            if file is not None:
                array = folder.take(file, name)
                if array.dtype != bool:
                    raise bad_request(f"The {name} is of type {array.dtype}, not bool.")
                masks[name] = array
        return cls(image, **masks)


def enhance(job: Job, engines: Engines, folder: PrivateFolder, shelf: Shelf) -> dict[str, Any]:
    """Do the request and return its answer."""
    wishes = Wishes.of(job.request)
    enhancer = engines.get(wishes.engine, wishes.device, lambda: job.tell("loading", 0, 0))
    job.tell("reading", 0, 1)
    given = Given.of(job.request, folder)
    try:
        check_image(given.image, wishes.stack)
        black_white = resolve_range(given.image, wishes.value_range)
        warnings = range_warnings(given.image, black_white, wishes.value_range is not None)
        dropped: list[str] = []
        try:
            enhanced = _run(job, enhancer, given, wishes)
        except MemoryError:
            enhanced = None
        if enhanced is None:
            # Outside of the handler: what ran out of memory still held what it had.
            del enhancer
            dropped = shelf.clear()
            enhancer = engines.frugal()
            gc.collect()
            enhanced = _run(job, enhancer, given, wishes)
            warnings.append(IN_TILES)
    except InputError as error:
        raise unsuitable(error) from error
    answer = _answer(job, enhancer, enhanced, wishes, folder)
    if wishes.keep:
        name, more = shelf.keep(enhanced.slimmed())
        answer["result"], dropped = name, dropped + more
    return {**answer, "value_range": list(black_white), "dropped": dropped, "warnings": warnings}


def _run(job: Job, enhancer: Enhancer, given: Given, wishes: Wishes) -> Enhanced:
    options: dict[str, Any] = {
        "brightness": wishes.brightness,
        "denoise": wishes.denoise,
        "modality": wishes.modality,
        "value_range": wishes.value_range,
        "mask": given.mask,
        "force": wishes.force,
        "watch": job.watch,
    }
    strength = enhancer.strength(wishes.modality, wishes.brightness, wishes.denoise)
    if not wishes.own_tones:
        result = enhancer(given.image, frames=wishes.stack, valid=given.valid, **options)
        return Enhanced((result,), wishes.stack, model=enhancer.model, **strength)
    results, count = [], len(given.image)
    if given.valid is not None and given.valid.shape != given.image.shape[:3]:
        raise InputError("valid", f"its shape is {given.valid.shape}", "it must be the image's, without channels")
    try:
        for number, image in enumerate(given.image):
            job.slices = (number, count)
            valid = None if given.valid is None else given.valid[number]
            results.append(enhancer(image, valid=valid, **options).slimmed())
    finally:
        job.slices = None
    job.tell("enhancing", count, count)
    return Enhanced(tuple(results), True, model=enhancer.model, **strength)


def _answer(job: Job, enhancer: Enhancer, enhanced: Enhanced, wishes: Wishes, folder: PrivateFolder) -> dict[str, Any]:
    results = enhanced.results
    left = [number for number, result in enumerate(results) if result.unchanged]
    unchanged = len(left) == len(results)
    errors = [result.facts["expected_error"] for result in results if result.facts["expected_error"] is not None]
    fields: dict[str, Any] = {}
    if wishes.report:
        job.tell("reporting", 0, 1)
        fields["report"] = enhanced.report(enhanced.brightness, enhanced.denoise)
    job.tell("writing", 0, 1 + len(wishes.maps))
    written: list[str] = []
    try:
        written.append(folder.give(enhanced.image, "image"))
        maps = {}
        for name in wishes.maps:
            maps[name] = folder.give(enhanced.map(name), name)
            written.append(maps[name])
        job.watch.check()
    except BaseException:
        folder.discard(written)
        raise
    if wishes.maps:
        fields["maps"] = maps
    if enhanced.own_tones:
        fields["unchanged_slices"] = left
    return {
        "type": "result",
        "result": None,
        "image": written[0],
        "undamaged": all(result.undamaged for result in results),
        "unchanged": unchanged,
        "reason": results[0].why_unchanged if unchanged else "",
        "brightness": enhanced.brightness,
        "denoise": enhanced.denoise,
        "size": enhancer.model.size,
        "engine": enhancer.engine.name,
        "device": enhancer.engine.device,
        "seconds": job.seconds,
        "expected_error": sum(errors) / len(errors) if errors else None,
        **fields,
    }


def range_warnings(image: NDArray[Any], value_range: tuple[float, float], declared: bool) -> list[str]:
    """What makes a result come out flat, because black and white are not those of the image: sentences for people."""
    pixels = image.reshape(-1)
    pixels = pixels[:: 1 + pixels.size // _ENOUGH]
    black, white = sorted(value_range)
    if not declared:
        low, high = (float(end) for end in np.percentile(pixels.astype(np.float64), (0.5, 99.5)))
        if image.dtype.kind not in "iu" or image.dtype.itemsize < 2 or high - low >= LEAST_SHARE * (white - black):
            return []
        share = 100 * (high - low) / (white - black)
        return [
            f"The image uses only {share:.1f} % of the range of its {8 * image.dtype.itemsize}-bit values "
            f"({low:g} to {high:g}). If black and white are known, state them."
        ]
    beyond = float(np.mean((pixels < black) | (pixels > white)))
    if beyond <= MOST_BEYOND:
        return []
    return [f"{100 * beyond:.0f} % of the image lie beyond black ({value_range[0]:g}) and white ({value_range[1]:g})."]
