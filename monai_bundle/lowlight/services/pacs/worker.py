"""What moves instances from state to state: one thread a source, one that fetches, one that enhances, one that stores.

They meet in the queue alone: each takes what is in the state that it works on, and puts it into the next one. So the
network is at work while the next images are fetched and the last ones stored.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom

from lowlight.errors import (
    BundleError,
    DependencyError,
    InputError,
    LimitError,
    LowLightError,
    OutputError,
    RejectedError,
    RulesError,
    UnavailableError,
)
from lowlight.imaging import isolation
from lowlight.imaging.atomic import sweep
from lowlight.imaging.dicom_files import is_same_object
from lowlight.services.pacs.destinations import CStoreDestination, Destination, StowDestination
from lowlight.services.pacs.enhancing import SeriesEnhancer, told
from lowlight.services.pacs.listener import Listener
from lowlight.services.pacs.logs import log, pseudonym
from lowlight.services.pacs.queue import Queue, Row, State
from lowlight.services.pacs.rules import (
    CStoreRule,
    DicomwebRule,
    ListenerRule,
    OrthancRule,
    Rules,
    StowRule,
)
from lowlight.services.pacs.sources import NO_RULE, DicomwebSource, OrthancSource, Source
from lowlight.services.pacs.web import is_uid

if TYPE_CHECKING:
    from lowlight import Enhancer

OURS = "LowLightEnhance"
"""Manufacturer's Model Name of the equipment that made a derived image of ours."""

_FETCHED_AT_ONCE, _DELIVERED_AT_ONCE = 8, 8
_IDLE = 0.5
_HOUSEKEEPING = 30.0
_ORPHAN = 3600.0
_LATE = 7 * 86400.0
_DISK = "the disk does not take it (full, or not writable)"


@dataclass
class Progress:
    """What happened since the start, for `lowlight.services.pacs.health`.

    Attributes:
        answered: when each source and destination last did (seconds since 1970). faults: what is wrong with each now.
        moved: how many instances got into each state. engine_seconds: time spent making results.
    """

    answered: dict[str, float] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    engine_seconds: float = 0.0

    def ok(self, name: str) -> None:
        """A source, a destination or the disk answers."""
        self.answered[name] = time.time()
        if self.faults.pop(name, None) is not None:
            log("answers again", name=name)

    def fault(self, name: str, reason: str) -> None:
        """It does not; told once."""
        if self.faults.get(name) != reason:
            self.faults[name] = reason
            log("does not answer", level=logging.WARNING, name=name, reason=reason)


class Worker:
    """All threads of one worker.

    Args:
        rules: what to do.
        queue: where it stands.
        once: end when nothing can be done any more now, instead of never.
        enhancer: the engine; None: loaded when the first image needs it.

    Attributes:
        progress: how it goes. started: set once it listens. listeners: those that do.
    """

    def __init__(self, rules: Rules, queue: Queue, once: bool = False, enhancer: Enhancer | None = None) -> None:
        self.rules, self.queue, self.progress = rules, queue, Progress()
        self._once, self._stop, self._wake = once, threading.Event(), threading.Condition()
        self.started = threading.Event()
        self._polled: set[str] = set()
        self.sources: dict[str, Source] = {}
        self._listening: list[ListenerRule] = []
        self.listeners: list[Listener] = []
        for rule in rules.sources:
            if isinstance(rule, OrthancRule):
                self.sources[rule.name] = OrthancSource(rule, rules)
            elif isinstance(rule, DicomwebRule):
                self.sources[rule.name] = DicomwebSource(rule, rules)
            else:
                self._listening.append(rule)
        self.destinations: dict[str, Destination] = {}
        for destination in rules.destinations:
            if isinstance(destination, StowRule):
                self.destinations[destination.name] = StowDestination(destination)
            elif isinstance(destination, CStoreRule):
                self.destinations[destination.name] = CStoreDestination(destination)
        queue.on_move = self._moved
        self._enhancer = SeriesEnhancer(rules, queue, self._refused, enhancer, only_judge=rules.dry_run)
        self._housekept = 0.0

    def run(self) -> None:
        """Work until `stop` is called, or with `once` until nothing is left to do; what has begun is ended.

        Raises:
            RulesError: a port cannot be listened at, a certificate cannot be used.
        """
        self._tidy_up()
        # A dry run listens to nobody: an instance that it took and forgot would be lost.
        if not self.rules.dry_run:
            self.listeners += [Listener(rule, self.queue, self._woken) for rule in self._listening]
        loops: list[tuple[str, Callable[[], bool]]] = [("fetch loop", self._fetch), ("enhance loop", self._enhance)]
        if not self.rules.dry_run:
            loops.append(("deliver loop", self._deliver))
        threads = [threading.Thread(target=self._loop, args=loop, name=loop[0], daemon=True) for loop in loops]
        threads += [
            threading.Thread(target=self._poll, args=(source,), name=source.name, daemon=True)
            for source in self.sources.values()
        ]
        self.started.set()
        log("started", sources=len(self.rules.sources), dry_run=self.rules.dry_run)
        for thread in threads:
            thread.start()
        try:
            while not self._stop.wait(_IDLE if self._once else 5 * _IDLE):
                self._keep_house()
                if self._once and self._is_done():
                    break
        finally:
            self.stop()
            for listener in self.listeners:
                listener.stop()
            for thread in threads:
                thread.join()
            log("stopped")

    def stop(self) -> None:
        """End after what is in hands."""
        self._stop.set()
        self._woken()

    def _woken(self) -> None:
        with self._wake:
            self._wake.notify_all()

    def _loop(self, name: str, step: Callable[[], bool]) -> None:
        """Do steps while there is something to do, and look again when something has happened, or after a while."""
        while not self._stop.is_set():
            busy = False
            try:
                busy = step()
                # That there is nothing to try now, since all waits for its next try, does not mend anything.
                if busy or name not in self.progress.faults or self.queue.oldest_waiting() is None:
                    self.progress.ok(name)
            except (sqlite3.Error, OSError, OutputError):
                self.progress.fault(name, _DISK)
            except LowLightError as error:
                self.progress.fault(name, str(error))
            except Exception as error:
                # Whatever it is: it must not end the other work, and it will be seen in health and logs.
                self.progress.fault(name, _unexpected(error))
            if busy:
                self._woken()
                continue
            with self._wake:
                if not self._stop.is_set():
                    self._wake.wait(_IDLE)

    def _poll(self, source: Source) -> None:
        delays = 0
        while not self._stop.is_set():
            pause = source.poll
            try:
                new = source.discover(self.queue)
                delays = 0
                self.progress.ok(source.name)
                if new:
                    log("discovered", source=source.name, instances=new)
                    self._woken()
            except (UnavailableError, RejectedError, InputError) as error:
                self.progress.fault(source.name, str(error))
                pause = self._pause(delays)
                delays += 1
            except (sqlite3.Error, OSError):
                self.progress.fault(source.name, _DISK)
            except Exception as error:
                self.progress.fault(source.name, _unexpected(error))
            self._polled.add(source.name)
            self._stop.wait(pause)

    # seen: fetched, header read, wanted or not.

    def _fetch(self) -> bool:
        names = [rule.name for rule in self.rules.sources]
        rows = self.queue.take_to_fetch(names, _FETCHED_AT_ONCE)
        self._each(rows, self._fetch_one, lambda row: row.source)
        return bool(rows)

    def _fetch_one(self, row: Row) -> None:
        name = row.file or f"sources/{pseudonym(row.instance, 64)}.dcm"
        path = self.queue.folder / name
        if not path.is_file():
            source = self.sources.get(row.source)
            if source is None:
                self.queue.move(
                    row, State.QUARANTINED, reason="its file is gone, and its source sends it only once", file=None
                )
                return
            source.fetch(row, path)
            self.progress.ok(row.source)
        try:
            outline = isolation.outline(path, self.rules.reading_limits)
        except LimitError as error:
            # A busy machine can look like a hostile file, and the other way round: a few tries tell.
            raise RejectedError(error.fault) from None
        except InputError as error:
            self.queue.move(row, State.QUARANTINED, reason=told(error), file=name)
            return
        known = {"study": outline.study, "series": outline.series, "file": name}
        if outline.instance != row.instance:
            self.queue.move(
                row, State.QUARANTINED, reason="its SOP Instance UID is not the one that was announced", file=name
            )
        elif not (is_uid(outline.study) and is_uid(outline.series)):
            self.queue.move(row, State.QUARANTINED, reason="its study or series has no valid UID", file=name)
        elif OURS in outline.equipment:
            self.queue.move(row, State.SKIPPED, reason="was made by LowLightEnhance", **known)
        elif (rule := self.rules.first(outline.attributes)) is None:
            self.queue.move(row, State.SKIPPED, reason=NO_RULE, **known)
        else:
            expected = outline.expected or row.expected
            self.queue.move(row, State.SEEN, rule=rule.name, expected=expected, **known)

    # claimed: enhanced, series by series.

    def _enhance(self) -> bool:
        rows = self.queue.take_series(self.rules.timing.quiet)
        if not rows:
            return False
        started = time.monotonic()
        try:
            self._enhancer.run(rows)
        except Exception as error:
            disk = isinstance(error, OSError | OutputError | sqlite3.Error)
            # What is wrong with the installation is no fault of the image.
            ours = isinstance(error, BundleError | DependencyError)
            reason = _DISK if disk else str(error) if ours else _unexpected(error)
            left = list(rows)
            try:
                while left:
                    # Those that got on already are no longer claimed, and stay where they are.
                    self._put_off(left[0], reason, refused=not (disk or ours))
                    left.pop(0)
            finally:
                with suppress(sqlite3.Error):
                    self.queue.put_back(left)
            raise
        self.progress.engine_seconds += time.monotonic() - started
        log("series done", series=pseudonym(rows[0].series), instances=len(rows))
        return True

    # enhanced, stored: delivered, and read back.

    def _deliver(self) -> bool:
        rows = self.queue.take_to_deliver(_DELIVERED_AT_ONCE)
        self._each(rows, self._deliver_one, lambda row: row.destination or "")
        return bool(rows)

    def _deliver_one(self, row: Row) -> None:
        destination = self.destinations.get(row.destination or "")
        file = None if row.result_file is None else self.queue.folder / row.result_file
        if destination is None:
            raise RejectedError("its destination is no longer among the rules")
        if file is None or not file.is_file():
            again = State.SEEN if row.state == State.ENHANCED else State.ENHANCED
            self.queue.move(row, again, result_file=None, **({"rule": None} if again == State.SEEN else {}))
            return
        if row.state == State.ENHANCED:
            destination.store(file)
            self.progress.ok(destination.name)
            # How often it was refused still counts: an archive may take it and give back something else.
            self.queue.move(row, State.STORED, attempts=row.attempts)
            return
        about = pydicom.dcmread(file, stop_before_pixels=True)
        again_file = file.with_name(f"{file.stem}-again.dcm")
        try:
            if not destination.fetch(about, again_file):
                raise RejectedError(f"{destination.name} does not have what it has taken")
            same = is_same_object(file, again_file, self.rules.reading_limits)
        except OutputError:
            raise
        except InputError as error:
            raise RejectedError(f"{destination.name} gives back something else: {error.fault}") from None
        finally:
            with suppress(OSError):
                again_file.unlink()
        if not same:
            raise RejectedError(f"{destination.name} gives back something else than it has taken")
        answer = destination.commit(about, self.queue)
        self.progress.ok(destination.name)
        if answer is None:
            self._put_off(row, "waits for the archive's commitment to keep it", refused=False)
        elif answer:
            raise RejectedError(f"{destination.name}: {answer}")
        else:
            self.queue.move(row, State.VERIFIED)

    def _each(self, rows: Sequence[Row], work: Callable[[Row], None], other: Callable[[Row], str]) -> None:
        """Do a step with each; what fails waits, and does not stop the others. Who is away is asked once."""
        left, away = list(rows), dict[str, str]()
        try:
            while left:
                row = left[0]
                if self._stop.is_set():
                    return
                try:
                    if other(row) in away:
                        raise UnavailableError(away[other(row)])
                    work(row)
                except (UnavailableError, RulesError) as error:
                    away[other(row)] = str(error)
                    self.progress.fault(other(row), str(error))
                    self._put_off(row, str(error), refused=False)
                except RejectedError as error:
                    self._put_off(row, str(error), refused=True)
                except (OSError, OutputError):
                    self._put_off(row, _DISK, refused=False)
                    raise
                left.pop(0)
        finally:
            with suppress(sqlite3.Error):
                self.queue.put_back(left)

    def _refused(self, row: Row, reason: str) -> None:
        self._put_off(row, reason, refused=True)

    def _put_off(self, row: Row, reason: str, refused: bool) -> None:
        """Try again later; one that is refused too often goes into quarantine. One that others have goes nowhere."""
        if refused and row.attempts + 1 >= self.rules.timing.attempts:
            self.queue.move(row, State.QUARANTINED, reason=reason, attempts=row.attempts + 1)
            return
        count = row.attempts if refused else row.delays
        if refused and row.state == State.STORED:
            # What it took and does not give back has to be sent again.
            self.queue.move(
                row, State.ENHANCED, reason=reason, attempts=row.attempts + 1, next_try=time.time() + self._pause(count)
            )
            return
        self.queue.postpone(row, reason, self._pause(count), refused)

    def _pause(self, count: int) -> float:
        """Doubles from time to time, up to a limit; a little random, so that not all come at once."""
        timing = self.rules.timing
        return min(timing.retry * 2.0 ** min(count, 30), timing.longest_retry) * random.uniform(0.75, 1.25)

    def _moved(self, row: Row, state: State, reason: str) -> None:
        if state != row.state:
            self.progress.moved[state] = self.progress.moved.get(state, 0) + 1
            level = logging.WARNING if state == State.QUARANTINED else logging.INFO
            log(state.value, level=level, instance=pseudonym(row.instance), reason=reason)

    # Copies that nobody needs any more.

    def _keep_house(self) -> None:
        if time.monotonic() - self._housekept < _HOUSEKEEPING and self._housekept:
            return
        self._housekept = time.monotonic()
        with suppress(sqlite3.Error, OSError):
            if dead := self.queue.free_the_dead():
                log("took over from workers that ended", workers=dead)
            self.remove_copies()
            for listener in self.listeners:
                listener.tidy(older=_HOUSEKEEPING)

    def remove_copies(self) -> None:
        """Remove what the rules let go: at once what needs no result, after the rule's retention what is verified."""
        listened = {rule.name for rule in self._listening}
        for row in self.queue.done_with_files():
            quarantined = row.state == State.QUARANTINED
            if quarantined and (row.source in listened or row.result_file is not None):
                continue
            rule = self.rules.named(row.rule or "")
            kept = rule.retention if rule is not None and row.state == State.VERIFIED else 0.0
            if row.changed + kept > time.time():
                continue
            for name in (row.file, row.result_file):
                if name is not None:
                    with suppress(FileNotFoundError):
                        (self.queue.folder / name).unlink()
            self.queue.files_removed(row, result_too=True)

    def _tidy_up(self) -> None:
        """Remove what a worker left that was killed between writing a file and saying so."""
        self.queue.forget_tones(time.time() - _LATE)
        known, late = self.queue.files(), time.time() - _ORPHAN
        for part in ("sources", "results", "tones"):
            folder = self.queue.folder / part
            sweep(folder)
            for path in folder.iterdir():
                with suppress(OSError):
                    if f"{part}/{path.name}" not in known and path.stat().st_mtime < late:
                        path.unlink()

    def _is_done(self) -> bool:
        with suppress(sqlite3.Error):
            return self._polled >= self.sources.keys() and not self.queue.due()
        return False


def _unexpected(error: Exception) -> str:
    """Its kind and place, which help whoever mends it; not what it says, which may quote an image."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
