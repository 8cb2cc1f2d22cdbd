"""What was measured, as comma-separated text: one line per pair, and one per group and measure."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lowlight.evaluation.measuring import Measures, Row
from lowlight.evaluation.summary import Group
from lowlight.imaging import atomic_path

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(rows: Sequence[Row], path: str | Path) -> Path:
    """One line per pair: group, name, both files, every measure (empty where there is none). UTF-8, comma-separated.

    Raises:
        OutputError: the file cannot be written.
    """
    names = [field.name for field in fields(Measures)]
    lines = (
        [_text(cell) for cell in (row.pair.group, row.pair.name, row.pair.clean.path, row.pair.enhanced.path)]
        + [_cell(getattr(row.measures, name)) for name in names]
        for row in rows
    )
    return _write(path, ["group", "name", "clean", "enhanced", *names], lines)


def write_summary_csv(groups: Sequence[Group], path: str | Path) -> Path:
    """One line per group and measure: number of pairs that have it, mean, 95 % interval of the mean, median.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = (
        [_text(group.name), name, one.count, *map(_cell, (one.mean, one.low, one.high, one.median))]
        for group in groups
        for name, one in group.measures.items()
        if one.count
    )
    return _write(path, ["group", "measure", "count", "mean", "low", "high", "median"], lines)


def summary_path(path: Path) -> Path:
    """Where the summary of a table goes: ``scores_summary.csv`` beside ``scores.csv``."""
    return path.with_name(f"{path.stem}_summary{path.suffix}")


def _text(value: str | Path) -> str:
    """A spreadsheet would run a name that begins like a formula; as a path from here it is the same name."""
    return f"./{value}" if str(value).startswith(_FORMULA) else str(value)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _write(path: str | Path, header: list[str], lines: Iterable[list[Any]]) -> Path:
    path = Path(path)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(lines)
    return path
