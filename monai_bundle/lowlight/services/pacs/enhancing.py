"""From the files of a series to derived files, with one tone for those that belong together, even if some come late."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lowlight.enhance.judging import Subject, judge
from lowlight.errors import InputError, LimitError, NotAnImageError, OutputError
from lowlight.imaging import Found, MedicalImage, atomic_path, write
from lowlight.imaging.dicom_series import arrange, can_be_joined, joined, tone_key
from lowlight.imaging.limits import DicomReading
from lowlight.imaging.processing import Processing
from lowlight.services.pacs.queue import Queue, Row, State, ToneRow
from lowlight.services.pacs.rules import Rule, Rules

if TYPE_CHECKING:
    from lowlight.enhance import Enhancer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What was decided about images that share one tone.

    Attributes:
        reason: why nothing is made of them; empty where something is.
        found: how bad what was found is, for people.
    """

    reason: str
    found: str


class SeriesEnhancer:
    """Makes the results of a series that a worker has claimed.

    Args:
        rules: what is wanted.
        queue: where the outcome goes.
        refused: told of an instance that could not be read in time, and why; it may be otherwise next time.
        enhancer: the engine, loaded when the first image needs it.
        only_judge: say what would be made, and make nothing.
    """

    def __init__(
        self,
        rules: Rules,
        queue: Queue,
        refused: Callable[[Row, str], None],
        enhancer: Enhancer | None = None,
        only_judge: bool = False,
    ) -> None:
        self._rules, self._queue, self._refused = rules, queue, refused
        self._enhancer, self._only_judge = enhancer, only_judge
        self._reading = DicomReading(any_modality=False, limits=rules.reading_limits)

    def run(self, rows: Sequence[Row]) -> None:
        """Bring every instance to `enhanced`, `skipped` or `quarantined`, group by group.

        Raises:
            OutputError, sqlite3.Error: the disk; what has not got on stays claimed.
        """
        by_path: dict[Path, Row] = {}
        for row in rows:
            path = None if row.file is None else self._queue.folder / row.file
            if path is None or not path.is_file():
                # Somebody has tidied up: it is fetched again.
                self._queue.move(row, State.SEEN, rule=None, file=None)
                continue
            by_path[path] = row
        found = [Found(path, Path(path.name), explicit=False) for path in by_path]
        groups = arrange(found, self._rules.reading_limits, hashed=False)
        keys = [self._key(group) for group in groups]
        for group, key in zip(groups, keys, strict=True):
            # A group that was too large for one tone comes as many: each of them has its own then.
            shared = key if keys.count(key) == 1 else None
            self._enhance([(item, by_path[item.path]) for item in group], shared)

    def _key(self, group: Sequence[Found]) -> str | None:
        try:
            return tone_key(group[0].path, self._rules.reading_limits)
        except InputError:
            return None

    def _enhance(self, group: Sequence[tuple[Found, Row]], key: str | None) -> None:
        read = [(row, image) for item, row in group if (image := self._read(item, row)) is not None]
        if not read:
            return
        rows, images = [row for row, _ in read], [image for _, image in read]
        rule = self._rules.named(rows[0].rule or "")
        if rule is None:
            # The rules have changed since.
            self._queue.move_all([(row, State.SEEN, {"rule": None}) for row in rows])
            return
        if len(images) > 1 and not can_be_joined(images):
            for row, image in read:
                self._together([row], [image], rule, None)
            return
        self._together(rows, images, rule, key)

    def _read(self, item: Found, row: Row) -> MedicalImage | None:
        try:
            return item.read(None, self._reading)
        except NotAnImageError as error:
            self._end(row, State.SKIPPED, error)
        except LimitError as error:
            self._refused(row, error.fault)
        except InputError as error:
            self._end(row, State.QUARANTINED, error)
        return None

    def _end(self, row: Row, state: State, error: InputError) -> None:
        self._queue.move(row, state, reason=told(error))

    def _together(self, rows: Sequence[Row], images: Sequence[MedicalImage], rule: Rule, key: str | None) -> None:
        image = joined(images) if len(images) > 1 or (key is not None and not images[0].frames) else images[0]
        earlier = None if key is None else self._queue.tone(key)
        if earlier is not None and earlier.rule == rule.name and earlier.reason:
            verdict = Verdict(earlier.reason, "")
        elif earlier is not None and earlier.rule == rule.name:
            verdict = Verdict("", "as the rest of its series")
        else:
            earlier, verdict = None, self._judged(image, rule)
        decision = None if key is None else (key, rows[0].series, ToneRow(rule.name, verdict.reason, _tone_file(key)))
        if verdict.reason or self._only_judge:
            reason = verdict.reason or f"dry run: would be enhanced ({verdict.found}) and go to {rule.destination}"
            changes = {"reason": reason, "destination": rule.destination}
            self._queue.move_all([(row, State.SKIPPED, changes) for row in rows], decision)
            return
        try:
            tone = self._tone(image, key, earlier)
            result = self._engine()(
                image.pixels,
                brightness=rule.brightness,
                denoise=rule.denoise,
                modality=image.modality,
                value_range=image.value_range,
                frames=image.frames,
                force=True,
                valid=image.valid,
                tables=image.quantisation,
                tone=tone,
            )
        except InputError as error:
            for row in rows:
                self._end(row, State.QUARANTINED, error)
            return
        processing = Processing(
            result.derivation,
            result.facts["model"],
            result.facts["weights_sha256"],
            {
                name: str(value)
                for name, value in (("brightness", rule.brightness), ("denoise", rule.denoise))
                if value is not None
            },
            denoised=result.denoise > 0,
            brightened=result.brightness > 0,
        )
        alone = image is images[0]
        moves: list[tuple[Row, State, dict[str, Any]]] = []
        for row, part, pixels in zip(rows, images, [result.image] if alone else result.image, strict=True):
            moves.append((row, *self._written(row, part, pixels, processing, rule)))
        # One transaction: a group gets on as a whole, so that none of it is made anew with another tone.
        self._queue.move_all(moves, decision)

    def _judged(self, image: MedicalImage, rule: Rule) -> Verdict:
        subject = Subject(image.pixels, image.value_range, image.frames, image.valid, image.quantisation)
        if subject.blank:
            return Verdict("holds no valid pixel", "")
        judged = judge(subject)
        severities = {
            name: level for name, level in judged.artifacts.severities.items() if level not in ("none", "unknown")
        }
        found = ", ".join(f"{name} {level}" for name, level in severities.items())
        if judged.undamaged:
            return Verdict("judged undamaged", found)
        if not rule.wants(judged.artifacts.severities):
            return Verdict(f"less damaged than the rule asks for ({found or 'nothing measurable'})", found)
        return Verdict("", found)

    def _tone(self, image: MedicalImage, key: str | None, earlier: ToneRow | None) -> NDArray[np.float32] | None:
        """The tone of files that share one: the one decided earlier, or a new one, kept before it is used."""
        if key is None:
            return None
        file = self._queue.folder / _tone_file(key)
        if earlier is not None:
            with suppress(OSError, ValueError):
                tone: NDArray[np.float32] = np.load(file, allow_pickle=False)
                return tone
        tone = self._engine().decide_tone(image.pixels, image.value_range, image.frames)
        with atomic_path(file) as temporary:
            np.save(temporary, tone, allow_pickle=False)
        return tone

    def _written(
        self, row: Row, image: MedicalImage, pixels: NDArray[Any], processing: Processing, rule: Rule
    ) -> tuple[State, dict[str, Any]]:
        name = f"results/{sha256(row.instance.encode()).hexdigest()}.dcm"
        target = self._queue.folder / name
        try:
            write(image, pixels, target, derivation=processing)
        except OutputError as error:
            if _of_the_disk(error):
                raise
            return State.QUARANTINED, {"reason": told(error)}
        uid = _instance_uid(target)
        return State.ENHANCED, {"result": uid, "result_file": name, "destination": rule.destination}

    def _engine(self) -> Enhancer:
        if self._enhancer is None:
            from lowlight import Enhancer

            self._enhancer = Enhancer(device=self._rules.device)
        return self._enhancer


def _tone_file(key: str) -> str:
    return f"tones/{key}.npy"


def told(error: InputError) -> str:
    """What is wrong, without the name of our copy, which says nothing to anybody, and in words of the rules."""
    remedy = error.remedy.replace("--limit ", "limits: ")
    return f"{error.fault}; {remedy}" if remedy else error.fault


def _of_the_disk(error: OutputError) -> bool:
    """Whether it would be written if the disk were otherwise, rather than the image."""
    return isinstance(error.__cause__, OSError)


def _instance_uid(file: Path) -> str:
    import pydicom

    return str(pydicom.dcmread(file, specific_tags=["SOPInstanceUID"], stop_before_pixels=True).SOPInstanceUID)
