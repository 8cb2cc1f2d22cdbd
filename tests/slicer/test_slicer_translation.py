"""Every text for people goes through `_()`, as a literal, where Slicer's translators find it."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "LowLightEnhance"
FILES = [MODULE / "LowLightEnhance.py", *sorted((MODULE / "LowLightEnhanceLib").glob("*.py"))]
LIKE_WORDS = re.compile(r"[A-Za-z]{2,}.*\s|\s.*[A-Za-z]{2,}|^[A-Z][a-z]+[.…:!?]?$")
"""A capitalised word, or letters with a space somewhere: what a person might be meant to read."""
FOR_MACHINES = {
    # Folders, keys of Qt, attributes, a phase, what pip says.
    *("Resources", "Icons", "Left", "Right", "Backspace", "Return", "Enter", "Page", "Name", "handing over"),
    *("Collecting", "Processing", "Installing"),
}
IN_NO_LANGUAGE = re.compile(r"<(item|layout|span)\b|\{.*\} %$|^(< 1)? MB$|background: #|border-radius|^QLabel ")
"""Layouts, styles and units."""
NO_TEXTS = ("_", "translate", "connect", "match", "search", "fullmatch", "sub")
"""Calls whose arguments are translated, or are signatures and patterns."""


def called(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def strings(node: ast.AST, within: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Texts that are neither docstrings nor arguments of `NO_TEXTS`, with their lines."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            if not isinstance(node, ast.Expr) and not set(within) & set(NO_TEXTS):
                yield child.value, child.lineno
        else:
            yield from strings(child, (*within, called(child)) if isinstance(child, ast.Call) else within)


def escaped(source: str) -> list[str]:
    """What a person might read, and a translator would not see."""
    return [
        f"{line}: {text}"
        for text, line in strings(ast.parse(source))
        if LIKE_WORDS.search(text) and text not in FOR_MACHINES and not IN_NO_LANGUAGE.search(text)
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_text_for_people_stays_english(file):
    assert escaped(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_translated_is_a_literal(file):
    """Of a text that is put together first, no translator ever learns."""
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    for call in calls:
        if called(call) == "_":
            assert isinstance(call.args[0], ast.Constant), f"{file.name}:{call.lineno}"


@pytest.mark.parametrize(
    "line",
    [
        'label.text = "Everything is installed."',
        'label.toolTip = "Stop"',
        'panel.tell(f"{count} files were written")',
        'node.SetName(f"{name} wipe")',
        'raise ValueError("an array of another shape")',
        'NAMES = {"NM": "nuclear medicine"}',
        'bar.format = "Done" if done else _("Cancelled")',
    ],
)
def test_this_would_be_noticed(line):
    assert escaped(line)


def test_forms_offer_all_their_texts_for_translation():
    for file in (MODULE / "Resources" / "UI").glob("*.ui"):
        for asked in ElementTree.parse(file).iter("property"):
            hidden = [text for text in asked.iter("string") if text.get("notr")]
            assert not hidden or asked.get("name") == "styleSheet", f"{file.name}: {hidden[0].text}"
