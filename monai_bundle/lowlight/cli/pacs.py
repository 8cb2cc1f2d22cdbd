"""`lowlight pacs`: the worker that stores derived series beside the dark images of an archive."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowlight.batch.signals import interruption
from lowlight.batch.text import counted, printable
from lowlight.cli.guarding import guarded
from lowlight.cli.options import FLAG, Debug
from lowlight.errors import DependencyError, InputError

if TYPE_CHECKING:
    from lowlight.services.pacs.queue import Queue, Row
    from lowlight.services.pacs.rules import Rules

pacs = typer.Typer(
    help="Watch an archive for dark images and store derived series beside them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
quarantine = typer.Typer(help="Instances that somebody has to look at.", no_args_is_help=True)
pacs.add_typer(quarantine, name="quarantine")

RulesFile = Annotated[Path, typer.Argument(metavar="RULES", readable=False, help="The rules: a YAML file.")]
Json = Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print JSON, nothing else.")]
Uids = Annotated[
    bool, typer.Option("--uids", metavar=FLAG, help="Also show SOP Instance UIDs; without, hashes of them alone.")
]


@pacs.command()
@guarded
def run(
    *,
    rules: RulesFile,
    dry_run: Annotated[
        bool | None,
        typer.Option("--dry-run/--no-dry-run", help="Only print what would be done. Default: what the rules say."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", metavar=FLAG, help="End when nothing is left to do, instead of never.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Start a worker. Logs go to standard error, one JSON object a line. It ends by Ctrl-C or termination."""
    the_rules = _loaded(rules)
    if dry_run is not None:
        the_rules = the_rules.model_copy(update={"dry_run": dry_run})
    from lowlight.services.pacs.health import HealthServer
    from lowlight.services.pacs.logs import logging_to
    from lowlight.services.pacs.queue import Queue
    from lowlight.services.pacs.worker import Worker

    with ExitStack() as stack:
        stack.enter_context(logging_to(sys.stderr))
        folder = the_rules.folder
        if the_rules.dry_run:
            # A state of its own: what it finds must not count as done.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lowlight-dry-run-")))
        queue = Queue(folder)
        stack.callback(queue.close)
        worker = Worker(the_rules, queue, once=once)
        if the_rules.health is not None:
            stack.callback(HealthServer(the_rules.health, queue, worker.progress).stop)
        # One that came while libraries were loading, and was swallowed by them.
        interruption.check()
        try:
            worker.run()
        finally:
            if the_rules.dry_run:
                _print_dry_run(queue, the_rules)
        left = sum(
            count for state, count in queue.counts().items() if state in ("seen", "claimed", "enhanced", "stored")
        )
        raise typer.Exit(1 if once and (left or worker.progress.faults) else 0)


@pacs.command()
@guarded
def check(*, rules: RulesFile, debug: Debug = False) -> None:
    """Check the rules, and whether the secrets and certificates that they name can be used; nothing is started."""
    the_rules = _loaded(rules)
    from lowlight.services.pacs.dimse import tls_client
    from lowlight.services.pacs.rules import WebRule

    secrets: list[Path | None] = []
    for part in (*the_rules.sources, *the_rules.destinations):
        if isinstance(part, WebRule):
            part.password()
            part.token()
            part.check_certificates()
            secrets += [part.password_file, part.token_file, part.client_key]
        elif part.tls is not None:
            tls_client(part.tls)
            secrets.append(part.tls.key)
    for file in dict.fromkeys(secrets):
        if file is not None and os.name == "posix" and file.stat().st_mode & stat.S_IROTH:
            print(
                f"{printable(file)}: every user of this machine may read this secret; chmod o= takes that away",
                file=sys.stderr,
            )
    dry = "a dry run, " if the_rules.dry_run else ""
    parts = (counted(len(the_rules.sources), "source"), counted(len(the_rules.rules), "rule"))
    print(f"{printable(rules)}: {dry}{', '.join(parts)}, {counted(len(the_rules.destinations), 'destination')}")


@pacs.command()
@guarded
def status(*, rules: RulesFile, as_json: Json = False, debug: Debug = False) -> None:
    """Show how many instances are in each state, and why those that wait, were skipped or are in quarantine do.

    Where the rules state a health port the worker is asked, too, what does not answer it.
    """
    from lowlight.services.pacs.health import asked
    from lowlight.services.pacs.queue import State

    the_rules = _loaded(rules)
    queue = _queue(the_rules)
    counts, reasons = queue.counts(), queue.reasons(*State)
    queue.close()
    worker, faults = (None, {}) if the_rules.health is None else asked(the_rules.health)
    if as_json:
        told = [{"state": state, "reason": reason, "instances": count} for state, reason, count in reasons]
        print(json.dumps({"instances": counts, "reasons": told, "worker": worker, "faults": faults}))
        return
    if worker is not None:
        print(f"worker: {worker}")
    if faults:
        _print_table(("what does not answer", "why"), sorted(faults.items()))
    _print_table(("state", "instances"), [(state, str(count)) for state, count in counts.items()])
    if reasons:
        _print_table(("state", "instances", "reason"), [(state, str(count), why) for state, why, count in reasons])


@pacs.command()
@guarded
def retry(
    *,
    rules: RulesFile,
    instances: Annotated[
        list[str] | None, typer.Argument(metavar="[INSTANCE]...", help="Hashes or SOP Instance UIDs; default: all.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Send instances in quarantine on their way again, and try now what waits for its next try."""
    from lowlight.services.pacs.logs import pseudonym
    from lowlight.services.pacs.queue import State

    queue = _queue(_loaded(rules))
    try:
        chosen = None
        if instances:
            rows = queue.rows(State.SEEN, State.ENHANCED, State.STORED, State.QUARANTINED)
            known = {name: row.instance for row in rows for name in (row.instance, pseudonym(row.instance))}
            for name in instances:
                if name not in known:
                    raise InputError(
                        name, "neither waits nor is in quarantine", "lowlight pacs quarantine list shows which are"
                    )
            chosen = [known[name] for name in instances]
        count = queue.retry(chosen)
    finally:
        queue.close()
    print(f"{counted(count, 'instance')} on the way again")


@quarantine.command("list")
@guarded
def list_quarantine(*, rules: RulesFile, uids: Uids = False, as_json: Json = False, debug: Debug = False) -> None:
    """Show what is in quarantine, and why."""
    from lowlight.services.pacs.queue import State

    queue = _queue(_loaded(rules))
    rows = queue.rows(State.QUARANTINED)
    queue.close()
    told = [_about(row, uids) for row in rows]
    if as_json:
        for entry in told:
            print(json.dumps(entry))
        return
    if not told:
        print("nothing is in quarantine")
        return
    _print_table(tuple(told[0]), [tuple(map(str, entry.values())) for entry in told])


def _about(row: Row, uids: bool) -> dict[str, Any]:
    from lowlight.services.pacs.logs import pseudonym

    told: dict[str, Any] = {"instance": pseudonym(row.instance), "series": pseudonym(row.series) if row.series else ""}
    if uids:
        told["uid"] = row.instance
    return {**told, "source": row.source, "attempts": row.attempts, "reason": row.reason}


def _print_dry_run(queue: Queue, rules: Rules) -> None:
    from lowlight.services.pacs.queue import State

    rows = queue.rows(*State)
    entries = [
        (_about(row, uids=False)["instance"], row.source, row.rule or "", row.reason or row.state) for row in rows
    ]
    _print_table(("instance", "source", "rule", "what would be done, or why not"), sorted(entries, key=lambda e: e[3]))
    print(f"a dry run: nothing was stored; {counted(len(rows), 'instance')} looked at")
    if any(source.kind == "dimse" for source in rules.sources):
        print("a dry run does not listen: what a caller sends would be lost")


def _loaded(path: Path) -> Rules:
    try:
        import prometheus_client  # noqa: F401
        import pynetdicom  # noqa: F401

        from lowlight.services.pacs.rules import load
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"this needs the package {error.name}, which is not installed; pip install 'lowlight-enhance[pacs]'"
        ) from None
    return load(path)


def _queue(rules: Rules) -> Queue:
    from lowlight.services.pacs.queue import Queue

    return Queue(rules.folder, worker=False)


def _print_table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    view = Table(header_style="bold")
    for title in titles:
        view.add_column(title, overflow="fold")
    for row in rows:
        view.add_row(*map(printable, row))
    width = None if sys.stdout.isatty() else 200
    Console(markup=False, highlight=False, emoji=False, width=width).print(view)
