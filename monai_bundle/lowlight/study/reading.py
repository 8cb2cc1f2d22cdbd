"""One reader at work: which item comes next, what was answered, undo, pause and time. Knows no page and no window."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lowlight.errors import ReaderElsewhereError, StudyError
from lowlight.study.questions import CRITERIA, SCALE
from lowlight.study.studyfile import Item, StudyFile

AWAY_AFTER = 90.0
"""Seconds without a sign of life after which another may go on reading in a reader's place."""

_GO_ON = "go on with the item that is shown"


@dataclass(frozen=True)
class Progress:
    """How far a reader is: answered items, and all of them."""

    done: int
    total: int


class Reading:
    """A reader's sitting at a study.

    Only one sitting of a reader is open at a time, in whatever program: a second one is refused, or takes over, after
    which the first one's answers are refused. An answer is on disk when `answer` returns; a sitting that ends by a
    crash loses nothing else, and the next one goes on with the first item that has no answer.

    Args:
        study: the file, open.
        reader: id of the reader.
        take_over: end a sitting of this reader elsewhere.
        resume: token of a sitting that a crashed program left behind, to go on with.
        clock: seconds, never running backwards; for the time per item.

    Raises:
        StudyError: there is no such reader, or it is a simulated one.
        ReaderElsewhereError: the reader is reading elsewhere, and was heard of in the last `AWAY_AFTER` seconds.
    """

    def __init__(
        self,
        study: StudyFile,
        reader: str,
        take_over: bool = False,
        resume: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.study, self.reader, self._clock = study, reader, clock
        self.token = resume or secrets.token_urlsafe(24)
        self._shown: int | None = None
        self._running_since: float | None = None
        self._spent = 0.0
        self.paused = False
        self._sit_down(take_over)

    def _sit_down(self, take_over: bool) -> None:
        with self.study.changing() as change:
            found = change.execute("SELECT * FROM reader WHERE id = ?", (self.reader,)).fetchone()
            if found is None:
                raise StudyError(
                    self.study.path, f"has no reader {self.reader!r}", f"its readers are {_listed(self.study.readers)}"
                )
            if found["simulated"]:
                raise StudyError(
                    self.study.path, f"{self.reader} is a simulated reader", "read the study that it was simulated from"
                )
            if not change.execute("SELECT 1 FROM item WHERE reader = ?", (self.reader,)).fetchone():
                raise StudyError(self.study.path, f"holds no items for {self.reader}", "make it again with more images")
            last_heard = time.time() - float(found["seen"] or 0)
            free = found["sitting"] in (None, self.token) or last_heard >= AWAY_AFTER
            if not free and not take_over:
                raise ReaderElsewhereError(
                    self.study.path, f"{self.reader} is reading elsewhere", "end that first, or go on here instead"
                )
            change.execute(
                "UPDATE reader SET sitting = ?, seen = ? WHERE id = ?", (self.token, time.time(), self.reader)
            )

    @classmethod
    def resumed(cls, study: StudyFile, token: str) -> Reading | None:
        """The sitting of this token, if it is still the one of its reader; None if it is not."""
        reader = study.value("SELECT id FROM reader WHERE sitting = ?", token)
        return None if reader is None else cls(study, reader, resume=token)

    @property
    def progress(self) -> Progress:
        """How many items are answered."""
        done = self.study.value(
            "SELECT count(*) FROM item JOIN answer ON answer.item = item.id AND undone IS NULL WHERE reader = ?",
            self.reader,
        )
        return Progress(done, self.study.value("SELECT count(*) FROM item WHERE reader = ?", self.reader))

    @property
    def answers_ever(self) -> int:
        """How many answers the reader has given, those taken back too: never falls."""
        query = "SELECT count(*) FROM answer JOIN item ON item.id = answer.item WHERE reader = ?"
        return int(self.study.value(query, self.reader))

    def current(self) -> Item | None:
        """The item to answer now, None when all are answered. The first call for an item starts its clock.

        Raises:
            StudyError: another sitting of this reader took over.
        """
        self.alive()
        item = self._first_open()
        if item is not None and item.id != self._shown:
            self._shown, self._spent = item.id, 0.0
            self._running_since = None if self.paused else self._clock()
        return item

    def _first_open(self) -> Item | None:
        rows = self.study.rows(
            "SELECT item.id, reader, position, task, image, first, second, repeats FROM item "
            "LEFT JOIN answer ON answer.item = item.id AND undone IS NULL "
            "WHERE reader = ? AND answer.id IS NULL ORDER BY position LIMIT 1",
            self.reader,
        )
        return Item(*rows[0]) if rows else None

    def choose(self, item: int, side: str | None) -> None:
        """Answer a pair: "left" or "right". See `_record`."""
        if side is None:
            raise StudyError(self.study.path, "no side was chosen", "choose left or right")
        if side not in ("left", "right"):
            raise StudyError(self.study.path, f"{side!r} is no side", "choose left or right")
        asked = self.asked(item, "pair")
        self._record(asked, asked.first if side == "left" else asked.second, {})

    def grade(self, item: int, grades: Mapping[str, Any]) -> None:
        """Answer a grading: a whole number from 1 to 5 for each criterion, by its key. See `_record`."""
        checked = {}
        for criterion in CRITERIA:
            value = grades.get(criterion.key)
            if value is None:
                raise StudyError(self.study.path, f"{criterion.title} is not graded", "grade it from 1 to 5")
            if isinstance(value, bool) or not isinstance(value, int) or value not in SCALE:
                fault = f"{criterion.title}: {value!r} is not on the scale"
                raise StudyError(self.study.path, fault, "grade it from 1 to 5")
            checked[criterion.key] = value
        unknown = sorted(map(str, set(grades) - set(checked)))
        if unknown:
            raise StudyError(self.study.path, f"{unknown[0]!r} is not asked", "grade the criteria that are shown")
        self._record(self.asked(item, "rating"), None, checked)

    def asked(self, item: int, task: str | None = None) -> Item:
        """An item of this reader, whether it is due or not; ``task``: "pair" or "rating", None for either.

        Raises:
            StudyError: the reader has no such item.
        """
        rows = self.study.rows(
            "SELECT id, reader, position, task, image, first, second, repeats FROM item WHERE id = ? AND reader = ?",
            item,
            self.reader,
        )
        if not rows or task not in (None, rows[0]["task"]):
            raise StudyError(self.study.path, f"{self.reader} has no such item to answer", _GO_ON)
        return Item(*rows[0])

    def _record(self, item: Item, chosen: int | None, grades: Mapping[str, int]) -> None:
        """Write an answer; the same answer once more (a click or a request that came twice) changes nothing.

        Raises:
            StudyError: another sitting took over; the item is not the one to answer now; the reading is paused.
        """
        with self.study.changing() as change:
            self._check_sitting()
            standing = self.study.rows("SELECT id, chosen FROM answer WHERE item = ? AND undone IS NULL", item.id)
            if standing:
                given = self.study.rows("SELECT question, value FROM grade WHERE answer = ?", standing[0]["id"])
                if standing[0]["chosen"] == chosen and dict(map(tuple, given)) == dict(grades):
                    return
                raise StudyError(self.study.path, "this item is answered already", "undo the answer to change it")
            expected = self._first_open()
            if expected is None or expected.id != item.id:
                raise StudyError(self.study.path, "this is not the item to answer now", _GO_ON)
            if self.paused:
                raise StudyError(self.study.path, "the reading is paused", "resume it, then answer")
            cursor = change.execute(
                "INSERT INTO answer (item, chosen, seconds, given) VALUES (?, ?, ?, ?)",
                (item.id, chosen, round(self._time_spent(item.id), 3), _now()),
            )
            change.executemany(
                "INSERT INTO grade VALUES (?, ?, ?)", [(cursor.lastrowid, key, value) for key, value in grades.items()]
            )
            change.execute("UPDATE reader SET seen = ? WHERE id = ?", (time.time(), self.reader))

    def undo(self) -> bool:
        """Take back the last answer, whose item then comes again; False if there is none.

        The answer stays in the file, marked as undone.

        Raises:
            StudyError: another sitting of this reader took over.
        """
        with self.study.changing() as change:
            self._check_sitting()
            last = self.study.value(
                "SELECT answer.id FROM answer JOIN item ON item.id = answer.item "
                "WHERE reader = ? AND undone IS NULL ORDER BY position DESC LIMIT 1",
                self.reader,
            )
            if last is None:
                return False
            change.execute("UPDATE answer SET undone = ? WHERE id = ?", (_now(), last))
        self._shown = None
        return True

    def pause(self) -> None:
        """Stop the clock of the item that is shown."""
        if not self.paused:
            self._spent = self._time_spent(self._shown)
            self._running_since, self.paused = None, True

    def resume(self) -> None:
        """Let the clock run on."""
        if self.paused:
            self._running_since, self.paused = self._clock(), False

    def alive(self) -> None:
        """Say that this sitting still goes on: now and then, while an item is looked at for long.

        Raises:
            StudyError: another sitting of this reader took over.
        """
        with self.study.changing() as change:
            self._check_sitting()
            change.execute("UPDATE reader SET seen = ? WHERE id = ?", (time.time(), self.reader))

    def close(self) -> None:
        """End the sitting, so that the reader can open another one at once."""
        with self.study.changing() as change:
            change.execute("UPDATE reader SET sitting = NULL WHERE id = ? AND sitting = ?", (self.reader, self.token))

    @property
    def stands(self) -> bool:
        """Whether no other sitting of the reader took over, and this one was not closed."""
        return bool(self.study.value("SELECT sitting FROM reader WHERE id = ?", self.reader) == self.token)

    def _check_sitting(self) -> None:
        if not self.stands:
            fault = f"{self.reader} went on reading elsewhere, and this answer was not taken"
            raise ReaderElsewhereError(self.study.path, fault, "go on there, or open the study here again")

    def _time_spent(self, item: int | None) -> float:
        if item is None or item != self._shown:
            return 0.0
        return self._spent + (0.0 if self._running_since is None else self._clock() - self._running_since)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{names[0]} to {names[-1]}"
