"""What every request passes: who may ask, what is logged of it, and what becomes of a fault."""

from __future__ import annotations

import logging
import time
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

LOCAL = {"127.0.0.1", "localhost", "::1"}


class Guard:
    """Lets programs of this machine ask, and not the pages that a browser on it shows; logs each request without what
    it is about; answers for what nobody caught.

    Args:
        app: what is guarded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refused = _refused(scope)
            if refused is not None:
                await refused(scope, receive, sending)
            else:
                await self.app(scope, receive, sending)
        except Exception as error:
            _log(error)
            if status:
                raise ConnectionError from None
            answer = {"detail": f"An unexpected fault ({type(error).__name__}); the server's log says where."}
            await JSONResponse(answer, 500)(scope, receive, sending)
        finally:
            # The route and not the path, whose parts may be anything.
            route = getattr(scope.get("route"), "path", "-")
            logger.info("%s %s %d %.2f s", scope["method"], route, status, time.perf_counter() - started)


def _refused(scope: Scope) -> JSONResponse | None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get("host", ""), headers.get("origin")
    if _name(f"//{host}") not in LOCAL:
        return JSONResponse({"detail": "This server answers to 127.0.0.1 and localhost alone."}, 421)
    if origin is not None and _name(origin) not in LOCAL:
        return JSONResponse({"detail": "Pages of other sites may not ask this server."}, 403)
    return None


def _name(url: str) -> Any:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _log(error: BaseException) -> None:
    """Where it happened, and not what the exception says: that may name a patient's file."""
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error("%s at %s", type(error).__name__, " < ".join(reversed(places)))
