"""The standing answers of a study as tables, for the analysis and for spreadsheets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from lowlight.errors import StudyError
from lowlight.study.questions import CRITERIA
from lowlight.study.studyfile import StudyFile

PAIRS = ("reader", "image", "modality", "left", "right", "chosen", "other", "seconds", "item", "repeats")
GRADES = ("reader", "image", "modality", "version", "question", "value", "seconds", "item", "repeats")


@dataclass(frozen=True)
class Answers:
    """All standing answers.

    Attributes:
        pairs: one row a comparison: columns `PAIRS`; versions by id, "chosen" before "other".
        grades: one row a criterion of a grading: columns `GRADES`.
        asked: items in all. readers: who was asked.
    """

    pairs: pd.DataFrame
    grades: pd.DataFrame
    asked: int
    readers: list[str]

    @property
    def first_pairs(self) -> pd.DataFrame:
        """Comparisons without repetitions, which would count one opinion twice."""
        return self.pairs[self.pairs["repeats"].isna()]

    @property
    def first_grades(self) -> pd.DataFrame:
        """Grades without repetitions."""
        return self.grades[self.grades["repeats"].isna()]


def answers(study: StudyFile) -> Answers:
    """Read the standing answers.

    Raises:
        StudyError: nothing was answered yet.
    """
    rows = study.rows(
        "SELECT item.*, image.modality, answer.id AS answer, chosen, seconds FROM answer "
        "JOIN item ON item.id = answer.item JOIN image ON image.id = item.image WHERE undone IS NULL ORDER BY item.id"
    )
    if not rows:
        raise StudyError(study.path, "holds no answers yet", "have it read first: lowlight study serve")
    pairs, grades = [], []
    given: dict[int, list[tuple[str, int]]] = {}
    for answer, question, value in study.rows("SELECT answer, question, value FROM grade"):
        given.setdefault(answer, []).append((question, value))
    for row in rows:
        common = {name: row[name] for name in ("reader", "image", "modality", "seconds", "repeats")} | {
            "item": row["id"]
        }
        if row["task"] == "pair":
            other = row["second"] if row["chosen"] == row["first"] else row["first"]
            sides = {"left": row["first"], "right": row["second"]}
            pairs.append({**common, **sides, "chosen": row["chosen"], "other": other})
            continue
        for question, value in given.get(row["answer"], []):
            grades.append({**common, "version": row["first"], "question": question, "value": value})
    asked = study.value("SELECT count(*) FROM item")
    return Answers(pd.DataFrame(pairs, columns=PAIRS), pd.DataFrame(grades, columns=GRADES), asked, study.readers)


def raw_rows(study: StudyFile) -> list[dict[str, Any]]:
    """Every answer, undone ones too, one row each, for a spreadsheet; images by number, never by name of file."""
    versions = {id_: version.name for id_, version in study.versions.items()}
    kind = {row["id"]: bool(row["simulated"]) for row in study.rows("SELECT id, simulated FROM reader")}
    given: dict[int, dict[str, int]] = {}
    for answer, question, value in study.rows("SELECT answer, question, value FROM grade"):
        given.setdefault(answer, {})[question] = value
    rows = study.rows(
        "SELECT item.*, image.modality, answer.id AS answer, chosen, seconds, given, undone FROM answer "
        "JOIN item ON item.id = answer.item JOIN image ON image.id = item.image ORDER BY answer.id"
    )
    return [
        {
            "answer": row["answer"],
            "reader": row["reader"],
            "simulated": kind[row["reader"]],
            "position": row["position"],
            "task": row["task"],
            "image": row["image"],
            "modality": row["modality"],
            "left_or_graded": versions[row["first"]],
            "right": versions.get(row["second"]),
            "chosen": versions.get(row["chosen"]),
            **{criterion.key: given.get(row["answer"], {}).get(criterion.key) for criterion in CRITERIA},
            "seconds": float(row["seconds"]),
            "repeats_item": row["repeats"],
            "item": row["id"],
            "given_utc": row["given"],
            "undone_utc": row["undone"],
        }
        for row in rows
    ]
