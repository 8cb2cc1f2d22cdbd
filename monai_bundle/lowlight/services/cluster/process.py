"""What runs in a worker: one group of files at a time, by an engine that is loaded once."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lowlight.batch.doing import GroupDoer, Job, Work, Writing
from lowlight.batch.enhancing import ImageEnhancer, Wishes
from lowlight.batch.recording import Event, Recorder
from lowlight.errors import ClusterError
from lowlight.imaging.limits import DicomReading
from lowlight.services.cluster.probing import Identity, identity

if TYPE_CHECKING:
    from lowlight.enhance.settings import Settings

ONE_AT_A_TIME = threading.Lock()
"""A worker may have several threads; engine and decoders are this process's."""

_loaded: tuple[bytes, ImageEnhancer] | None = None


@dataclass(frozen=True)
class Order:
    """What is asked of workers, whatever the files.

    Attributes:
        wishes: of the enhancement. settings: the user's, from where the command was given.
        reading, compress, value_range: how files are read and written. debug: say more.
        identity: of the process that asks: a worker that differs refuses. None: they are alike.
    """

    wishes: Wishes
    settings: Settings
    reading: DicomReading
    compress: str | None = None
    value_range: tuple[float, float] | None = None
    debug: bool = False
    identity: Identity | None = None

    def check(self) -> None:
        """Refuse to work where results would be others.

        Raises:
            ClusterError: this process differs from the one that asks.
        """
        if self.identity is not None and (differing := self.identity.differences(identity())):
            remedy = "install the same there as on the machine that asks"
            raise ClusterError(f"{identity().host} has {', '.join(differing)}; {remedy}")


def engine(order: Order) -> ImageEnhancer:
    """The engine for these wishes, loaded when it is first asked for.

    Raises:
        BundleError, DependencyError, InputError: as `lowlight.Enhancer`.
    """
    global _loaded
    key = pickle.dumps((order.wishes, order.settings))
    if _loaded is None or _loaded[0] != key:
        _loaded = (key, ImageEnhancer(order.wishes, order.settings))
    return _loaded[1]


@dataclass(frozen=True)
class Told:
    """What became of some groups.

    Attributes:
        groups: events of each group. notes: what is to be known of this process's engine, once.
    """

    groups: list[list[Event]]
    notes: list[str]


def do_groups(order: Order, groups: Sequence[Sequence[Job]], names: Mapping[Path, str]) -> Told:
    """Do groups as `lowlight enhance` does them, and return what is told of each.

    Raises:
        ClusterError, BundleError, DependencyError: nothing can be done here.
    """
    with ONE_AT_A_TIME:
        order.check()
        notes: list[str] = []

        def work() -> Work:
            loaded = engine(order)
            notes[:] = loaded.outdated
            return loaded.work(names)

        told = []
        for group in groups:
            recorder = Recorder()
            doer = GroupDoer(work, recorder, order.value_range, order.reading, Writing(order.compress), order.debug)
            doer.do(group)
            told.append(recorder.events)
        return Told(told, notes)
