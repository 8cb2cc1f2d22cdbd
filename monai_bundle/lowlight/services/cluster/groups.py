"""The groups of a batch, done by a cluster, and told of in their order, as if one process had done them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lowlight.batch.doing import Job
from lowlight.batch.recording import Event, Recorder
from lowlight.services.cluster.connecting import Address, Check, check, connected
from lowlight.services.cluster.flights import Flights, Lost
from lowlight.services.cluster.probing import identity
from lowlight.services.cluster.process import Order, Told, do_groups

_FILES_AT_ONCE = 8
_BYTES_AT_ONCE = 1_000_000
_SAMPLES = 1


@dataclass(frozen=True)
class _Pack:
    """A few groups that travel together.

    Attributes:
        first: number of the first. groups: which. is_alone: nothing else is under way beside it.
    """

    first: int
    groups: tuple[Sequence[Job], ...]
    is_alone: bool = False


def do_elsewhere(
    address: Address,
    order: Order,
    groups: Iterable[Sequence[Job]],
    output: Path,
    names: Mapping[Path, str],
    check_often: Check,
    note: Callable[[str], None],
) -> Generator[Sequence[Event]]:
    """Do groups in a cluster, which is started or connected to when the first of them is known.

    Args:
        address: of the cluster. order: what is asked of it.
        groups: which, taken as workers have room; an empty one is done at once.
        output: folder of the results.
        names: what files are called on a page; empty without one.
        check_often: raises what ends the waiting. note: told lines for people, each once.

    Yields:
        What is told of each group, in their order. A file that ends the process that works on it is refused.

    Raises:
        ClusterError: see `connecting` and `flights`.
    """
    packs = _packed(groups)
    head = list(itertools.islice(packs, 1))
    if not head:
        return
    with connected(address, order.debug) as cluster:
        check(cluster, output, _samples(head))
        order = order if cluster.is_local else replace(order, identity=identity())
        flights: Flights[_Pack] = Flights(cluster, do_groups, check_often, note)
        ahead, suspects = itertools.chain(head, packs), deque[_Pack]()
        told: dict[int, Sequence[Event]] = {}
        heard: set[str] = set()

        def start(pack: _Pack) -> None:
            wanted = [job.found.path for group in pack.groups for job in group]
            flights.start(pack, order, pack.groups, {path: names[path] for path in wanted if path in names})

        for number in itertools.count():
            while number not in told:
                while not suspects and flights.has_room and (pack := next(ahead, None)) is not None:
                    if any(pack.groups):
                        start(pack)
                    else:
                        told[pack.first] = ()
                if suspects and not len(flights):
                    start(replace(suspects.popleft(), is_alone=True))
                if not len(flights):
                    if number not in told:
                        return
                    break
                pack, outcome = flights.next_landed()
                if isinstance(outcome, Lost):
                    # Whoever was beside the file that is at fault has lost its process, too. Alone, it is seen.
                    suspects += _apart(pack) if not pack.is_alone or len(pack.groups) > 1 else ()
                    if pack.is_alone and len(pack.groups) == 1:
                        told[pack.first] = _refused(pack.groups[0])
                    continue
                assert isinstance(outcome, Told)
                told.update(enumerate(outcome.groups, pack.first))
                for line in outcome.notes:
                    if line not in heard:
                        heard.add(line)
                        note(line)
            yield told.pop(number)


def _packed(groups: Iterable[Sequence[Job]]) -> Iterator[_Pack]:
    """Small files together, so that the way to a worker costs little; in their order."""
    held: list[Sequence[Job]] = []
    first = size = files = 0
    for number, group in enumerate(groups):
        weight = sum(_size(job.found.path) for job in group)
        if held and (not group or not held[0] or files + len(group) > _FILES_AT_ONCE or size + weight > _BYTES_AT_ONCE):
            yield _Pack(first, tuple(held))
            first, held, size, files = number, [], 0, 0
        held.append(group)
        size, files = size + weight, files + len(group)
    if held:
        yield _Pack(first, tuple(held))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _samples(packs: Sequence[_Pack]) -> list[Path]:
    """Some inputs that are there."""
    paths = (job.found.path for pack in packs for group in pack.groups for job in group if job.found.fault is None)
    return list(itertools.islice((path for path in paths if _size(path)), _SAMPLES))


def _apart(pack: _Pack) -> list[_Pack]:
    return [_Pack(number, (group,)) for number, group in enumerate(pack.groups, pack.first)]


def _refused(group: Sequence[Job]) -> Sequence[Event]:
    recorder = Recorder()
    for job in group:
        path = job.found.path
        recorder.refused(path, f"{path}: ends the process that works on it, twice; split it or scale it down")
    return recorder.events
