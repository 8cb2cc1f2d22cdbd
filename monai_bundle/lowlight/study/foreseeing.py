"""What the answers to a study will not be able to tell, as its plan already shows."""

from __future__ import annotations

import itertools

from lowlight.study.calibrating import LEAST_COMPARISONS, PLAN_FOR_GRADINGS, compared_strengths
from lowlight.study.studyfile import UNKNOWN, StudyFile


def warnings(study: StudyFile) -> list[str]:
    """Why no strengths can be calibrated, however readers answer, in sentences; nothing where none are compared."""
    if not compared_strengths(study):
        return []
    images = study.images
    unknown = sum(image.modality == UNKNOWN for image in images.values())
    told = []
    if unknown:
        which = "no image is" if unknown == len(images) else f"{unknown} of {len(images)} images are not"
        told.append(
            f"{which} of a kind that is known, and no strengths can be calibrated from such images; to have them "
            "calibrated, make the study again with --modality"
        )
    for modality in sorted({image.modality for image in images.values()} - {UNKNOWN}):
        gradings, comparable = _gradings(study, {image.id for image in images.values() if image.modality == modality})
        if gradings and (comparable == 0 or comparable < LEAST_COMPARISONS <= gradings):
            often = "never" if comparable == 0 else f"only {comparable} times in all"
            told.append(
                f"{modality}: a reader grades two strengths of one image {often}, and calibrating takes "
                f"{LEAST_COMPARISONS} such comparisons; to have strengths calibrated, {PLAN_FOR_GRADINGS}"
            )
    return told


def _gradings(study: StudyFile, images: set[int]) -> tuple[int, int]:
    """How many gradings of enhanced versions are asked, and how many comparisons these, or pairs, can give at most."""
    enhanced = {version.id for version in study.versions.values() if version.kind == "enhanced" and version.shown}
    items = [item for item in study.items() if item.image in images and item.repeats is None]
    asked = [item for item in items if enhanced.issuperset(item.versions)]
    graded = sorted((item.reader, item.image) for item in asked if item.task == "rating")
    sizes = [len(list(group)) for _, group in itertools.groupby(graded)]
    pairs = sum(item.task == "pair" for item in asked)
    return len(graded), pairs + sum(size * (size - 1) // 2 for size in sizes)
