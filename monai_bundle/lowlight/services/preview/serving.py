"""The page of `lowlight enhance --preview`: the newest image before and after, and how far the run is.

It is served on the loopback address alone, under a path that nobody can guess, and shows what the terminal beside it
tells. Pictures are only made when a browser asks for them: who does not look pays nothing.
"""

from __future__ import annotations

import io
import json
import secrets
import threading
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lowlight.errors import InputError

LOOPBACK = "127.0.0.1"
LARGEST_SIDE = 1280
"""Pixels of a picture's longer side; larger images are shown smaller."""

JPEG_QUALITY = 90
SECONDS_WITHOUT_A_WORD = 10
"""After which a connection is given up."""

ASSETS = {
    "": ("preview.html", "text/html"),
    "preview.css": ("preview.css", "text/css"),
    "preview.js": ("preview.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class _Shown:
    """What is to be seen now."""

    number: int
    before: NDArray[Any]
    after: NDArray[Any]
    value_range: tuple[float, float]
    name: str
    part: int
    parts: int

    def picture(self, which: str) -> bytes:
        """Before or after, as JPEG."""
        buffer = io.BytesIO()
        _as_picture(self.before if which == "before" else self.after, self.value_range).save(
            buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0
        )
        return buffer.getvalue()


class Preview:
    """Serves the page while the block lasts.

    Attributes:
        link: where it is, with the key that lets a browser in.

    Raises:
        InputError: nothing can be listened on.
    """

    def __init__(self) -> None:
        self._key = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        self._shown: _Shown | None = None
        try:
            self._server = ThreadingHTTPServer((LOOPBACK, 0), partial(_Handler, self))
        except OSError as error:
            raise InputError(
                LOOPBACK, f"cannot be listened on ({error.strerror or error})", "leave out --preview"
            ) from None
        self._server.daemon_threads = True
        self.link = f"http://{LOOPBACK}:{self._server.server_address[1]}/{self._key}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="preview", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def show(
        self,
        before: NDArray[Any],
        after: NDArray[Any],
        value_range: tuple[float, float],
        name: str,
        part: int = 1,
        parts: int = 1,
    ) -> None:
        """Show this image from now on.

        Args:
            before, after: (H, W) or (H, W, 3), of any dtype; not to be changed afterwards.
            value_range: (black, white) in their units.
            name: of the file. part, parts: which frame of how many.
        """
        with self._lock:
            number = 1 if self._shown is None else self._shown.number + 1
            self._shown = _Shown(number, before, after, value_range, name, part, parts)

    def answer(self, host: str, path: str) -> tuple[int, str, bytes]:
        """Status, type and content for a request."""
        if host != urlsplit(self.link).netloc:
            return 421, "text/plain", b"This page is called by its address alone. Use the link that was printed."
        key, slash, name = path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(key.encode(), self._key.encode()):
            return 403, "text/plain", b"This link lacks its key. Use the whole link that was printed."
        name = name.partition("?")[0]
        if name in ASSETS:
            file, kind = ASSETS[name]
            return 200, f"{kind}; charset=utf-8", (Path(__file__).parent / file).read_bytes()
        with self._lock:
            shown = self._shown
        if name == "state":
            return 200, "application/json", json.dumps(_told(shown)).encode()
        if shown is not None and name in ("before.jpg", "after.jpg"):
            return 200, "image/jpeg", shown.picture(name.removesuffix(".jpg"))
        return 404, "text/plain", b"There is no such page."


def _told(shown: _Shown | None) -> dict[str, Any]:
    if shown is None:
        return {"number": 0}
    return {"number": shown.number, "name": shown.name, "part": shown.part, "parts": shown.parts}


def _as_picture(pixels: NDArray[Any], value_range: tuple[float, float]) -> Image.Image:
    step = max(1, max(pixels.shape[:2]) // LARGEST_SIDE)
    black, white = value_range
    display = (pixels[::step, ::step].astype(np.float32) - black) / (white - black)
    picture = Image.fromarray(np.rint(np.clip(display, 0, 1) * 255).astype(np.uint8))
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BICUBIC)
    return picture


class _Handler(BaseHTTPRequestHandler):
    """Answers GET, and nothing else. Requests are not logged: their paths hold the key."""

    timeout = SECONDS_WITHOUT_A_WORD
    server_version = "lowlight"
    sys_version = ""

    def __init__(self, preview: Preview, *arguments: Any) -> None:
        self._preview = preview
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Send what there is."""
        status, kind, content = self._preview.answer(self.headers.get("Host", ""), self.path)
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""
