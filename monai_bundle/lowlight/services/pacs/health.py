"""Health and Prometheus metrics of a worker, over HTTP, on loopback unless the rules say otherwise.

`/health` answers 200 while all sources, destinations and the disk answer, 503 otherwise, with what is wrong as JSON.
`/metrics` is in Prometheus' text format. There is nothing else, and nothing of a patient in either.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

import requests
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from lowlight.errors import RulesError
from lowlight.services.pacs.queue import Queue
from lowlight.services.pacs.rules import Health
from lowlight.services.pacs.worker import Progress

_AT_A_TIME = 16
_PATIENCE = 5.0


class HealthServer:
    """Serves until it is stopped.

    Args:
        rule: where. queue, progress: what is told.

    Raises:
        RulesError: it cannot listen there.
    """

    def __init__(self, rule: Health, queue: Queue, progress: Progress) -> None:
        registry = CollectorRegistry()
        registry.register(_Metrics(queue, progress))
        pages = {"/health": lambda: _health(queue, progress), "/metrics": lambda: _metrics(registry)}
        handler = type("Handler", (_Handler,), {"pages": pages})
        try:
            self._server = _Server((rule.host, rule.port), handler)
        except OSError as error:
            where = f"{rule.host}:{rule.port}"
            raise RulesError(where, f"cannot be listened at ({error.strerror})", "choose another health port") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def asked(rule: Health) -> tuple[str, dict[str, str]]:
    """What the worker of these rules says of itself ("ok", "degraded", or that none answers), and its faults."""
    session = requests.Session()
    session.trust_env = False
    # One that listens at every address listens at loopback, too.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(rule.host, rule.host)
    where = f"[{host}]:{rule.port}" if ":" in host else f"{host}:{rule.port}"
    try:
        told = session.get(f"http://{where}/health", timeout=_PATIENCE).json()
        return str(told["status"]), {str(name): str(fault) for name, fault in told["faults"].items()}
    except (requests.RequestException, ValueError, LookupError, TypeError, AttributeError):
        return f"none answers at {where}: is it running?", {}


class _Server(ThreadingHTTPServer):
    """Answers so many at a time, and hangs up on the others."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.Semaphore(_AT_A_TIME)
        super().__init__(address, handler)

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Of socketserver."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Of socketserver."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Of socketserver: whoever hung up needs no traceback on our console."""


class _Handler(BaseHTTPRequestHandler):
    pages: dict[str, Callable[[], tuple[int, str, bytes]]]
    timeout = _PATIENCE
    server_version, sys_version = "lowlight", ""

    def do_GET(self) -> None:
        """Of http.server."""
        page = self.pages.get(self.path)
        status, kind, content = (404, "text/plain", b"/health or /metrics\n") if page is None else page()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Of http.server: who asks how we are is no event."""


class _Metrics:
    """Collected when they are asked for."""

    def __init__(self, queue: Queue, progress: Progress) -> None:
        self._queue, self._progress = queue, progress

    def describe(self) -> list[Metric]:
        """Of prometheus_client: nothing is read while it registers."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Of prometheus_client."""
        states = GaugeMetricFamily("lowlight_pacs_instances", "Instances in each state", labels=["state"])
        for state, count in self._queue.counts().items():
            states.add_metric([state], count)
        yield states
        oldest = self._queue.oldest_waiting()
        age = 0.0 if oldest is None else max(time.time() - oldest, 0.0)
        yield GaugeMetricFamily("lowlight_pacs_oldest_waiting_seconds", "Age of the longest waiting instance", age)
        up = GaugeMetricFamily("lowlight_pacs_up", "Whether a source, a destination or a loop works", labels=["name"])
        for name in sorted({*self._progress.answered, *self._progress.faults}):
            up.add_metric([name], name not in self._progress.faults)
        yield up
        moved = CounterMetricFamily("lowlight_pacs_moved", "Instances that came into a state", labels=["state"])
        for state, count in dict(self._progress.moved).items():
            moved.add_metric([state], count)
        yield moved
        yield CounterMetricFamily(
            "lowlight_pacs_enhancing_seconds", "Time spent making results", self._progress.engine_seconds
        )


def _metrics(registry: CollectorRegistry) -> tuple[int, str, bytes]:
    try:
        return 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry)
    except sqlite3.Error:
        return 503, "text/plain", b"the queue cannot be read\n"


def _health(queue: Queue, progress: Progress) -> tuple[int, str, bytes]:
    faults = dict(progress.faults)
    try:
        counts = queue.counts()
    except sqlite3.Error:
        counts, faults = {}, {**faults, "queue": "cannot be read"}
    told = {"status": "degraded" if faults else "ok", "faults": faults, "instances": counts}
    return (503 if faults else 200), "application/json", json.dumps(told).encode() + b"\n"
