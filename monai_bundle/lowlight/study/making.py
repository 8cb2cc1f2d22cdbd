"""From images to a study file: every version of every image drawn once, and every reader's items planned."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lowlight import __version__
from lowlight.bundle import file_sha256
from lowlight.errors import InputError, StudyError
from lowlight.imaging import Found, MedicalImage, atomic_path, read
from lowlight.imaging.dicom_series import can_be_joined, joined
from lowlight.imaging.limits import DicomReading
from lowlight.imaging.reading import DEFAULT_READING
from lowlight.study import planning
from lowlight.study.studyfile import UNKNOWN, StudyFile

if TYPE_CHECKING:
    from lowlight.enhance import Enhancer

MOST_READERS = 200
_EIGHT_BITS = 255


@dataclass(frozen=True)
class Design:
    """What is compared, by whom.

    Attributes:
        tasks: "pair", "rating" or both.
        strengths: (brightness, denoise) of each enhanced version.
        original: compare the image as it was, too. It is kept in the file either way.
        others: by the name of a method, the folder with its results, named as the images are.
        readers: how many; they are called R1, R2, ...
        items: questions to each reader of each task, all readers the same; None: all that there are.
        repeats: share of the questions that come twice, for readers' consistency.
        seed: of which questions are asked, their order and their sides.
        title: shown to readers and on the report.
    """

    tasks: Sequence[str]
    strengths: Sequence[tuple[float, float]]
    original: bool = True
    others: dict[str, Path] = field(default_factory=dict)
    readers: int = 1
    items: int | None = None
    repeats: float = 0.1
    seed: int = 1
    title: str = "Reader study"

    def names(self) -> list[tuple[str, str, float | None, float | None, bool]]:
        """Name, kind, strengths and whether it is shown, of every version."""
        versions: list[tuple[str, str, float | None, float | None, bool]] = [
            ("original", "original", None, None, self.original)
        ]
        versions += [
            (f"brightness {brightness:g}, denoise {denoise:g}", "enhanced", brightness, denoise, True)
            for brightness, denoise in self.strengths
        ]
        return versions + [(name, "other", None, None, True) for name in self.others]


@dataclass(frozen=True)
class Case:
    """One image of the study: the files that it comes from (several for a DICOM series), and its kind if it is told."""

    files: tuple[Found, ...]
    modality: str | None = None


def make(
    path: Path,
    cases: Sequence[Case],
    design: Design,
    enhancer: Enhancer,
    progress: Callable[[int, int], None] | None = None,
    dicom: DicomReading = DEFAULT_READING,
) -> Path:
    """Make a study file; it appears whole or not at all.

    Of a series or an image with frames the middle one is shown, enhanced with the tone of all.

    Args:
        path: where to.
        cases: at least one.
        enhancer: makes the enhanced versions.
        progress: called with (images done, images in all).
        dicom: how DICOM is read.

    Raises:
        StudyError: the design leaves nothing to ask.
        InputError: an image cannot be read, or another method's result is missing or does not fit.
        OutputError: the file cannot be written.
    """
    _check(path, cases, design)
    facts = {
        "title": design.title,
        "seed": str(design.seed),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": f"LowLightEnhance {__version__}",
        "model": enhancer.model.name,
        "weights_sha256": enhancer.model.weights_sha256,
        "simulated": "0",
    }
    with atomic_path(path) as temporary, StudyFile.create(temporary, facts) as study:
        versions = design.names()
        with study.changing() as change:
            change.executemany(
                "INSERT INTO version (name, kind, brightness, denoise, shown) VALUES (?, ?, ?, ?, ?)", versions
            )
        for number, case in enumerate(cases, 1):
            _add_image(study, number, case, design, enhancer, dicom)
            if progress is not None:
                progress(number, len(cases))
        _add_items(study, design, len(cases))
        # The file that gets its name must hold everything itself.
        study.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        study.rows("PRAGMA journal_mode = DELETE")
    return path


def _check(path: Path, cases: Sequence[Case], design: Design) -> None:
    shown = [version for version in design.names() if version[4]]
    if not cases:
        raise StudyError(path, "there is no image to make it from", "name images, or folders that hold some")
    if len({version[0] for version in design.names()}) < len(design.names()):
        raise StudyError(path, "two versions have the same name", "name each strength and each method once")
    if "pair" in design.tasks and len(shown) < 2:
        raise StudyError(path, "pairs need at least two versions", "name more strengths, or keep the original")
    if not shown:
        raise StudyError(path, "there is no version to grade", "name a strength, or keep the original")
    if not 1 <= design.readers <= MOST_READERS:
        raise StudyError(path, f"{design.readers} readers", f"give 1 to {MOST_READERS}")
    if design.items is not None and design.items < 1:
        raise StudyError(path, "readers would be asked nothing", "ask at least 1 item")


def _add_image(
    study: StudyFile, number: int, case: Case, design: Design, enhancer: Enhancer, dicom: DicomReading
) -> None:
    found = [file.read(dicom=dicom) for file in case.files]
    image = joined(found) if len(found) > 1 and can_be_joined(found) else found[len(found) // 2]
    middle = len(image.pixels) // 2 if image.frames else None
    source = case.files[middle if len(found) > 1 and middle is not None else len(found) // 2]
    modality = case.modality or image.modality
    original = _shown(image, image.pixels, middle)
    pictures = [_png(original)]
    if design.strengths:
        result = enhancer(
            image.pixels,
            *design.strengths[0],
            modality=modality,
            value_range=image.value_range,
            frames=image.frames,
            valid=image.valid,
            force=True,
        )
        pictures += [_png(_shown(image, result.blend(*strength), middle)) for strength in design.strengths]
    for folder in design.others.values():
        pictures.append(_png(_other(folder, source, original)))
    with study.changing() as change:
        # A file may be named after a patient: what is kept is its name below the folder that was named.
        row = (number, source.relative.as_posix(), file_sha256(source.path), modality or UNKNOWN)
        change.execute("INSERT INTO image VALUES (?, ?, ?, ?)", row)
        change.executemany(
            "INSERT INTO picture VALUES (?, ?, ?, ?)",
            [(number, version, hashlib.sha256(png).hexdigest(), png) for version, png in enumerate(pictures, 1)],
        )


def _other(folder: Path, source: Found, original: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    stem = folder / source.relative.with_suffix("")
    matches = sorted(stem.parent.glob(f"{_literal(stem.name)}.*")) if stem.parent.is_dir() else []
    if len(matches) != 1:
        fault = "has no result for" if not matches else "has several results for"
        raise InputError(folder, f"{fault} {source.relative}", "it must hold one file of the same name for each image")
    image = read(matches[0])
    shown = _shown(image, image.pixels, len(image.pixels) // 2 if image.frames else None)
    if shown.shape[:2] != original.shape[:2]:
        sizes = [f"{size[1]} x {size[0]}" for size in (shown.shape, original.shape)]
        raise InputError(matches[0], f"is {sizes[0]} pixels, its image {sizes[1]}", "results must keep the size")
    return shown


def _literal(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _shown(image: MedicalImage, pixels: NDArray, middle: int | None) -> NDArray[np.unsignedinteger]:
    """A frame as a screen shows it, uint8; grey of more than 8 bit as uint16, for viewers with a window."""
    display = dataclasses.replace(image, pixels=pixels).normalised()
    frame = np.clip(display if middle is None else display[middle], 0, 1)
    if frame.ndim == 2 and image.pixels.dtype.itemsize > 1:
        return np.rint(frame * 65535).astype(np.uint16)
    return np.rint(frame * _EIGHT_BITS).astype(np.uint8)


def _png(pixels: NDArray[np.unsignedinteger]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _add_items(study: StudyFile, design: Design, images: int) -> None:
    random = np.random.default_rng(design.seed)
    shown = [version.id for version in study.versions.values() if version.shown]
    asked = [
        question
        for task in sorted(set(design.tasks))
        for question in planning.selected(planning.questions(task, range(1, images + 1), shown), design.items, random)
    ]
    last = itertools.count(1)
    with study.changing() as change:
        for number, generator in enumerate(random.spawn(design.readers), 1):
            reader = f"R{number}"
            change.execute("INSERT INTO reader (id, simulated) VALUES (?, 0)", (reader,))
            items = planning.planned(asked, design.repeats, generator)
            ids = [next(last) for _ in items]
            rows = [
                (
                    ids[position],
                    reader,
                    position + 1,
                    item.task,
                    item.image,
                    item.first,
                    item.second,
                    None if item.repeats is None else ids[item.repeats],
                )
                for position, item in enumerate(items)
            ]
            change.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
