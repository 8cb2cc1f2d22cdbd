"""`lowlight archive`: what would take days, in many processes, to be interrupted and gone on with at any time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from lowlight import __version__
from lowlight.batch.signals import interruption
from lowlight.batch.text import counted, printable
from lowlight.cli.guarding import guarded
from lowlight.cli.options import (
    FLAG,
    AnyModality,
    ClusterAddress,
    Compression,
    Debug,
    Device,
    EngineName,
    LimitWishes,
    MaxMemory,
    Modality,
    NamedAsInputs,
    NetworkSize,
    RunningEngine,
    Size,
    ValueRange,
    Window,
    dicom_reading,
    memory_of,
    strength,
)

if TYPE_CHECKING:
    from lowlight.services.cluster.ledger import Entry, Ledger, State, Verdict
    from lowlight.services.cluster.process import Order

_WINDOW = 120.0  # seconds over which speed is measured
_LINE_EVERY = 60.0
_JSON_EVERY = 10.0


@guarded
def archive(
    *,
    manifest: Annotated[
        Path,
        typer.Argument(
            readable=False,
            help="A folder, or a text or CSV file with one path a line; relative paths count from its folder.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            readable=False,
            help="Folder for the results and, in .lowlight below it, the ledger of what is done.",
        ),
    ],
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=999, help="Processes on this machine. Default: one a core.")
    ] = None,
    cluster: ClusterAddress = None,
    retry: Annotated[
        bool, typer.Option("--retry", metavar=FLAG, help="Also try again what was refused, missing or set aside.")
    ] = False,
    brightness: Annotated[float | None, strength(1.5, "As for lowlight enhance, like the options below.")] = None,
    denoise: Annotated[float | None, strength(1, "See there.")] = None,
    modality: Annotated[Modality | None, typer.Option(help="Kind of image. Default: what each file says.")] = None,
    force: Annotated[
        bool, typer.Option("--force", metavar=FLAG, help="Enhance images that are judged undamaged, too.")
    ] = False,
    value_range: ValueRange = None,
    window: Window = 1,
    any_modality: AnyModality = False,
    compress: Annotated[Compression | None, typer.Option(help="DICOM: compress the results, without loss.")] = None,
    label: Annotated[
        bool, typer.Option("--label", metavar=FLAG, help="Burn a visible mark into a corner of what was enhanced.")
    ] = False,
    named_as_inputs: NamedAsInputs = False,
    limits: LimitWishes = None,
    max_memory: MaxMemory = None,
    size: NetworkSize = Size.DEFAULT,
    engine: RunningEngine = EngineName.AUTO,
    device: Device = "auto",
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", metavar=FLAG, help="Print JSON lines: one per file, progress in between, and a summary at last."
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Enhance archives of up to millions of images, in many processes.

    It keeps a ledger beside the results, and can be interrupted or killed at any time: the same command goes on where
    it was, and does nothing twice. A file that ends the process that works on it is set aside.
    """
    from lowlight.batch.enhancing import Wishes
    from lowlight.cli.batch import check_writable
    from lowlight.enhance.settings import Settings
    from lowlight.errors import InputError
    from lowlight.imaging.atomic import is_same_file
    from lowlight.services.cluster.connecting import Address, connected, require_dask

    if cluster is not None and workers is not None:
        raise typer.BadParameter("is for this machine alone; leave one of the two out", param_hint="'--workers'")
    require_dask()
    from lowlight.services.cluster.archiving import fill, settle, work_off, write_refused
    from lowlight.services.cluster.chunk import ArchiveOrder
    from lowlight.services.cluster.ledger import Ledger, State
    from lowlight.services.cluster.manifest import Manifest
    from lowlight.services.cluster.process import Order

    reading = dicom_reading(window, any_modality, limits)
    kind = None if modality is None else modality.value
    wishes = Wishes(
        brightness, denoise, kind, force, label, device, memory_of(max_memory), size=size.value, engine=engine.value
    )
    packed = None if compress is None else compress.value
    order = Order(wishes, Settings.read(), reading, packed, value_range, debug)
    listed = Manifest.of(manifest)
    output = Path(os.path.abspath(output))  # noqa: PTH100  (workers may have another current folder)
    if listed.is_folder and is_same_file(listed.file, output):
        raise InputError(output, "is the folder of the images themselves", "choose another folder with -o")
    check_writable(output)
    address = Address.of(cluster or f"local[{workers or os.cpu_count() or 1}]")

    with ExitStack() as stack:
        ledger = Ledger(output)
        stack.callback(ledger.close)
        progress = _Progress(ledger, as_json)
        try:
            with progress:
                fill(ledger, listed, progress, _deciding(order, named_as_inputs))
                if retry:
                    ledger.retry()
                settle(ledger, progress)
                progress.start()
                if ledger.counts()[State.WAITING]:
                    progress.show("starting the workers")
                    todo = ArchiveOrder(order, output, named_as_inputs, explicit=not listed.is_folder)
                    try:
                        with connected(address, debug) as there:
                            progress.show("enhancing")
                            work_off(ledger, there, todo, progress, interruption.check, interruption.held)
                    except BaseException:
                        # Those of a scheduler may still be at work, and it is found again next time.
                        if address.workers is not None:
                            settle(ledger, progress)
                        raise
        except KeyboardInterrupt:
            progress.close(interrupted=True)
            raise typer.Exit(interruption.exit_code) from None
        except Exception as error:
            progress.failed(error)
            raise
        table = write_refused(ledger)
        progress.close(table=table)
        counts = ledger.counts()
    raise typer.Exit(int(any(counts[state] for state in (State.REFUSED, State.MISSING, State.SET_ASIDE))))


def _deciding(order: Order, named_as_inputs: bool) -> str:
    """What decides on results and their names, on one line, for people as well."""
    from lowlight.bundle import bundle_root
    from lowlight.enhance.definition import Definition
    from lowlight.enhance.identity import ModelIdentity

    wishes, root = order.wishes, bundle_root()
    weights = ModelIdentity.of(root, Definition.of(root, wishes.size).weights_file).weights_sha256
    said: dict[str, Any] = {
        **wishes.recorded,
        # Named even where it is the default: with another, people have to find out which it was.
        "size": wishes.size,
        "modality": wishes.modality,
        "value range": order.value_range,
        "window": None if order.reading.window == 1 else order.reading.window,
        "any modality": order.reading.any_modality or None,
        "compress": order.compress,
        "phi": named_as_inputs or None,
        "settings": json.dumps(order.settings.entries, sort_keys=True, default=str) if order.settings.entries else None,
    }
    options = [f"{name} {value}" for name, value in said.items() if value is not None]
    return ", ".join([f"lowlight {__version__}", f"weights {weights[:16]}", *options])


class _Progress:
    """Tells how it goes: a bar with speed and time to go on terminals, a line a minute elsewhere, or JSON lines."""

    def __init__(self, ledger: Ledger, as_json: bool) -> None:
        self._ledger, self._json = ledger, as_json
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}", markup=False),
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=as_json or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("reading the list", total=None, speed="")
        self._started = self._spoken = time.monotonic()
        self._passed: deque[tuple[float, int]] = deque()
        self._ended = self._total = self._worked = 0

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def counting(self, looked: int) -> None:
        """So many paths of the list were looked at."""
        interruption.check()
        self.show(f"reading the list: {looked}")

    def start(self) -> None:
        """The list is known."""
        from lowlight.services.cluster.ledger import State

        self._total = self._ledger.total()
        self._ended = self._total - self._ledger.counts()[State.WAITING]
        self._worked = 0
        self._passed.clear()
        self._passed.append((time.monotonic(), self._ended))
        self._bar.update(self._task, total=self._total, completed=self._ended)

    def show(self, text: str) -> None:
        """Say before the bar what goes on."""
        self._bar.update(self._task, description=text)

    def note(self, text: str) -> None:
        """A line for people."""
        if not self._json:
            self._console.print(printable(text))

    def verdicts(self, entries: dict[int, Entry], verdicts: Sequence[Verdict]) -> None:
        """What became of some entries."""
        self._ended += len(verdicts)
        self._worked += len(verdicts)
        now = time.monotonic()
        self._passed.append((now, self._ended))
        while len(self._passed) > 2 and now - self._passed[0][0] > _WINDOW:
            self._passed.popleft()
        self._bar.update(self._task, completed=self._ended, speed=self._speed())
        if self._json:
            for verdict in verdicts:
                self._print(self._line(entries[verdict.number], verdict))
        if now - self._spoken >= (_JSON_EVERY if self._json else _LINE_EVERY):
            self._spoken = now
            if self._json:
                self._print({"progress": self._numbers()})
            elif not self._console.is_terminal:
                self.note(f"{self._ended} of {self._total}, {self._speed()}")

    def close(self, interrupted: bool = False, table: Path | None = None) -> None:
        """Say how it went, as the last line."""
        from lowlight.services.cluster.ledger import State

        self._bar.stop()
        counts, unchanged = self._ledger.counts(), self._ledger.unchanged()
        seconds = time.monotonic() - self._started
        if self._json:
            self._print(self._summary(interrupted=interrupted, table=None if table is None else str(table)))
            return
        words = [f"{counts[State.DONE] - unchanged} of {counted(self._ledger.total(), 'file')} enhanced"]
        words += [f"{unchanged} left unchanged"] if unchanged else []
        words += [f"{counts[state]} {state.words}" for state in State if state > State.DONE and counts[state]]
        words += [f"{counts[State.WAITING]} still waiting"] if counts[State.WAITING] else []
        now = f"{self._worked} in {seconds:.1f} s" if self._worked else "nothing new in this run"
        said = f"{', '.join(words)}, in {self._ledger.output} ({now})"
        if not self._ledger.total():
            self.note("no image was found: the list or folder is empty")
        if interrupted:
            self.note(f"interrupted: {said}; the same command goes on")
            return
        if table is not None:
            self.note(f"what was not enhanced, and why: {table}")
        print(printable(said), flush=True)

    def failed(self, error: Exception) -> None:
        """What ends it is told to programs in the summary; people are told by whoever catches it."""
        self._bar.stop()
        if self._json:
            self._print(self._summary(error=str(error) or type(error).__name__))

    def _line(self, entry: Entry, verdict: Verdict) -> dict[str, Any]:
        from lowlight.services.cluster.places import below

        result = None if verdict.result is None else str(below(self._ledger.output, verdict.result))
        return {
            "input": str(entry.path),
            "output": result,
            "status": verdict.state.words,
            "message": verdict.reason,
            "warning": verdict.warning,
            "unchanged": verdict.unchanged,
            "seconds": verdict.seconds,
        }

    def _summary(self, **more: Any) -> dict[str, Any]:
        counts: dict[State, int] = self._ledger.counts()
        words = {state.words: count for state, count in counts.items()}
        seconds = round(time.monotonic() - self._started, 3)
        unchanged, total = self._ledger.unchanged(), self._ledger.total()
        return {"summary": {**words, "unchanged": unchanged, "total": total, "seconds": seconds, **more}}

    def _rate(self) -> float:
        (began, before), (now, ended) = self._passed[0], self._passed[-1]
        return (ended - before) / (now - began) if now > began else 0.0

    def _speed(self) -> str:
        rate = self._rate()
        if not rate:
            return ""
        left = timedelta(seconds=round((self._total - self._ended) / rate))
        return f"{rate:.1f}/s, {left} to go"

    def _numbers(self) -> dict[str, Any]:
        rate = self._rate()
        left = None if not rate else round((self._total - self._ended) / rate)
        return {"done": self._ended, "total": self._total, "per_second": round(rate, 2), "seconds_to_go": left}

    @staticmethod
    def _print(content: dict[str, Any]) -> None:
        print(json.dumps(content, ensure_ascii=True), flush=True, file=sys.stdout)
