"""A reader's sitting at a study, for a viewer: items as arrays, answers on disk before the next item is given.

All that decides anything is in `lowlight.study.reading`; what is told never names a version or a file, so that a viewer
has nothing to give away.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lowlight.errors import StudyError
from lowlight.services.failures import Failure, bad_request
from lowlight.services.folder import PrivateFolder
from lowlight.services.job import Job
from lowlight.study.questions import CRITERIA, PAIR_QUESTION, SCALE
from lowlight.study.reading import Reading
from lowlight.study.studyfile import Item, StudyFile

STUDY_MESSAGES = 1
"""Version of the messages below, told as `study_messages` in `hello`."""

_TO_SIXTEEN_BITS = 257
_MODES = ("L", "RGB", "I;16", "I")


class Sitting:
    """What the study requests of protocol 1 act on: at most one open study with at most one reader.

    Use it in one thread alone: so it is with the study file.

    Args:
        folder: for the pictures.
    """

    def __init__(self, folder: PrivateFolder) -> None:
        self._folder = folder
        self._study: StudyFile | None = None
        self._reading: Reading | None = None

    @property
    def ways(self) -> dict[str, Callable[[Job], dict[str, Any]]]:
        """What is done about each type of request."""
        return {
            "study_open": self._open,
            "study_begin": self._begin,
            "study_answer": self._answer,
            "study_undo": self._undo,
            "study_pause": self._pause,
            "study_resume": self._resume,
            "study_alive": self._alive,
            "study_end": self._end,
        }

    def close(self) -> None:
        """End the sitting and close the file; nothing is lost without."""
        with suppress(StudyError):
            if self._reading is not None:
                self._reading.close()
        if self._study is not None:
            self._study.close()
        self._study, self._reading = None, None

    def _open(self, job: Job) -> dict[str, Any]:
        path = job.request.path("path")
        self.close()
        study = StudyFile(path)
        try:
            if study.simulated:
                raise StudyError(path, "its readers are simulated", "open the study that it was simulated from")
            study.check_pictures()
        except BaseException:
            study.close()
            raise
        self._study = study
        return {
            "type": "study",
            "title": study.fact("title"),
            "readers": [{"reader": reader, "done": done, "total": total} for reader, done, total in study.progress()],
        }

    def _begin(self, job: Job) -> dict[str, Any]:
        request = job.request
        if self._study is None:
            raise bad_request("No study is open.", "Open one first: study_open.")
        if self._reading is not None:
            self._reading.close()
            self._reading = None
        reader, take_over = request.needed("reader"), request.flag("take_over")
        self._reading = Reading(self._study, reader, take_over=take_over, resume=request.text("sitting"))
        return self._item()

    def _answer(self, job: Job) -> dict[str, Any]:
        request, reading = job.request, self._read_by()
        number = request.count("item")
        if number is None:
            raise bad_request('"study_answer" needs "item".')
        side, grades = request.text("side"), request.fields.get("grades")
        if (side is None) == (grades is None):
            raise bad_request('"study_answer" needs either "side" or "grades".')
        if side is not None:
            reading.choose(number, side)
        elif isinstance(grades, dict):
            reading.grade(number, grades)
        else:
            raise bad_request('"grades" of "study_answer" is not an object.')
        return self._item()

    def _undo(self, job: Job) -> dict[str, Any]:
        self._read_by().undo()
        return self._item()

    def _pause(self, job: Job) -> dict[str, Any]:
        reading = self._read_by()
        reading.alive()
        reading.pause()
        return self._item()

    def _resume(self, job: Job) -> dict[str, Any]:
        reading = self._read_by()
        reading.resume()
        return self._item()

    def _alive(self, job: Job) -> dict[str, Any]:
        self._read_by().alive()
        return {"type": "study_alive"}

    def _end(self, job: Job) -> dict[str, Any]:
        self.close()
        return {"type": "study_ended"}

    def _read_by(self) -> Reading:
        if self._reading is None:
            raise Failure("no-sitting", "Nobody is reading.", "Choose your reader number and begin.")
        return self._reading

    def _item(self) -> dict[str, Any]:
        """The item to answer now; while paused, and at the end, there is none to be seen."""
        reading = self._read_by()
        item, progress = reading.current(), reading.progress
        told: dict[str, Any] = {
            "type": "study_item",
            "reader": reading.reader,
            "sitting": reading.token,
            "done": progress.done,
            "total": progress.total,
            "paused": reading.paused,
            "item": None,
        }
        if item is None or reading.paused:
            return told
        return {**told, "item": item.id, "task": item.task, **_asked(item), "pictures": self._pictures(item)}

    def _pictures(self, item: Item) -> list[str]:
        assert self._study is not None
        given: list[str] = []
        try:
            for picture in _alike([_decoded(self._study.picture(item.image, version)) for version in item.versions]):
                given.append(self._folder.give(picture, "study"))
        except BaseException:
            self._folder.discard(given)
            raise
        return given


def _asked(item: Item) -> dict[str, Any]:
    if item.task == "pair":
        return {"question": PAIR_QUESTION}
    criteria = [{"key": c.key, "title": c.title, "text": c.text, "worst": c.worst, "best": c.best} for c in CRITERIA]
    return {"criteria": criteria, "scale": list(SCALE)}


def _decoded(png: bytes) -> NDArray[Any]:
    """A picture of a study, whose hash was checked: uint8 or uint16, (H, W) or (H, W, 3).

    Raises:
        Failure: it is none; a study may come from anywhere.
    """
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            if picture.mode not in _MODES:
                raise ValueError(picture.mode)
            array = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise Failure(
            "study", "A picture of the study cannot be read.", "Get an undamaged copy of the study."
        ) from None
    return array.astype(np.uint16) if array.dtype == np.int32 else array


def _alike(pictures: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Of one type and as many channels, so that depth and colour tell nothing of where a picture comes from."""
    deep = any(picture.dtype == np.uint16 for picture in pictures)
    colour = any(picture.ndim == 3 for picture in pictures)
    made = []
    for picture in pictures:
        if deep and picture.dtype != np.uint16:
            picture = picture.astype(np.uint16) * np.uint16(_TO_SIXTEEN_BITS)
        if colour and picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, -1)
        made.append(picture)
    return made
