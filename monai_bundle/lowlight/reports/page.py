"""Self-contained HTML pages: written piece by piece, whole or not at all, with nothing loaded from elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lowlight import __version__
from lowlight.imaging import atomic_path
from lowlight.reports import charts, pictures

_CHUNK = 2**18


@dataclass(frozen=True)
class Drawn:
    """A map with its name and what it shows."""

    map: pictures.Map
    name: str
    meaning: str


@dataclass(frozen=True)
class Term:
    """A word on a page and what it means."""

    name: str
    meaning: str


MANY = 40
"""Above this many images pictures are smaller, so that a tablet can still open the page."""


class Page:
    """A page of many cards. Each card is rendered when it comes and kept on disk; memory holds none.

    Use it as a context manager: what is kept goes when the block ends.

    Args:
        template: name of the page's template; the template of a card has the same name with ``_card``.
    """

    def __init__(self, template: str) -> None:
        self._page = _environment().get_template(f"{template}.html")
        self._card = _environment().get_template(f"{template}_card.html")
        # Names of files may hold bytes that are no text in any encoding.
        self._kept = tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.close()

    def add(self, card: Any) -> None:
        """Add a card; ``card`` is what its template is told."""
        self.keep(self.render(card))

    def render(self, card: Any) -> str:
        """The HTML of a card; ``card`` is what its template is told."""
        return self._card.render(card=card)

    def keep(self, rendered: str) -> None:
        """Add a card that `render` gave."""
        self._kept.write(rendered)

    def write(self, path: str | Path, **content: Any) -> Path:
        """Write the page with all cards so far; ``content`` is what its template is told besides.

        Raises:
            OutputError: the file cannot be written.
        """
        path = Path(path)
        with (
            atomic_path(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream,
        ):
            for piece in self._page.generate(cards=self._cards(), written=datetime.now().astimezone(), **content):
                stream.write(piece)
        return path

    def _cards(self) -> Iterator[Markup]:
        self._kept.seek(0)
        while chunk := self._kept.read(_CHUNK):
            yield Markup(chunk)


@cache
def _environment() -> Environment:
    # Always escaped: file names and what files say of themselves are hostile.
    environment = Environment(
        loader=PackageLoader("lowlight.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (files("lowlight.reports") / "style.css").read_text(encoding="utf-8")
    environment.globals.update(
        version=__version__,
        style=Markup(style),
        gradient=pictures.gradient,
        chart_width=charts.WIDTH,
        chart_height=charts.HEIGHT,
    )
    return environment


def sides(expected: int, *of_few: int) -> tuple[int, ...]:
    """Longest sides in pixels of the pictures of a page of so many images, from what they are where there are few."""
    return tuple(side // (1 if expected <= MANY else 2) for side in of_few)


class ImagesPage:
    """A page that gets image by image, then is written; memory holds their numbers, not their pictures.

    Args:
        template: see `Page`.
        expected: how many images there may be; of more than `MANY` the pictures are half as large.
        picture_side, map_side: longest side in pixels of pictures and of maps, where there are few images.
    """

    def __init__(self, template: str, expected: int, picture_side: int, map_side: int) -> None:
        self.page = Page(template)
        self._picture_side, self._map_side = sides(expected, picture_side, map_side)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.page.__exit__(kind, error, trace)
