"""Tasks that are under way in a cluster, and how they come back."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lowlight.errors import ClusterError
from lowlight.services.cluster.connecting import Check, Cluster

if TYPE_CHECKING:
    from distributed import Future

_AT_EACH = 3
_LOOK_AGAIN, _COUNT_AGAIN = 0.25, 5.0
_PATIENCE = 600.0

Task = TypeVar("Task")


@dataclass(frozen=True)
class Lost:
    """The process that worked on a task has ended in the middle of it, or in the middle of one beside it."""


class Flights(Generic[Task]):
    """Sends tasks to the workers, a few more than they can do at once, and gives back what becomes of them.

    Args:
        cluster: where to.
        function: what workers call, with what `start` gives.
        check: called often; raises what ends the waiting.
        tell: told in words when there is nothing to do but wait.
    """

    def __init__(
        self, cluster: Cluster, function: Callable[..., Any], check: Check, tell: Callable[[str], None]
    ) -> None:
        self._cluster, self._function, self._check, self._tell = cluster, function, check, tell
        self._flying: dict[str, tuple[Task, Future]] = {}
        self._landed: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._threads, self._counted, self._alone_since = max(cluster.threads(), 1), time.monotonic(), 0.0

    def __len__(self) -> int:
        return len(self._flying)

    @property
    def has_room(self) -> bool:
        """Whether a worker might wait if no other task were started."""
        return len(self) < _AT_EACH * self._threads

    def start(self, task: Task, *arguments: Any) -> None:
        """Have the function called with these arguments.

        Raises:
            ClusterError: the scheduler has gone away.
        """
        if not self._cluster.is_there():
            raise self._cluster.gone()
        # Dask takes tasks of one name for the same, and what stands before a hash for their kind, which it remembers.
        key = f"lowlight-{uuid.uuid4().hex}"
        future = self._cluster.client.submit(self._function, *arguments, key=key, pure=False)
        self._flying[key] = (task, future)
        future.add_done_callback(self._landed.put)

    def next_landed(self) -> tuple[Task, Any]:
        """Wait for the next task that is over, and return it with what the function returned, or `Lost`.

        Raises:
            ClusterError: the scheduler has gone away, or there has been no worker for ten minutes.
            Exception: what the function raised.
        """
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker

        while True:
            self._check()
            try:
                future = self._landed.get(timeout=_LOOK_AGAIN)
            except queue.Empty:
                self._look()
                continue
            task, _ = self._flying.pop(str(future.key))
            try:
                return task, future.result()
            except (KilledWorker, OSError, TimeoutError, FutureCancelledError):
                # It died with what it had in hands, or with a result that was still there.
                if not self._cluster.is_there():
                    raise self._cluster.gone() from None
                return task, Lost()

    def stop(self) -> None:
        """Forget what is under way."""
        for _, future in self._flying.values():
            future.release()
        self._flying.clear()

    def _look(self) -> None:
        """Whether anybody is there to wait for."""
        if not self._cluster.is_there():
            raise self._cluster.gone()
        now = time.monotonic()
        if now - self._counted < _COUNT_AGAIN:
            return
        self._counted, threads = now, self._cluster.threads()
        if threads:
            self._threads, self._alone_since = threads, 0.0
        elif not self._alone_since:
            self._alone_since = now
            self._tell("no worker is there; waiting for one")
        elif now - self._alone_since > _PATIENCE:
            address = self._cluster.address.text
            raise ClusterError(f"{address}: there has been no worker for ten minutes; what is done is kept")
