"""Reports as rows of a spreadsheet: one line per image, one column per number."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowlight.imaging import atomic_path

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def flat(report: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers and words of a report by the names of their columns.

    Args:
        report: `lowlight.artifacts.ArtifactReport.as_dict()`, or that of the published metrics. Ratings become columns
            ``severity_noise`` or ``rating_blur``; what could not be measured, and why, becomes one text, and so does
            the list of lower bounds.
    """
    cells: dict[str, Any] = {}
    for name, value in report.items():
        if name == "not_measurable":
            cells[name] = "; ".join(f"{number}: {reason}" for number, reason in value.items())
        elif isinstance(value, list):
            cells[name] = "; ".join(map(str, value))
        elif isinstance(value, Mapping):
            prefix = {"severities": "severity", "ratings": "rating"}.get(name, name)
            cells.update({f"{prefix}_{key}": part for key, part in value.items()})
        else:
            cells[name] = value
    return cells


def write_csv(rows: Sequence[Mapping[str, Any]], path: str | Path) -> Path:
    """Write rows with the columns of the first, in its order; None is an empty cell. UTF-8, comma-separated.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.DictWriter(stream, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return path


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Path):
        # A spreadsheet would run "=..." as a formula; with its folder before it, the path is the same file.
        return f"./{value}" if str(value).startswith(_FORMULA) else str(value)
    return str(value)
