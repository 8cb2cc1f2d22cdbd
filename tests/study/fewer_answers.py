"""Studies in which some answers are missing."""

from __future__ import annotations

import shutil
from pathlib import Path

from lowlight.study.studyfile import StudyFile


def without(study: Path, target: Path, where: str) -> Path:
    """A copy of a study in which some answers were never given.

    Args:
        study: is not changed.
        target: the copy.
        where: condition on the item that was answered, in SQL.
    """
    shutil.copy(study, target)
    with StudyFile(target) as opened, opened.changing() as change:
        gone = f"SELECT answer.id FROM answer JOIN item ON item.id = item WHERE {where}"
        change.execute(f"DELETE FROM grade WHERE answer IN ({gone})")
        change.execute(f"DELETE FROM answer WHERE id IN ({gone})")
    return target
