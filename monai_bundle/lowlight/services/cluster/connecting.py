"""From what a user names to a cluster: one of this machine for a while, or one that is there."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowlight.enhance.threads import named_threads
from lowlight.errors import ClusterError, DependencyError, OutputError
from lowlight.services.cluster.probing import Sight, identity, look

if TYPE_CHECKING:
    from distributed import Client

_LOCAL = re.compile(r"local\[(\d{1,3})\]")
_REMOTE = re.compile(r"(tcp|tls)://.+:\d{1,5}")
_SECONDS_TO_CONNECT = 10.0
_SECONDS_FOR_WORKERS = 30.0
_SECONDS_TO_START = 120.0
_SECONDS_TO_LEAVE = 2.0
# What was sent is not kept to be looked at: a thousand messages with all their entries at each worker.
_FORGETFUL = {"distributed.admin.low-level-log-length": 10}
_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Address:
    """What the user named.

    Attributes:
        text: as it was named. workers: how many processes of this machine; None for a scheduler.
    """

    text: str
    workers: int | None = None

    @classmethod
    def of(cls, text: str) -> Address:
        """From ``local[N]``, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.

        Raises:
            ValueError: none of these.
        """
        local = _LOCAL.fullmatch(text)
        if local and int(local[1]):
            return cls(text, int(local[1]))
        if _REMOTE.fullmatch(text):
            return cls(text)
        raise ValueError(f"{text} is none of local[N], tcp://HOST:PORT, tls://HOST:PORT")


@dataclass(frozen=True)
class Cluster:
    """A cluster that is connected.

    Attributes:
        client: Dask's. address: as the user named it.
    """

    client: Client
    address: Address

    @property
    def is_local(self) -> bool:
        """Whether it was started by this process and ends with it."""
        return self.address.workers is not None

    def threads(self) -> int:
        """How many tasks can run at once now; 0: no worker is there."""
        return sum(self.client.nthreads().values()) if self.is_there() else 0

    def is_there(self) -> bool:
        """Whether its scheduler is."""
        return self.client.status == "running"

    def gone(self) -> ClusterError:
        """What to raise when it is not."""
        return ClusterError(
            f"{self.address.text}: the scheduler has gone away; what is done is kept, the same command goes on"
        )


def require_dask() -> None:
    """Find out early, and without loading it, whether Dask is installed.

    Raises:
        DependencyError: it is not.
    """
    for name in ("distributed", "cryptography", "filelock"):
        if importlib.util.find_spec(name) is None:
            raise DependencyError(
                f"working with several processes needs the package {name}, which is not installed; "
                "pip install 'lowlight-enhance[cluster]'"
            )


@contextmanager
def connected(address: Address, debug: bool = False) -> Iterator[Cluster]:
    """Start the processes of this machine, or connect to a scheduler that has workers; leave it in the end.

    Args:
        address: which.
        debug: let Dask say what it does.

    Raises:
        DependencyError: Dask is not installed.
        ClusterError: the scheduler cannot be reached, or has no workers.
    """
    require_dask()
    import dask
    import distributed

    if address.text.startswith("tls://") and not dask.config.get("distributed.comm.tls.ca-file", None):
        raise ClusterError(
            f"{address.text}: Dask has no certificates for TLS; name them in its configuration "
            "(distributed.comm.tls, see docs/archive.md)"
        )
    level = logging.WARNING if debug else logging.CRITICAL
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(level)
    if address.workers is None:
        with dask.config.set({**_FORGETFUL, "distributed.comm.timeouts.connect": f"{_SECONDS_TO_CONNECT:g}s"}):
            client = _reached(address, distributed)
            try:
                _wait_for_workers(client, address)
                yield Cluster(client, address)
            finally:
                with suppress(Exception):
                    client.close(timeout=_SECONDS_TO_LEAVE)
        return
    with dask.config.set(_local_settings(address.workers)):
        started = _started(address.workers, level, distributed)
        try:
            with distributed.Client(started, set_as_default=False) as client:
                yield Cluster(client, address)
        except BaseException:
            _kill(started)
            raise
        finally:
            with suppress(Exception):
                started.close(timeout=_SECONDS_TO_LEAVE)


def check(cluster: Cluster, output: Path, inputs: Sequence[Path]) -> None:
    """Whether the workers of a scheduler fit this machine, and see the same files.

    Args:
        cluster: one of this machine passes.
        output: folder of the results; made if need be.
        inputs: some of the inputs that exist here.

    Raises:
        ClusterError: one does not; the message names its host and what differs.
        OutputError: the folder of the results cannot be written to.
    """
    if cluster.is_local:
        return
    with _witness(output) as witness:
        paths = tuple(os.path.abspath(path) for path in (witness, *inputs))  # noqa: PTH100  (links stay links)
        try:
            looked: Mapping[str, Any] = cluster.client.run(look, paths, on_error="return")
        except Exception as error:
            # What a worker cannot even load is raised here, and does not say where.
            looked = {cluster.address.text: error}
    for worker, sight in looked.items():
        where = _host(worker)
        if not isinstance(sight, Sight):
            remedy = "install the same version of lowlight-enhance in the environment of its workers"
            raise ClusterError(f"{where}: lowlight does not run there ({_short(sight)}); {remedy}")
        differing = identity().differences(sight.identity)
        if differing:
            remedy = "install the same there as on this machine"
            raise ClusterError(f"{sight.identity.host} ({where}) has {', '.join(differing)}; {remedy}")
        for path, seen in zip(paths, sight.seen, strict=True):
            if not seen:
                what = f"the folder {output}" if path == paths[0] else path
                raise ClusterError(
                    f"{sight.identity.host} ({where}) does not see {what}; workers have to see the same files under "
                    "the same names: mount it there"
                )


def _local_settings(workers: int) -> dict[str, Any]:
    """Dask's, for processes of this machine: as quiet as can be, serving nobody else, sharing the cores."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    threads = min(threads, named_threads() or threads)
    return {
        **_FORGETFUL,
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(_LIBRARIES, str(threads)),
        # A task whose worker dies comes back at once: what to do then is decided here, not by repeating it blindly.
        "distributed.scheduler.allowed-failures": 0,
        # Tasks wait at their worker, not at the scheduler: no worker waits for the way between.
        "distributed.scheduler.worker-saturation": "inf",
        # Nothing is served but Dask's own protocol, encrypted and for those who know the key of this run.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        # What Dask looks at many times a second, for its dashboard, which is off, and for data that do not exist here.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.system-monitor.interval": "30s",
        "distributed.admin.tick.interval": "1s",
        "distributed.worker.memory.monitor-interval": "30s",
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.scheduler.work-stealing-interval": "1s",
        # The system decides about memory: a share of it each would end what fits into the whole.
        "distributed.worker.memory.terminate": False,
        "distributed.comm.timeouts.connect": f"{_SECONDS_TO_START:g}s",
    }


def _started(workers: int, level: int, distributed: Any) -> Any:
    from distributed.security import Security

    try:
        with _unwarned():
            return distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                protocol="tls://",
                security=Security.temporary(),
                dashboard_address="127.0.0.1:0",
                memory_limit=None,
                silence_logs=level,
            )
    except (OSError, RuntimeError, TimeoutError) as error:
        raise ClusterError(f"{workers} worker processes cannot be started ({_short(error)}); try fewer") from None


def _kill(started: Any) -> None:
    """End the processes at once, and wait until they are gone; what they write is whole or not there."""
    import psutil

    processes = []
    for nanny in list(started.workers.values()):
        nanny.auto_restart = False
        with suppress(psutil.Error, AttributeError):
            processes.append(psutil.Process(nanny.process.pid))
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=_SECONDS_TO_LEAVE)


@contextmanager
def _unwarned() -> Iterator[None]:
    """Processes that start meanwhile give no warnings of Python's: one of them tidies up, and says so to the user."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _reached(address: Address, distributed: Any) -> Client:
    try:
        client: Client = distributed.Client(address.text, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        raise ClusterError(
            f"{address.text}: no scheduler can be reached there ({_short(error)}); is it running (dask scheduler), and "
            "is the address right?"
        ) from None
    return client


def _wait_for_workers(client: Client, address: Address) -> None:
    deadline = time.monotonic() + _SECONDS_FOR_WORKERS
    while not client.nthreads():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{address.text}: the scheduler has no workers; start some: OMP_NUM_THREADS=1 dask worker "
                f"{address.text} --nthreads 1"
            )
        time.sleep(0.2)


@contextmanager
def _witness(folder: Path) -> Iterator[Path]:
    """A file that workers have to see."""
    path = folder / f".lowlight-{secrets.token_hex(8)}.witness"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        fault = f"cannot be written to ({error.strerror or error})"
        raise OutputError(folder, fault, "choose another folder or free some space") from None
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()


def _host(worker: str) -> str:
    return worker.partition("://")[2].rpartition(":")[0] or worker


def _short(error: object) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:150]}" if said else type(error).__name__


Check = Callable[[], None]
"""Called often while there is nothing to do but wait; raises what ends the waiting."""
