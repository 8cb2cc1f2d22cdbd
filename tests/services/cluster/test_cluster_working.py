"""Real workers that are killed: nothing is lost or done twice, and what kills them is set aside."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cluster_standins import (
    LOG,
    all_inverted,
    archived,
    deadly,
    order,
    slow,
    small_images,
    worked_on,
)

from lowlight.services.cluster.connecting import Address, Cluster, connected
from lowlight.services.cluster.ledger import FOLDER, State


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two worker processes."""
    with connected(Address.of("local[2]")) as started:
        yield started


def test_nothing_listens_beyond_this_machine_and_cores_are_shared(cluster: Cluster) -> None:
    here = psutil.Process()
    listening = {
        connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    threads = cluster.client.run(os.environ.get, "OMP_NUM_THREADS")
    assert list(threads.values()) == [str(max(1, (os.cpu_count() or 1) // 2))] * 2 or os.environ.get("OMP_NUM_THREADS")
    assert all(address.startswith("tls://127.0.0.1:") for address in threads)


def test_a_file_that_kills_its_worker_twice_is_set_aside_alone(tmp_path: Path, cluster: Cluster) -> None:
    paths = small_images(tmp_path / "in", 12)
    poison = paths[5].rename(paths[5].with_name("poison.png"))
    ledger, heard = archived(cluster, tmp_path / "in", order(tmp_path / "out", deadly))
    assert [(path, state) for path, state, _ in ledger.not_done()] == [(poison, State.SET_ASIDE)]
    assert ledger.counts()[State.DONE] == 11
    assert sorted(verdict.number for verdict in heard.told) == list(range(1, 13)), "each is told of once"
    ledger.close()
    assert worked_on(tmp_path) == {**dict.fromkeys((p.name for p in paths if p != paths[5]), 1), "poison.png": 2}
    assert all_inverted([path for path in paths if path != paths[5]], tmp_path / "in", tmp_path / "out")
    assert not list((tmp_path / "out" / FOLDER / "chunks").iterdir()), "nothing is left of journals"


def test_killed_workers_lose_and_double_nothing(tmp_path: Path, cluster: Cluster) -> None:
    paths = small_images(tmp_path / "in", 100)
    # One that an earlier test killed may not be replaced yet.
    cluster.client.wait_for_workers(2, timeout=60)
    # Each once: the file that was in hands at the first kill must not be there at the second.
    kills, stop = random.sample(list(cluster.client.run(os.getpid).values()), 2), threading.Event()

    def kill() -> None:
        for worker, lines in zip(kills, (20, 75), strict=True):
            while not stop.is_set() and _lines(tmp_path / LOG) < lines:
                time.sleep(0.005)
            os.kill(worker, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        ledger, _ = archived(cluster, tmp_path / "in", order(tmp_path / "out", slow))
    finally:
        stop.set()
        killer.join()
    assert ledger.counts()[State.DONE] == 100
    assert ledger.check() == "ok"
    ledger.close()
    assert all_inverted(paths, tmp_path / "in", tmp_path / "out")
    often = worked_on(tmp_path)
    assert set(often) == {path.name for path in paths}
    assert sum(often.values()) <= 100 + len(kills), "only what a killed worker had in hands is done again"
    # What the killed ones had half written goes when a folder is next written to, and is hidden until then.
    assert len(list((tmp_path / "out").rglob(".*.part*"))) <= len(kills)


def _lines(file: Path) -> int:
    return file.read_text().count("\n") if file.exists() else 0
