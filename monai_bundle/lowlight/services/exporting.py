"""The request `export`: derived DICOM files from source files and what the network made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance import Enhancer, Result
from lowlight.enhance.loading import ENGINES
from lowlight.errors import InputError, LowLightError, NotAnImageError, StoppedError
from lowlight.imaging import Found, MedicalImage, isolation, write
from lowlight.imaging.dicom_series import arrange, can_be_joined, joined
from lowlight.imaging.filetype import identify
from lowlight.imaging.label import burn_label
from lowlight.imaging.limits import DEFAULT, DicomReading
from lowlight.imaging.processing import Processing
from lowlight.services.engines import Engines
from lowlight.services.enhancing import LARGEST_BRIGHTNESS, LARGEST_DENOISE, TONES
from lowlight.services.failures import Failure, failure_of
from lowlight.services.job import Job
from lowlight.services.kept import Enhanced, Shelf
from lowlight.services.matching import Slices
from lowlight.services.requests import Request

COMPRESSIONS = ("jpeg2000", "jpegls", "rle")


@dataclass(frozen=True)
class Wishes:
    """What is to be exported, and how."""

    sources: list[Path]
    folder: Path
    brightness: float | None
    denoise: float | None
    value_range: tuple[float, float] | None
    modality: str | None
    tone: str | None
    force: bool
    engine: str | None
    device: str | None
    any_modality: bool
    label: bool
    compress: str | None

    @classmethod
    def of(cls, request: Request) -> Wishes:
        """From a request.

        Raises:
            Failure: a field is wrong.
        """
        return cls(
            sources=request.paths("sources"),
            folder=request.path("folder"),
            brightness=request.strength("brightness", LARGEST_BRIGHTNESS),
            denoise=request.strength("denoise", LARGEST_DENOISE),
            value_range=request.pair("value_range"),
            modality=request.text("modality"),
            tone=request.one_of("tone", TONES),
            force=request.flag("force"),
            engine=request.one_of("engine", ENGINES),
            device=request.text("device"),
            any_modality=request.flag("any_modality"),
            label=request.flag("label"),
            compress=request.one_of("compress", COMPRESSIONS),
        )


def export(job: Job, engines: Engines, shelf: Shelf) -> dict[str, Any]:
    """Do the request and return its answer."""
    wishes, name = Wishes.of(job.request), job.request.text("result")
    exporting = _Export(job, wishes)
    try:
        if name is None:
            enhancer = engines.get(wishes.engine, wishes.device, lambda: job.tell("loading", 0, 0))
            exporting.anew(enhancer)
        else:
            exporting.kept(shelf.get(name))
    except StoppedError:
        files = [str(path) for path in exporting.written]
        raise Failure("cancelled", "Cancelled.", "", files=files) from None
    return {"type": "exported", "anew": name is None, **exporting.answer()}


class _Export:
    """One export: collects what was written and what was refused."""

    def __init__(self, job: Job, wishes: Wishes) -> None:
        self.job, self.wishes = job, wishes
        self.written: list[Path] = []
        self.created: list[Path] = []
        self.refused: list[tuple[Path, LowLightError]] = []
        self.warnings: list[str] = []

    def answer(self) -> dict[str, Any]:
        """What the client hears at the end.

        Raises:
            Failure: nothing could be written.
        """
        if not self.written and self.refused:
            raise failure_of(self.refused[0][1])
        refused = [{"source": str(path), "message": _told(error)} for path, error in self.refused]
        return {"files": [str(path) for path in self.written], "refused": refused, "warnings": self.warnings}

    def kept(self, enhanced: Enhanced) -> None:
        """Export what was enhanced, without the network."""
        model = enhanced.model
        brightness, denoise = enhanced.strengths(self.wishes.brightness, self.wishes.denoise)
        slices = Slices(enhanced)
        low, high = sorted(enhanced.results[0].value_range)
        items = [item for group in self._groups() for item in group]
        with self._interruptible():
            for done, item in enumerate(items):
                self.job.tell("writing", done, len(items))
                # A colour image has its own black and white.
                image = self._read(item, (low, high) if enhanced.grey else None)
                if image is None:
                    continue
                found = slices.find(image)
                if found is None:
                    self._take_back()
                    raise Failure(
                        "mismatch",
                        f"{item.path.name}: its pixels are not those that were enhanced; nothing was written.",
                        "Export the files enhanced anew, or enhance the volume as it was loaded.",
                    )
                # Slices that were left alone stay so; their own strengths say it.
                pixels = np.stack(
                    [
                        _blended(frame, *match, brightness, denoise)
                        for frame, match in zip(_frames(image), found, strict=True)
                    ]
                )
                left = all(result.unchanged for result, _, _ in found)
                derivation = found[0][0].derivation if left else model.derivation(brightness, denoise)
                wishes = {"brightness": f"{brightness:g}", "denoise": f"{denoise:g}", **model.recorded}
                processing = Processing(
                    derivation,
                    model.name,
                    model.weights_sha256,
                    wishes,
                    denoised=not left and denoise > 0,
                    brightened=not left and brightness > 0,
                )
                self._write(item, image, pixels if image.frames else pixels[0], processing)

    def anew(self, enhancer: Enhancer) -> None:
        """Enhance the files themselves, as they are shown, and write the results."""
        groups = self._groups()
        if self.wishes.tone == "shared" and groups:
            groups = [tuple(item for group in groups for item in group)]
        count, done = sum(map(len, groups)), 0
        with self._interruptible():
            for group in groups:
                read: list[tuple[Found, MedicalImage]] = []
                for item in group:
                    self.job.tell("reading", done + len(read), count)
                    image = self._read(item, self.wishes.value_range)
                    if image is not None:
                        read.append((item, image))
                alike = len(read) > 1 and can_be_joined([image for _, image in read])
                together = alike and self.wishes.tone != "own"
                for part in [read] if together else [[one] for one in read]:
                    self._enhance(enhancer, part, done, count)
                    done += len(part)
                done += len(group) - len(read)

    def _enhance(self, enhancer: Enhancer, part: Sequence[tuple[Found, MedicalImage]], done: int, count: int) -> None:
        # Files that are done one by one are counted; of frames that are done together each is told.
        self.job.slices = (done, count) if len(part) == 1 < count else None
        try:
            image = joined([image for _, image in part]) if len(part) > 1 else part[0][1]
            results = self._enhanced(enhancer, image)
        except InputError as error:
            self.refused += [(item.path, InputError(item.path, error.fault, error.remedy)) for item, _ in part]
            return
        finally:
            self.job.slices = None
        wishes = {"brightness": self.wishes.brightness, "denoise": self.wishes.denoise}
        given = {name: str(value) for name, value in wishes.items() if value is not None}
        if self.wishes.force:
            given["force"] = "True"
        model = enhancer.model
        given |= model.recorded
        # Frames that were left alone among others are not what the file's description is about.
        telling = next((result for result in results if not result.unchanged), results[0])
        made = Processing(
            telling.derivation,
            model.name,
            model.weights_sha256,
            given,
            denoised=telling.denoise > 0,
            brightened=telling.brightness > 0,
        )
        enhanced = results[0].image if len(results) == 1 else np.stack([result.image for result in results])
        for (item, single), pixels in zip(part, enhanced if len(part) > 1 else [enhanced], strict=True):
            self.job.tell("writing", done, count)
            self._write(item, single, pixels, made)
            done += 1

    def _enhanced(self, enhancer: Enhancer, image: MedicalImage) -> list[Result]:
        """One result; of frames that have each a tone of its own, one a frame."""
        wishes = self.wishes
        options: dict[str, Any] = {
            "brightness": wishes.brightness,
            "denoise": wishes.denoise,
            "modality": wishes.modality or image.modality,
            "value_range": image.value_range,
            "force": wishes.force,
            "tables": image.quantisation,
            "watch": self.job.watch,
        }
        if not image.frames or wishes.tone != "own":
            return [enhancer(image.pixels, frames=image.frames, valid=image.valid, **options)]
        shown = [None] * len(image.pixels) if image.valid is None else image.valid
        return [enhancer(frame, valid=valid, **options) for frame, valid in zip(image.pixels, shown, strict=True)]

    def _groups(self) -> list[tuple[Found, ...]]:
        found = [Found(path, Path(path.name), explicit=True) for path in self.wishes.sources]
        with self._interruptible():
            return arrange(found, DEFAULT, hashed=True)

    def _read(self, item: Found, value_range: tuple[float, float] | None) -> MedicalImage | None:
        reading = DicomReading(any_modality=self.wishes.any_modality)
        try:
            if item.fault is None and identify(item.path) != "dicom":
                raise InputError(item.path, "is no DICOM file", "export DICOM alone")
            return item.read(value_range, reading)
        except NotAnImageError as error:
            # What lies beside images (a directory of a medium, a copy) costs nothing.
            if not error.beside_images:
                self.refused.append((item.path, error))
        except LowLightError as error:
            self.job.watch.check()
            self.refused.append((item.path, error))
        return None

    def _write(self, item: Found, image: MedicalImage, pixels: NDArray[Any], processing: Processing) -> None:
        if self.wishes.label and processing.enhanced:
            pixels = burn_label(pixels, image.value_range, image.frames, image.valid)
            processing = replace(processing, parameters={**processing.parameters, "label": "True"})
        target = self.wishes.folder / item.relative
        new = not target.exists()
        write(image, pixels, target, derivation=processing, compress=self.wishes.compress)
        self.written.append(target)
        if new:
            self.created.append(target)

    def _take_back(self) -> None:
        """Remove what this export wrote: half of a series that does not belong together helps nobody."""
        for path in self.created:
            with suppress(OSError):
                path.unlink()
            with suppress(OSError):
                path.parent.rmdir()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Cancelling ends the decoding of a file, too."""
        with self.job.watch.ended_by(isolation.interrupt):
            yield


def _frames(image: MedicalImage) -> NDArray[Any]:
    return image.pixels if image.frames else image.pixels[None]


def _blended(
    frame: NDArray[Any],
    result: Result,
    prediction: Any,
    mask: NDArray[np.bool_] | None,
    brightness: float,
    denoise: float,
) -> NDArray[Any]:
    """A frame of a file at given strengths; one whose slice was left alone stays as it is."""
    strengths = (0.0, 0.0) if result.unchanged else (brightness, denoise)
    return Result(frame, (0.0, 1.0), *strengths, frames=False, predictions=[prediction], mask=mask).image


def _told(error: LowLightError) -> str:
    failure = failure_of(error)
    return f"{failure.message} {failure.remedy}".strip()
