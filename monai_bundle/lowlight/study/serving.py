"""Reading in a browser: server-rendered pages on loopback. All that decides anything is in `reading`.

Requests are hostile until checked: the host must be an address or localhost (so that no name on the internet can be
made to lead here), what changes something must come from a page of this server (origin and form token), and no request
may be large. Pages run scripts of their own alone and load nothing from elsewhere.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import uvicorn
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from lowlight.errors import InputError, ReaderElsewhereError, StudyError
from lowlight.study.questions import CRITERIA, PAIR_QUESTION, SCALE
from lowlight.study.reading import Reading
from lowlight.study.studyfile import Item, StudyFile

LARGEST_FORM = 8192
MOST_FIELDS = 20
EVERY_ADDRESS = ("0.0.0.0", "::", "")
COOKIE, KEY_COOKIE = "lowlight_sitting", "lowlight_key"
ASSETS = {
    "reading.css": "text/css",
    "sending.js": "text/javascript",
    "reading.js": "text/javascript",
    "paused.js": "text/javascript",
}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_OUT_OF_DATE = "This page is out of date, and nothing was changed. Go on reading, or go back to the start page."

Handler = Callable[[Request], Awaitable[Response]]


class ReadingServer:
    """The web application of one study.

    Args:
        study: open, in the thread that serves.
        tell: called with a line for whoever runs the study, when a picture cannot be shown.
        key: what a browser must know to be let in; None on loopback.
        host_name: a name, beside addresses and localhost, by which this server may be called.
    """

    def __init__(
        self, study: StudyFile, tell: Callable[[str], None], key: str | None = None, host_name: str | None = None
    ) -> None:
        self.study, self._tell, self.key, self.host_name = study, tell, key, host_name
        self._told_of: set[str] = set()  # faults of pictures, each told once
        self.sittings: dict[str, Reading] = {}
        self._away: set[str] = set()  # paused because the page is hidden; looking at it again resumes
        pages = PackageLoader("lowlight.study", "pages")
        self._pages = Environment(loader=pages, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        routes = [
            Route("/", self._start),
            Route("/begin", self._begin, methods=["POST"]),
            Route("/read", self._read),
            Route("/picture/{item:int}/{place:int}", self._picture),
            *(Route(f"/{name}", self._asset) for name in ASSETS),
            *(
                Route(f"/{name}", getattr(self, f"_{name}"), methods=["POST"])
                for name in ("answer", "undo", "pause", "resume", "alive", "end")
            ),
        ]
        self.app = Starlette(
            routes=routes,
            middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._guard)],
            exception_handlers={
                StudyError: self._refused,
                HTTPException: self._http_fault,
            },
        )

    async def _guard(self, request: Request, call_next: Handler) -> Response:
        fault = self._fault_of(request)
        response = self._page("fault.html", fault[0], message=fault[1]) if fault else await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _fault_of(self, request: Request) -> tuple[int, str] | None:
        """Why a request is not even looked at: status and message."""
        host = request.headers.get("host", "")
        if not self._may_be_called(host):
            return 421, "This server is called by its address alone. Use the link that was printed when it started."
        if self.key is not None and request.url.path not in ASSETS:
            shown = request.query_params.get("key") or request.cookies.get(KEY_COOKIE, "")
            # Each start has a key of its own; who was let in goes on without asking for the new link.
            if not secrets.compare_digest(shown.encode(), self.key.encode()) and not self._was_let_in(request):
                return 403, "This link lacks its key. Use the whole link that was printed when the server started."
        if request.method == "POST":
            origin = request.headers.get("origin")
            if origin is None or urlsplit(origin).netloc != host:
                return 403, "This request did not come from a page of this server, and nothing was changed."
            length = request.headers.get("content-length", "")
            if not length.isdigit() or int(length) > LARGEST_FORM:
                return 413, "This request is too large, and nothing was changed."
        return None

    def _was_let_in(self, request: Request) -> bool:
        token = request.cookies.get(COOKIE, "")
        try:
            return bool(token) and self.study.value("SELECT 1 FROM reader WHERE sitting = ?", token) is not None
        except StudyError:
            return False

    def _may_be_called(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        if name in ("localhost", self.host_name):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    async def _start(self, request: Request) -> Response:
        response = self._start_page()
        if self.key is not None:
            response.set_cookie(KEY_COOKIE, self.key, httponly=True, samesite="strict")
        return response

    def _start_page(self, message: str = "", elsewhere: str = "", status: int = 200) -> Response:
        return self._page("start.html", status, readers=self.study.progress(), message=message, elsewhere=elsewhere)

    async def _begin(self, request: Request) -> Response:
        form = await _form(request)
        reader = form.get("reader", "").strip()
        own = self._known(request)
        if own is not None and own.reader == reader and own.stands:
            return RedirectResponse("/read", 303)
        try:
            sitting = Reading(self.study, reader, take_over=form.get("take_over") == "1")
        except ReaderElsewhereError:
            return self._start_page(elsewhere=reader, status=409)
        except StudyError as error:
            return self._start_page(_told(error), status=404)
        for token, other in list(self.sittings.items()):
            if other.reader == reader:
                del self.sittings[token]
        self.sittings[sitting.token] = sitting
        response = RedirectResponse("/read", 303)
        response.set_cookie(COOKIE, sitting.token, httponly=True, samesite="strict")
        return response

    def _known(self, request: Request) -> Reading | None:
        """The sitting of a browser, if any; it survives the server, whose memory does not."""
        token = request.cookies.get(COOKIE, "")
        if not token:
            return None
        sitting = self.sittings.get(token) or Reading.resumed(self.study, token)
        if sitting is not None:
            self.sittings[token] = sitting
        return sitting

    def _sitting(self, request: Request) -> Reading:
        """Whose browser this is.

        Raises:
            StudyError: nobody's, or another sitting of the reader took over.
        """
        sitting = self._known(request)
        if sitting is None:
            fault = "nobody is reading in this browser, or the reading went on elsewhere"
            raise StudyError(self.study.path, fault, "begin, or go on, from the start page")
        return sitting

    async def _changing(self, request: Request) -> tuple[Reading, dict[str, str]]:
        sitting = self._sitting(request)
        form = await _form(request)
        if not secrets.compare_digest(form.get("form", "").encode(), _form_token(sitting).encode()):
            raise HTTPException(403, _OUT_OF_DATE)
        return sitting, form

    async def _read(self, request: Request) -> Response:
        sitting = self._sitting(request)
        self._back(sitting)
        item, progress = sitting.current(), sitting.progress
        common: dict[str, Any] = {
            "reader": sitting.reader,
            "done": progress.done,
            "total": progress.total,
            "form": _form_token(sitting),
            "showing": _showing(sitting, item),
            "can_undo": progress.done > 0,
        }
        if item is None:
            return self._page("done.html", **common)
        if sitting.paused:
            return self._page("paused.html", **common)
        if not self._can_be_shown(item):
            # Its clock stands still until it can be seen.
            sitting.pause()
            self._away.add(sitting.token)
            return self._page("missing.html", 500, reader=sitting.reader, done=progress.done, item=item.id)
        return self._page(
            "pair.html" if item.task == "pair" else "rating.html",
            **common,
            item=item.id,
            question=PAIR_QUESTION,
            criteria=CRITERIA,
            scale=SCALE,
        )

    def _can_be_shown(self, item: Item) -> bool:
        """Whether the pictures of an item are there and as they were; if not, whoever runs the study is told."""
        try:
            for version in item.versions:
                self.study.picture(item.image, version)
        except StudyError as error:
            if str(error) not in self._told_of:
                self._told_of.add(str(error))
                self._tell(f"{item.reader} cannot go on at item {item.id}: {error}")
            return False
        return True

    async def _picture(self, request: Request) -> Response:
        sitting = self._sitting(request)
        item = sitting.current()
        place = request.path_params["place"]
        # Only what is being asked: other pictures would tell what is compared.
        if item is None or item.id != request.path_params["item"] or place >= len(item.versions):
            raise HTTPException(404, "This picture is not to be seen now.")
        return Response(self.study.picture(item.image, item.versions[place]), media_type="image/png")

    async def _answer(self, request: Request) -> Response:
        sitting, form = await self._changing(request)
        self._back(sitting)
        item = int(form["item"]) if form.get("item", "").isdecimal() and len(form["item"]) < 12 else -1
        due = sitting.current()
        if due is not None and due.id == item and not _is_shown(form, sitting, due):
            raise HTTPException(409, _OUT_OF_DATE)
        if sitting.asked(item).task == "pair":
            sitting.choose(item, form.get("side"))
        else:
            given = {criterion.key: form[criterion.key] for criterion in CRITERIA if criterion.key in form}
            grades = {
                key: int(value) if value.isdecimal() and len(value) < 3 else value for key, value in given.items()
            }
            sitting.grade(item, grades)
        return RedirectResponse("/read", 303)

    async def _undo(self, request: Request) -> Response:
        sitting, form = await self._changing(request)
        # Sent twice, it would take back another answer than the one that the reader meant.
        if _is_shown(form, sitting, sitting.current()):
            sitting.undo()
        return RedirectResponse("/read", 303)

    async def _pause(self, request: Request) -> Response:
        sitting, form = await self._changing(request)
        if form.get("away") == "1" and not sitting.paused:
            self._away.add(sitting.token)
        sitting.pause()
        return RedirectResponse("/read", 303)

    def _back(self, sitting: Reading) -> None:
        """Whoever only looked away goes on; a pause that was asked for stays one."""
        if sitting.token in self._away:
            self._away.discard(sitting.token)
            sitting.resume()

    async def _resume(self, request: Request) -> Response:
        sitting, _ = await self._changing(request)
        sitting.resume()
        return RedirectResponse("/read", 303)

    async def _alive(self, request: Request) -> Response:
        sitting, form = await self._changing(request)
        if form.get("back") == "1":
            self._back(sitting)
        sitting.alive()
        return Response(status_code=204)

    async def _end(self, request: Request) -> Response:
        sitting, _ = await self._changing(request)
        sitting.close()
        self.sittings.pop(sitting.token, None)
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE)
        return response

    async def _asset(self, request: Request) -> Response:
        name = request.url.path.removeprefix("/")
        content = (Path(__file__).parent / "pages" / name).read_bytes()
        return Response(content, media_type=ASSETS[name])

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, StudyError)
        return self._page("fault.html", 409, message=_told(error))

    async def _http_fault(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = (
            error.detail if error.status_code != 404 or request.url.path.startswith("/picture") else "No such page."
        )
        return self._page("fault.html", error.status_code, message=message)

    def _page(self, template: str, status: int = 200, **content: object) -> HTMLResponse:
        page = self._pages.get_template(template)
        return HTMLResponse(page.render(title=self.study.fact("title"), **content), status)


def run(path: Path, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve a study until the process is interrupted.

    Args:
        tell: called with the lines for whoever started it, the link among them.

    Raises:
        StudyError: the study cannot be read, or holds answers of simulated readers.
        InputError: the address cannot be listened on.
    """
    with StudyFile(path) as study, closing(_listening(host, port)) as listening:
        if study.simulated:
            raise StudyError(path, "its readers are simulated", "serve the study that it was simulated from")
        study.check_pictures()
        outside = not _is_loopback(host)
        key = secrets.token_urlsafe(16) if outside else None
        server = ReadingServer(study, tell, key, host if outside else None)
        address = _called_by(listening) if host in EVERY_ADDRESS else host
        shown = address or ("::1" if ":" in host else "127.0.0.1")
        in_brackets = f"[{shown}]" if ":" in shown else shown
        link = f"http://{in_brackets}:{listening.getsockname()[1]}/" + (f"?key={key}" if key else "")
        tell(f"reading at {link} (Ctrl-C ends; every answer is on disk)")
        if address is None:
            tell(f"no address was found by which others reach this machine: elsewhere, put it in place of {shown}")
        if outside:
            tell("beyond this machine nothing is encrypted: use a network that you trust, or a proxy with TLS")
        config = uvicorn.Config(
            server.app,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=64,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=2**14,
            lifespan="off",
        )
        uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        # After a kill the port is still marked as used for a minute; nobody else listens on it.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        # Browsers that come early wait, instead of being turned away while the server starts.
        listening.listen(64)
    except (OSError, UnicodeError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{host}:{port}", f"cannot be listened on ({reason})", "choose another --port, or 0") from None
    return listening


def _called_by(listening: socket.socket) -> str | None:
    """An address by which other machines reach a socket that listens on every address of this one; None: there is none.

    It is the one that this machine would speak from to others: asking the operating system that sends nothing.
    """
    documentation = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # RFC 5737 and 3849: nobody's
    families = [listening.family]
    if listening.family == socket.AF_INET6 and not listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        families.insert(0, socket.AF_INET)  # it hears both, and the shorter address is easier to type
    for family in families:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((documentation[family], 9))
            found = asking.getsockname()[0]
            if _reaches(found):
                return str(found)
    for family in families:
        # No way out of this network, but perhaps a name in it.
        with suppress(OSError):
            for *_, address in socket.getaddrinfo(socket.gethostname(), None, family, socket.SOCK_STREAM):
                if _reaches(str(address[0])):
                    return str(address[0])
    return None


def _reaches(address: str) -> bool:
    """Whether another machine can use an address: link-local ones of IPv6 need a zone that only this machine knows."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (known.is_loopback or known.is_unspecified or (known.version == 6 and known.is_link_local))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; the length was checked before.

    Raises:
        HTTPException: it is none, or has too many fields.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise HTTPException(413, "This request is too large, and nothing was changed.")
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise HTTPException(400, "This request cannot be read, and nothing was changed.") from None


def _form_token(sitting: Reading) -> str:
    """What the forms of a sitting's pages hold: follows from its token, so that it survives a restart."""
    return hashlib.sha256(f"form {sitting.token}".encode()).hexdigest()


def _showing(sitting: Reading, item: Item | None) -> str:
    """What the page of an item holds while it is due, and no page before or after, not even of the same item.

    Follows from the file, so that it survives a restart.
    """
    return hashlib.sha256(f"showing {sitting.token} {item and item.id} {sitting.answers_ever}".encode()).hexdigest()


def _is_shown(form: dict[str, str], sitting: Reading, item: Item | None) -> bool:
    return secrets.compare_digest(form.get("showing", "").encode(), _showing(sitting, item).encode())


def _told(error: StudyError) -> str:
    """The error without the path of the file, which is nobody's business in a browser."""
    said = error.fault + (f"; {error.remedy}" if error.remedy else "")
    return said[0].upper() + said[1:] + "."
