"""What a command tells while it works: lines for people with a progress bar, or JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lowlight.batch.text import counted, printable
from lowlight.errors import InputError


class Status(StrEnum):
    """What became of an input."""

    DONE = "done"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True)
class Entry:
    """One JSON line.

    Attributes:
        input, output: paths; None where there is none.
        status: what became of it.
        message: why it was skipped or refused.
        warning: what the user should know of the input, although it was worked on.
        seconds: how long it took.
        parameters: what was done, so that it can be done again.
        measures: what was measured, by commands that measure.
    """

    input: str
    output: str | None
    status: Status
    message: str | None = None
    seconds: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)
    measures: dict[str, Any] = field(default_factory=dict)
    warning: str | None = None


class Report:
    """Tells what becomes of each of a number of files, and counts it.

    Results go to stdout; what was skipped or refused, and the progress bar, to stderr. The bar is drawn on terminals
    only. With ``as_json`` everything goes to stdout, as JSON lines.

    Args:
        doing, done: what is done to the files, as in "enhancing" and "enhanced".
        total: number of files.
        as_json: for programs.

    Attributes:
        unchanged: how many of the files that are done were left as they are.
        show_card: called with what a page shows of each file that is done, if there is a page.
    """

    def __init__(self, doing: str, done: str, total: int, as_json: bool) -> None:
        self.doing, self.done_word, self.total, self.as_json = doing, done, total, as_json
        self.counts: Counter[Status] = Counter()
        self.unchanged = 0
        self.show_card: Callable[[Any], None] = lambda card: None
        self._started = time.monotonic()
        self._warning: str | None = None
        self._errors = Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._errors,
            transient=True,
            # stdout may go to a file while stderr is a terminal: it has to stay what it is.
            redirect_stdout=False,
            redirect_stderr=False,
            disable=as_json or not self._errors.is_terminal,
        )
        self._task = self._progress.add_task(doing, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def exit_code(self) -> int:
        """0, or 1 if something was refused."""
        return int(self.counts[Status.REFUSED] > 0)

    @property
    def left_out(self) -> int:
        """Number of files that were skipped or refused."""
        return self.counts[Status.SKIPPED] + self.counts[Status.REFUSED]

    @property
    def not_reached(self) -> int:
        """Number of files that nothing is known of yet."""
        return self.total - sum(self.counts.values())

    def begin(self, path: Path) -> None:
        """Show that this file is being worked on."""
        self.show(f"{self.doing} {printable(path.name)}")

    def show(self, text: str) -> None:
        """Say before the bar what goes on."""
        self._progress.update(self._task, description=text)

    def step(self, done: int, total: int) -> None:
        """Show how much of this file (frames, tiles) is done."""
        finished = sum(self.counts.values())
        self._progress.update(self._task, completed=finished + done / max(total, 1))

    def done(
        self,
        source: Path,
        output: Path | None,
        seconds: float,
        parameters: dict[str, Any] | None = None,
        measures: dict[str, Any] | None = None,
        line: str = "",
        unchanged: bool = False,
    ) -> None:
        """A file is done; ``line`` is what people are told about it, if anything."""
        self.unchanged += unchanged
        target = None if output is None else str(output)
        entry = Entry(str(source), target, Status.DONE, None, round(seconds, 3), parameters or {}, measures or {})
        self._add(entry)
        if line and not self.as_json:
            self.tell(line)

    def skipped(self, error: InputError) -> None:
        """A file that is no image was left out."""
        self._turned_down(Status.SKIPPED, Path(error.source), str(error))

    def refused(self, source: Path, message: str, quietly: bool = False) -> None:
        """A file could not be worked on, or its result not written; ``quietly`` leaves the line for people away."""
        self._turned_down(Status.REFUSED, source, message, quietly)

    def warn(self, message: str) -> None:
        """Something to know about the file that is being worked on; programs are told with what becomes of it."""
        self._warning = message
        self.note(f"warning: {message}")

    def note(self, text: str) -> None:
        """A line for people that is no result, on stderr."""
        if not self.as_json:
            self._errors.print(printable(text))

    def tell(self, text: str) -> None:
        """A line of results on stdout."""
        if self._progress.live.is_started and sys.stdout.isatty():
            # Through the bar's console, which keeps the bar below the line.
            self._errors.print(printable(text))
        else:
            print(printable(text), flush=True)

    def close(
        self, where: Path | None = None, interrupted: bool = False, summary: dict[str, Any] | None = None
    ) -> None:
        """Say how it went, as the last line; ``where`` results lie, and what a ``summary`` for programs has besides."""
        self._progress.stop()
        seconds = time.monotonic() - self._started
        done = self.counts[Status.DONE]
        if self.as_json:
            counts = {str(status): self.counts[status] for status in Status}
            outcome = {"total": self.total, "interrupted": interrupted, "seconds": round(seconds, 3)}
            self.print_json({"summary": {**counts, **outcome, **(summary or {})}})
            return
        place = f", in {where}" if where is not None and done else ""
        if interrupted:
            complete = f"; {'it is' if done == 1 else 'these are'} complete{place}" if done else ""
            kept = f", {self.unchanged} of them left unchanged" if self.unchanged else ""
            self._errors.print(
                printable(f"interrupted: {done} of {counted(self.total, 'file')} {self.done_word}{kept}{complete}")
            )
            return
        parts = [f"{counted(done - self.unchanged, 'file')} {self.done_word}"]
        parts += [f"{self.unchanged} left unchanged"] if self.unchanged else []
        parts[-1] += place
        parts += [
            f"{self.counts[status]} {status}" for status in (Status.SKIPPED, Status.REFUSED) if self.counts[status]
        ]
        self.tell(f"{', '.join(parts)} ({seconds:.1f} s)")

    def failed(self, error: Exception) -> None:
        """What ends the whole batch is told to programs in the summary; people are told by whoever catches it."""
        if self.as_json:
            self.close(summary={"error": str(error) or type(error).__name__})

    def _turned_down(self, status: Status, source: Path, message: str, quietly: bool = False) -> None:
        self._add(Entry(str(source), None, status, message))
        if not quietly:
            self.note(f"{status}: {message}")

    def _add(self, entry: Entry) -> None:
        entry, self._warning = replace(entry, warning=self._warning), None
        self.counts[entry.status] += 1
        self._progress.update(self._task, completed=sum(self.counts.values()))
        if self.as_json:
            self.print_json(asdict(entry))

    @staticmethod
    def print_json(content: dict[str, Any]) -> None:
        # ASCII: file names that are no valid text survive as escapes, whatever encoding the reader expects.
        print(json.dumps(_plain(content), ensure_ascii=True, allow_nan=False), flush=True)


def _plain(value: Any) -> Any:
    """As JSON knows it: NumPy numbers as numbers, NaN and infinity as null, paths as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
