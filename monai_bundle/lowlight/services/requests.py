"""Requests as they come in, checked field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowlight.services.failures import Failure, bad_request

RequestId = str | int


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        type: what is wanted. id: chosen by the client. fields: all of it.
    """

    type: str
    id: RequestId
    fields: dict[str, Any]

    @classmethod
    def parse(cls, line: bytes) -> Request:
        """A request from its line.

        Raises:
            Failure: the line is none; its detail "id" is that of the request, if it could be read.
        """
        try:
            fields = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise bad_request("A line is not JSON in UTF-8.") from None
        if not isinstance(fields, dict):
            raise bad_request("A line is not a JSON object.")
        number = fields.get("id")
        if isinstance(number, bool) or not isinstance(number, (str, int)) or len(str(number)) > _LONGEST_ID:
            raise bad_request(f"A request has no id: a number, or a text of at most {_LONGEST_ID} characters.")
        wanted = fields.get("type")
        if not isinstance(wanted, str):
            failure = bad_request("A request has no type.")
            failure.details["id"] = number
            raise failure
        return cls(wanted, number, fields)

    def text(self, name: str) -> str | None:
        """A text field; None if it is missing or null."""
        value = self.fields.get(name)
        if value is None or (isinstance(value, str) and value):
            return value
        raise self._wrong(name, "a text")

    def needed(self, name: str) -> str:
        """A text field that has to be there."""
        value = self.text(name)
        if value is None:
            raise bad_request(f'"{self.type}" needs "{name}".')
        return value

    def one_of(self, name: str, choices: Collection[str], default: str | None = None) -> str | None:
        """A text field that is one of some."""
        value = self.text(name)
        if value is None or value in choices:
            return default if value is None else value
        raise self._wrong(name, "one of " + ", ".join(choices))

    def some_of(self, name: str, choices: Collection[str]) -> list[str]:
        """A list of texts, each one of some, without repeats."""
        value = self.fields.get(name)
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(item, str) and item in choices for item in value):
            return list(dict.fromkeys(value))
        raise self._wrong(name, "a list of some of " + ", ".join(choices))

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.fields.get(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        raise self._wrong(name, "true or false")

    def strength(self, name: str, largest: float) -> float | None:
        """A number from 0 to `largest`; None if it is missing or null."""
        value = self.fields.get(name)
        if value is None:
            return None
        number = _number(value)
        if number is None or not 0 <= number <= largest:
            raise self._wrong(name, f"a number from 0 to {largest:g}")
        return number

    def pair(self, name: str) -> tuple[float, float] | None:
        """Two different finite numbers; None if they are missing or null."""
        value = self.fields.get(name)
        if value is None:
            return None
        numbers = [_number(item) for item in value] if isinstance(value, list) else []
        if len(numbers) != 2 or numbers[0] is None or numbers[1] is None or numbers[0] == numbers[1]:
            raise self._wrong(name, "two different numbers, [black, white]")
        return numbers[0], numbers[1]

    def count(self, name: str) -> int | None:
        """A whole number from 0; None if it is missing or null."""
        value = self.fields.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        raise self._wrong(name, "a whole number from 0")

    def path(self, name: str) -> Path:
        """An absolute path that has to be there."""
        return self._absolute(name, self.fields.get(name))

    def paths(self, name: str) -> list[Path]:
        """A list of at least one absolute path."""
        value = self.fields.get(name)
        if not isinstance(value, list) or not value:
            raise self._wrong(name, "a list of absolute paths")
        return [self._absolute(name, item) for item in value]

    def _absolute(self, name: str, value: object) -> Path:
        if isinstance(value, str) and "\0" not in value and Path(value).is_absolute():
            return Path(value)
        raise self._wrong(name, "an absolute path")

    def _wrong(self, name: str, wanted: str) -> Failure:
        return bad_request(f'"{name}" of "{self.type}" is not {wanted}.')


_LONGEST_ID = 100


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _refuse_constant(name: str) -> None:
    # NaN and Infinity, which JSON has not.
    raise ValueError(name)
