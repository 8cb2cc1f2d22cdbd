"""Where images come from, over HTTP: what is new is found out again and again, and fetched when it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

from lowlight.errors import RejectedError, UnavailableError
from lowlight.imaging import atomic_path
from lowlight.services.pacs.queue import Queue, Row, Seen
from lowlight.services.pacs.rules import Attributes, DicomwebRule, OrthancRule, Rules
from lowlight.services.pacs.web import Web, is_uid, uid_path

NO_RULE = "no rule is for it"
_CHANGES = 200
_INSTANCE_ID = 5 * 8 + 4  # characters of Orthanc's: five groups of eight hexadecimal digits
_REMEMBERED_SERIES = 1000
_KEYWORDS = {
    "0020000E": "SeriesInstanceUID",
    "00080060": "Modality",
    "00081010": "StationName",
    "00180015": "BodyPartExamined",
    "0008103E": "SeriesDescription",
}


class Source(Protocol):
    """An archive that is asked what is new."""

    @property
    def name(self) -> str:
        """As in the rules."""

    @property
    def poll(self) -> float:
        """Seconds between two questions."""

    def discover(self, queue: Queue) -> int:
        """Add what is new to the queue; returns how many instances that were.

        Raises:
            UnavailableError: the archive cannot be asked now.
        """

    def fetch(self, row: Row, target: Path) -> None:
        """Write an instance as a file.

        Raises:
            UnavailableError: the archive cannot be asked now.
            RejectedError: it does not give this instance.
        """


class OrthancSource:
    """An Orthanc, read through its numbered list of changes (https://orthanc.uclouvain.be/book/users/rest.html).

    Args:
        rule: where it is. rules: what is wanted: the rest is not even fetched.
    """

    def __init__(self, rule: OrthancRule, rules: Rules) -> None:
        self.name, self.poll, self._rules = rule.name, rule.poll, rules
        self._web, self._fetching = Web(rule), Web(rule)
        self._series: dict[str, dict[str, Any]] = {}

    def discover(self, queue: Queue) -> int:
        """See `Source`. Each page of changes and the position behind it become known together."""
        cursor, new = queue.cursor(self.name), 0
        while True:
            page = self._web.json("changes", {"since": cursor, "limit": _CHANGES})
            changes, last, done = self._page(page)
            if last < cursor:
                # Its list starts anew: another disk, or a restored one. What is known does no harm when met again.
                cursor, page = 0, None
                queue.see(self.name, [], cursor=0)
                continue
            seen = [one for change in changes if (one := self._seen(change)) is not None]
            new += queue.see(self.name, seen, cursor=last)
            cursor = last
            if done:
                return new

    def fetch(self, row: Row, target: Path) -> None:
        """See `Source`: the file as it was stored."""
        if not _is_orthanc_id(row.locator):
            raise RejectedError(f"{self.name} tells of an instance under a name that is none of Orthanc's")
        with atomic_path(target) as temporary, temporary.open("r+b") as stream:
            self._fetching.download(f"instances/{row.locator}/file", stream, "application/dicom")

    def _page(self, page: Any) -> tuple[list[Any], int, bool]:
        try:
            return list(page["Changes"]), int(page["Last"]), bool(page["Done"])
        except (TypeError, KeyError, ValueError):
            raise UnavailableError(f"{self.name} answers with something that is no list of changes") from None

    def _seen(self, change: Any) -> Seen | None:
        if not isinstance(change, dict) or change.get("ChangeType") != "NewInstance":
            return None
        identifier = change.get("ID")
        if not isinstance(identifier, str) or not _is_orthanc_id(identifier):
            return None
        try:
            about = self._web.json(f"instances/{identifier}")
            instance, parent = about["MainDicomTags"]["SOPInstanceUID"], about["ParentSeries"]
            series = self._parent(parent)
        except RejectedError:
            # Deleted since.
            return None
        except (TypeError, KeyError):
            raise UnavailableError(f"{self.name} answers with something that is no instance") from None
        if not is_uid(instance):
            return None
        tags = series["MainDicomTags"]
        # It tells the study's description only when asked again; what is not known excludes nothing.
        known: Attributes = {
            **{keyword: str(tags.get(keyword) or "") for keyword in ("Modality", "StationName", "BodyPartExamined")},
            "SeriesDescription": str(tags.get("SeriesDescription") or ""),
        }
        expected = series.get("ExpectedNumberOfInstances")
        return Seen(
            instance,
            series=str(tags.get("SeriesInstanceUID") or ""),
            locator=identifier,
            expected=expected if isinstance(expected, int) and expected > 0 else None,
            skip="" if self._rules.first(known) else NO_RULE,
        )

    def _parent(self, identifier: Any) -> dict[str, Any]:
        if not _is_orthanc_id(identifier):
            raise KeyError(identifier)
        if identifier not in self._series:
            if len(self._series) >= _REMEMBERED_SERIES:
                self._series.clear()
            found = self._web.json(f"series/{identifier}")
            if not isinstance(found.get("MainDicomTags"), dict):
                raise KeyError("MainDicomTags")
            self._series[identifier] = found
        return self._series[identifier]


class DicomwebSource:
    """An archive with QIDO-RS and WADO-RS (PS3.18 10.6, 10.4).

    It has no list of changes. So the studies of the last days are asked for, and one is looked through if it has not
    the number of instances that it had then: that number, a study, is the cursor.

    Args:
        rule: where it is. rules: what is wanted: the rest is not even fetched.
        today: the date until which studies are asked for.
    """

    def __init__(self, rule: DicomwebRule, rules: Rules, today: Callable[[], date] = date.today) -> None:
        self.name, self.poll, self._rule, self._rules, self._today = rule.name, rule.poll, rule, rules, today
        self._web, self._fetching = Web(rule), Web(rule)

    def discover(self, queue: Queue) -> int:
        """See `Source`."""
        known, new = queue.known_studies(self.name), 0
        first = self._today() - timedelta(days=self._rule.days)
        # Open at the end: clocks of modalities differ.
        dates = f"{first:%Y%m%d}-"
        for study in self._pages("studies", {"StudyDate": dates, "includefield": "00201208"}):
            uid, count = _value(study, "0020000D"), _number(_value(study, "00201208"))
            if not is_uid(uid) or (count is not None and known.get(uid) == count):
                continue
            seen = list(self._instances(uid))
            # Counted, if it does not say.
            new += queue.see(self.name, seen, study=(uid, len(seen) if count is None else count))
        return new

    def fetch(self, row: Row, target: Path) -> None:
        """See `Source`: in the transfer syntax in which it is stored."""
        path = uid_path(studies=row.study, series=row.series, instances=row.instance)
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        with atomic_path(target) as temporary, temporary.open("r+b") as stream:
            self._fetching.download(path, stream, accept)

    def _instances(self, study: str) -> Iterator[Seen]:
        asked: dict[str, str | int] = {"includefield": "00081010,00180015"}
        for series in self._pages(f"studies/{study}/series", asked):
            uid = _value(series, "0020000E")
            if not is_uid(uid):
                continue
            known = {keyword: _text(series, tag) for tag, keyword in _KEYWORDS.items()}
            skip = "" if self._rules.first(known) else NO_RULE
            for found in self._pages(f"studies/{study}/series/{uid}/instances", {"includefield": "00201002"}):
                instance = _value(found, "00080018")
                if is_uid(instance):
                    expected = _number(_value(found, "00201002"))
                    yield Seen(instance, study, uid, expected=expected or None, skip=skip)

    def _pages(self, path: str, query: dict[str, str | int]) -> Iterator[dict[str, Any]]:
        """All matches, page by page. An archive that gives the same page again and again does not keep us for ever."""
        offset, before = 0, None
        while True:
            page = self._web.json(path, {**query, "limit": self._rule.page, "offset": offset})
            if not isinstance(page, list) or not all(isinstance(match, dict) for match in page):
                raise UnavailableError(f"{self.name} answers with something that is no list of matches")
            if page and page == before:
                return
            yield from page
            if len(page) < self._rule.page:
                return
            offset, before = offset + len(page), page


def _is_orthanc_id(text: Any) -> bool:
    return isinstance(text, str) and len(text) == _INSTANCE_ID and set(text) <= set("0123456789abcdef-")


def _value(match: dict[str, Any], tag: str) -> Any:
    """The first value of an element in the DICOM JSON Model (PS3.18 F); None where there is none."""
    element = match.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _text(match: dict[str, Any], tag: str) -> str | None:
    """Text of an element; None where the archive did not tell it, which excludes nothing."""
    value = _value(match, tag)
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
