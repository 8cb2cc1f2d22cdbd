"""The active-learning strategy: those images first that need enhancing most."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.strategy import Strategy

from lowlight.artifacts.severity import LEVELS
from lowlight.enhance.judging import Subject, judge
from lowlight.errors import LowLightError
from lowlight.imaging import read
from lowlight.imaging.limits import DicomReading
from lowlight.services.monai_label.datastore import RatedDatastore
from lowlight.services.monai_label.wishes import Proposal

ARTIFACTS = "artifacts"
"""Under this name the info of an image holds what was measured."""


class MostDamaged(Strategy):
    """Proposes, of the images that are not rated yet, the one with the worst artifact numbers: that whose worst
    artifact is rated highest; of several, that with the highest severities together; of these, the darkest.

    What was measured is kept in the info of the images, and measured again when a file changes.
    """

    def __init__(self) -> None:
        super().__init__("The image with the worst artifact numbers that is not rated yet")
        self._one_at_a_time = threading.Lock()

    def __call__(self, request: dict[str, Any], datastore: RatedDatastore) -> dict[str, Any] | None:
        """The next image, or None if all are rated or cannot be read.

        Returns:
            "id" of the image, "damage" in [0, 1], "not_measured", how many images there was no time for.

        Raises:
            HTTPException: 400; an option that is wrong.
        """
        wishes = Proposal.of(request)
        waiting = [image for image in datastore.list_images() if not _rated(datastore, image, wishes.tag)]
        with self._one_at_a_time:
            not_measured = measure(datastore, waiting, wishes.seconds)
        damages = {image: damage for image in waiting if (damage := _damage(datastore, image)) is not None}
        if not damages:
            return None
        worst = max(damages, key=lambda image: (damages[image], image))
        return {"id": worst, "damage": damages[worst], "not_measured": not_measured}


def measure(datastore: RatedDatastore, images: list[str], seconds: float) -> int:
    """Measure those that are not measured yet, at least one, until the time is over; returns how many are left."""
    deadline = time.monotonic() + seconds
    left = [image for image in images if not _measured(datastore, image)]
    found: dict[str, dict[str, Any]] = {}
    while left:
        image = left.pop()
        found[image] = {ARTIFACTS: measured(Path(datastore.get_image_uri(image)))}
        if time.monotonic() > deadline:
            break
    if found:
        datastore.update_image_infos(found)
    return len(left)


def measured(path: Path) -> dict[str, Any]:
    """What is wrong with the image in a file: "damage" in [0, 1], "severities" by artifact, "undamaged"; for a file
    that cannot be read "fault" alone. "file" is by what a change of the file is noticed."""
    stamp = _stamp(path)
    try:
        # Measuring changes nothing: every kind of DICOM image may be measured.
        image = read(path, dicom=DicomReading(any_modality=True))
        subject = Subject(image.pixels, image.value_range, image.frames, image.valid, image.quantisation)
        found = judge(subject)
    except LowLightError as error:
        return {"file": stamp, "fault": getattr(error, "fault", str(error))}
    severities = found.artifacts.severities
    levels = [LEVELS.index(level) for level in severities.values() if level in LEVELS]
    white = found.artifacts.numbers["p99"].value
    highest = len(LEVELS) - 1
    # Digits of one number, so that they sort as they are listed.
    parts = (
        max(levels, default=0) / highest,
        sum(levels) / (highest * len(severities)),
        1 - min(max(1.0 if white is None else white, 0.0), 1.0),
    )
    damage = 0.0 if found.undamaged else sum(part * scale for part, scale in zip(parts, (0.9, 0.09, 0.01), strict=True))
    return {
        "file": stamp,
        "damage": round(damage, 4),
        "severities": dict(severities),
        "undamaged": found.undamaged,
    }


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _measured(datastore: RatedDatastore, image: str) -> bool:
    known = datastore.get_image_info(image).get(ARTIFACTS)
    return known is not None and known.get("file") == _stamp(Path(datastore.get_image_uri(image)))


def _damage(datastore: RatedDatastore, image: str) -> float | None:
    return datastore.get_image_info(image).get(ARTIFACTS, {}).get("damage")


def _rated(datastore: RatedDatastore, image: str, tag: str | None) -> bool:
    ratings = datastore.ratings(image)
    return bool(ratings) if tag is None else tag in ratings
