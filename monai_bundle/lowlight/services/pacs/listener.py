"""Our own storage SCP: takes instances that an archive forwards, from those callers that the rules name."""

from __future__ import annotations

import logging
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification
from pynetdicom.transport import ThreadedAssociationServer

from lowlight.errors import LowLightError, RulesError
from lowlight.imaging import atomic_path
from lowlight.services.pacs.dimse import committed, tls_server
from lowlight.services.pacs.queue import Queue, Seen
from lowlight.services.pacs.rules import ListenerRule
from lowlight.services.pacs.web import is_uid

SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.1.99",  # Deflated
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless RPCL
    "1.2.840.10008.1.2.4.203",  # HTJ2K
    "1.2.840.10008.1.2.5",  # RLE
)
"""What can be read, by preference."""

_SUCCESS, _OUT_OF_RESOURCES, _INVALID_UID = 0x0000, 0xA700, 0x0117
_ROOM_FOR_NEGOTIATION = 1 << 20
# A few that wait to be told that there are too many; beyond, nobody gets an answer.
_SPARE_CONNECTIONS = 8

# Seconds: who calls has something to say, and says it at once.
_FIRST_WORD = 5.0

logger = logging.getLogger(__name__)


class _Server(ThreadedAssociationServer):
    """Takes calls; nothing is made for those beyond its room, nor for those that do not say anything.

    A call that pynetdicom has begun with counts as active for the whole silence that is allowed, also where it was hung
    up on: an archive that calls again at once, or a check that only connects, would shut everybody out.
    """

    request_queue_size = 64
    # Those that wait for a caller end with the process.
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any, room: int, silence: float, **options: Any) -> None:
        self._room, self._silence = room, silence
        self._opening: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(*arguments, **options)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept; TLS is agreed on in the call's own thread, for a caller may leave us waiting."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.settimeout(min(self._silence, _FIRST_WORD))
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more."""
        with self._lock:
            return len(self.active_associations) + len(self._opening) < self._room

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count until its association counts."""
        with self._lock:
            self._opening.add(request)
        try:
            super().process_request(request, client_address)
        except BaseException:
            # No thread could be started.
            with self._lock:
                self._opening.discard(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Wait for the first word, agree on TLS, and associate."""
        connection = request
        try:
            # Before TLS, which does not let us look ahead.
            if not request.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError
            if self.ssl_context is not None:
                connection = self.ssl_context.wrap_socket(request, server_side=True)
            super().process_request_thread(connection, client_address)
        except OSError:
            self.shutdown_request(connection)
        finally:
            with self._lock:
                self._opening.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """What a caller does wrong is not worth a traceback."""
        logger.debug("call ended", exc_info=True)

    def hang_up(self) -> None:
        """End all calls."""
        with self._lock:
            opening = list(self._opening)
        for connection in opening:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for association in self.active_associations:
            # One that ends by itself meanwhile has no socket any more.
            with suppress(OSError, AttributeError):
                association.dul.socket.socket.shutdown(socket.SHUT_RDWR)


class Listener:
    """The storage SCP, which runs until it is stopped.

    Args:
        rule: where it listens, and to whom.
        queue: gets what arrives.
        arrived: called after an instance has been added.

    Raises:
        RulesError: it cannot listen there.
    """

    def __init__(self, rule: ListenerRule, queue: Queue, arrived: Callable[[], None]) -> None:
        self._rule, self._queue, self._arrived = rule, queue, arrived
        # What is being received lies here until it is whole; what a caller leaves half-sent goes when we end.
        self._arriving = queue.folder / "arriving" / queue.owner
        self._arriving.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = str(self._arriving)
        entity = AE(rule.title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(rule.callers)
        entity.maximum_associations = rule.associations
        entity.maximum_pdu_size = rule.largest_pdu
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = rule.silence
        entity.supported_contexts = [
            build_context(context.abstract_syntax, list(SYNTAXES)) for context in AllStoragePresentationContexts
        ]
        entity.add_supported_context(Verification)
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_EVENT_REPORT, self._reported),
        ]
        context = None if rule.tls is None else tls_server(rule.tls)
        try:
            self._server = _Server(
                entity,
                (rule.host, rule.port),
                rule.title,
                entity.supported_contexts,
                context,
                evt_handlers=handlers,
                room=rule.associations + _SPARE_CONNECTIONS,
                silence=rule.silence,
            )
        except OSError as error:
            where = f"{rule.host}:{rule.port}"
            raise RulesError(where, f"cannot be listened at ({error.strerror})", "choose another port") from None
        # Where it looks itself up when it is shut down.
        entity._servers.append(self._server)
        threading.Thread(target=self._server.serve_forever, name=f"listener {rule.name}", daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.socket.getsockname()[1])

    def tidy(self, older: float = 0.0) -> None:
        """Remove what callers have left half-sent: what nobody has added to for longer than a caller may be silent.

        Args:
            older: seconds beyond that.
        """
        late = time.time() - self._rule.silence - older
        for path in self._arriving.iterdir():
            with suppress(OSError):
                if path.stat().st_mtime < late:
                    path.unlink()

    def stop(self) -> None:
        """Hang up."""
        self._server.shutdown()
        self._server.hang_up()
        tempfile.tempdir = None
        shutil.rmtree(self._arriving, ignore_errors=True)

    def _opened(self, event: evt.Event) -> None:
        connection = event.assoc.dul.socket
        receive, largest = connection.recv, self._rule.largest_pdu + _ROOM_FOR_NEGOTIATION
        event.assoc.bytes_received = 0

        def bounded(count: int) -> bytearray:
            # A header may promise 4 GiB, which the library would take into memory; an object may never end.
            event.assoc.bytes_received += count
            if count > largest or event.assoc.bytes_received > self._rule.largest_instance:
                raise OSError("longer than agreed")
            content: bytearray = receive(count)
            return content

        connection.recv = bounded

    @staticmethod
    def _closed(event: evt.Event) -> None:
        association = event.assoc
        if association.requestor.primitive is None:
            # It still waits for the first request, and would until the silence is over.
            association.dul.to_user_queue.put(None)

    def _store(self, event: evt.Event) -> int:
        """Take one instance: success is told once it is on the disk and in the queue."""
        event.assoc.bytes_received = 0
        instance = str(event.request.AffectedSOPInstanceUID)
        received: Path = event.dataset_path
        if not is_uid(instance):
            return _INVALID_UID
        try:
            name = f"sources/{sha256(instance.encode()).hexdigest()}.dcm"
            with atomic_path(self._queue.folder / name) as temporary:
                shutil.copyfile(received, temporary)
            self._queue.see(self._rule.name, [Seen(instance, file=name)])
        except (OSError, LowLightError, sqlite3.Error):
            logger.warning("instance not taken", extra={"facts": {"source": self._rule.name, "reason": "disk"}})
            return _OUT_OF_RESOURCES
        self._arrived()
        return _SUCCESS

    def _reported(self, event: evt.Event) -> tuple[int, None]:
        return committed(event, self._queue), None
