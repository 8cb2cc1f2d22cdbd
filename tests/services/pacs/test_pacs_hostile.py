"""What is refused: wrong passwords, unknown callers, endless PDUs, idle crowds, answers that make no sense."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orthanc
import psutil
import pytest
from dicom_files import changed, deflate_bomb, nested, rle_bomb, shipped
from pacs_runs import by_state, clip, dicomweb, finished, push, radiograph, rules_file, until, working
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import ComputedRadiographyImageStorage, UltrasoundImageStorage

from lowlight import Enhancer
from lowlight.services.pacs.queue import Queue, State
from lowlight.services.pacs.rules import load
from lowlight.services.pacs.worker import Worker

NOBODY = orthanc.Orthanc(9, 9, "secret")


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory, enhancer: Enhancer) -> Iterator[tuple[Worker, int]]:
    """A worker that is called by FRIEND, and its port; each test sends instances of its own."""
    port = orthanc.free_port()
    listener = {
        "kind": "dimse",
        "name": "listener",
        "port": port,
        "callers": ["FRIEND"],
        "associations": 4,
        "silence": "2 s",
        "largest_pdu": 16384,
        "largest_instance": 1_000_000,
    }
    with working(rules_file(tmp_path_factory.mktemp("listening"), NOBODY, sources=[listener]), enhancer) as worker:
        yield worker, port


def known(worker: Worker, dataset: Any) -> int:
    """How many rows an instance has."""
    return sum(row.instance == dataset.SOPInstanceUID for row in worker.queue.rows(*State))


def send(port: int, dataset: Any, caller: str = "FRIEND") -> int | None:
    """Send by C-STORE; returns the status, None where nobody lets us in."""
    entity = AE(caller)
    for sop_class in (ComputedRadiographyImageStorage, UltrasoundImageStorage):
        entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="LOWLIGHT")
    if not association.is_established:
        return None
    try:
        status = association.send_c_store(dataset)
        return int(status.Status) if "Status" in status else None
    finally:
        association.release()


def test_a_caller_that_is_not_named_is_refused(listening: tuple[Worker, int]) -> None:
    worker, port = listening
    assert send(port, radiograph(1), caller="STRANGER") is None
    assert known(worker, radiograph(1)) == 0
    assert send(port, radiograph(1)) == 0
    assert known(worker, radiograph(1)) == 1


def test_a_pdu_that_promises_4_gib_and_an_idle_crowd_cost_nothing(listening: tuple[Worker, int]) -> None:
    worker, port = listening
    idle = psutil.Process().memory_info().rss
    with socket.create_connection(("127.0.0.1", port), timeout=30) as hostile:
        hostile.sendall(struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + bytes(1_000_000))
        # Hung up on, before it has sent what it promised.
        assert _is_hung_up_on(hostile)
    with ExitStack() as crowd:
        for _ in range(200):
            crowd.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        assert psutil.Process().memory_info().rss - idle < 300_000_000
        # Those that say nothing are hung up on; a friend gets through, however often he tries until then.
        until(lambda: send(port, radiograph(2)) == 0, 20)
    assert known(worker, radiograph(2)) == 1


def test_checks_that_only_connect_keep_nobody_out(listening: tuple[Worker, int]) -> None:
    _, port = listening
    for number in range(30):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as check:
            # Some end by a reset, as load balancers do it.
            check.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))
    until(lambda: send(port, radiograph(2)) == 0, 1.5)


def test_an_object_that_does_not_end_is_cut_off(listening: tuple[Worker, int]) -> None:
    worker, port = listening
    large = radiograph(3)
    large.Rows, large.Columns = 1000, 1000
    large.PixelData = bytes(2_000_000)
    assert send(port, large) is None
    assert send(port, radiograph(4)) == 0
    assert (known(worker, large), known(worker, radiograph(4))) == (0, 1)
    (half,) = worker.queue.folder.glob("arriving/*/*.dcm")
    os.utime(half, (0, 0))
    worker.listeners[0].tidy()
    assert not half.exists()


def test_a_wrong_password_is_told_and_nothing_is_lost(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    path = rules_file(tmp_path, archive)
    secret = tmp_path / "password"
    right = secret.read_text()
    secret.write_text("wrong")
    push(archive, [radiograph(1)])
    with working(path, enhancer) as worker:
        until(lambda: "main" in worker.progress.faults)
        assert worker.progress.faults["main"] == "main (127.0.0.1) answers 401 (wrong user, password or token)"
        # The file is read again for each request: a changed password needs no restart.
        secret.write_text(right)
        until(lambda: worker.queue.counts()["verified"] == 1)


def test_hostile_and_damaged_files_end_in_quarantine_and_other_objects_are_skipped(
    tmp_path: Path, enhancer: Enhancer
) -> None:
    # Put where fetched files lie: most archives would not take them.
    rules = load(rules_file(tmp_path, NOBODY))
    queue = Queue(rules.folder)
    made: dict[str, Callable[[Path], Path]] = {
        "1.1": rle_bomb,
        "1.2": deflate_bomb,
        "1.3": nested,
        "1.4": lambda path: changed(path, SOPInstanceUID="../../etc/evil"),
        "1.5": lambda path: changed(path, SeriesInstanceUID="../../etc/evil"),
        "1.6": lambda path: changed(path, NumberOfFrames=1_000_000, SOPInstanceUID="1.6"),
        "1.7": lambda path: changed(path, PhotometricInterpretation="QUIXOTE", SOPInstanceUID="1.7"),
        "1.8": lambda path: (path.write_bytes(shipped("examples_rgb_color.dcm").read_bytes()[:1000]), path)[1],
    }
    from lowlight.services.pacs.queue import Seen

    for instance, make in made.items():
        make(rules.folder / f"sources/{instance}.dcm")
        queue.see("main", [Seen(instance, file=f"sources/{instance}.dcm")])
    report = changed(rules.folder / "sources/report.dcm", "reportsi.dcm", SOPInstanceUID="1.9", SeriesInstanceUID="1.9")
    queue.see("main", [Seen("1.9", file=f"sources/{report.name}")])
    queue.close()
    rows = {row.instance: row for row in finished(rules, enhancer)}
    assert {instance for instance, row in rows.items() if row.state == State.QUARANTINED} == made.keys()
    assert rows["1.9"].state == State.SKIPPED
    told = " ".join(row.reason for row in rows.values())
    assert "QUIXOTE" not in told
    assert "sources/" not in told


NONSENSE = [
    b"",
    b"{",
    b"[" * 100_000,
    b'{"a": 1}',
    b"[1, 2]",
    b'[{"0020000D": {"Value": ["../../etc"]}}, {"0020000D": {"Value": [{}]}}, {"0020000D": 7}]',
    json.dumps([{"0020000D": {"Value": ["1.2.3"]}, "00201208": {"Value": ["many"]}}]).encode(),
]


@contextmanager
def answering(contents: list[bytes]) -> Iterator[str]:
    """A server that answers whatever is below /0 with the first of these, and so on: no archive can be made to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = contents[int(self.path.split("/")[1])]
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_answers_that_make_no_sense_change_nothing(tmp_path: Path, enhancer: Enhancer) -> None:
    with answering(NONSENSE) as url:
        sources: list[dict[str, Any]] = []
        for number in range(len(NONSENSE)):
            sources.append(dicomweb(NOBODY, url=f"{url}/{number}", name=f"web{number}"))
            sources.append({"kind": "orthanc", "name": f"main{number}", "url": f"{url}/{number}"})
        rules = load(rules_file(tmp_path, NOBODY, sources=sources))
        queue = Queue(rules.folder)
        try:
            worker = Worker(rules, queue, once=True, enhancer=enhancer)
            worker.run()
            assert by_state(queue.rows(*State)) == {}
            # What is a list, if of nonsense, is a list of matches: all the others are told as what they are.
            fine = {"web5", "web6"}
            told = {name: fault for name, fault in worker.progress.faults.items() if "loop" not in name}
            assert told.keys() == {source["name"] for source in sources} - fine
            assert all("answers with something that is no" in fault for fault in told.values())
        finally:
            queue.close()


def test_clips_of_the_same_uid_under_other_pixels_are_one_instance(
    listening: tuple[Worker, int],
) -> None:
    worker, port = listening
    (first,) = clip(1)
    assert send(port, first) == 0
    assert send(port, first) == 0
    assert known(worker, first) == 1


def _is_hung_up_on(connection: socket.socket) -> bool:
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True
