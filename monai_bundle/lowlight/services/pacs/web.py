"""HTTP to archives: with time-outs, limits and authentication, and nothing that they send is parsed without a limit.

Not through dicomweb-client: it holds whole answers in memory and parses the objects in them in this process, where a
hostile one could do harm. Here they go to a file, which `lowlight.imaging` reads in a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

import requests

from lowlight.errors import RejectedError, UnavailableError
from lowlight.services.pacs.rules import DicomwebRule, OrthancRule, StowRule

_BLOCK = 1 << 20
_LARGEST_JSON = 64_000_000
_LARGEST_OBJECT = 4_000_000_000
_LONGEST_ANSWER = 3600.0
_LONGEST_HEADERS = 65_536
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_AWAY = (401, 403, 407, 408, 425, 429, 502, 503, 504, 507)
"""Statuses that say something of the service rather than of the object: it may be otherwise tomorrow."""
_NO_SERVICE = (404, 405, 501)


def is_uid(text: Any) -> bool:
    """Whether this is a UID (PS3.5 9.1; leading zeros are met and do no harm), and so no path either."""
    return isinstance(text, str) and len(text) <= 64 and _UID.fullmatch(text) is not None


class Web:
    """One archive's HTTP, for one thread at a time.

    Args:
        rule: where it is and how one gets in.
    """

    def __init__(self, rule: OrthancRule | DicomwebRule | StowRule) -> None:
        self.rule, self.root = rule, rule.url.rstrip("/")
        self._session = requests.Session()
        # Neither proxies nor .netrc of whoever started the worker: what is stated is all there is.
        self._session.trust_env = False
        self._session.max_redirects = 0
        self._session.verify = str(rule.ca_file) if rule.ca_file is not None else True
        if rule.client_certificate is not None:
            key = rule.client_key or rule.client_certificate
            self._session.cert = (str(rule.client_certificate), str(key))

    def json(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        """What is at this path, as JSON.

        Raises:
            UnavailableError, RejectedError: see `answer`.
        """
        headers = {"Accept": "application/dicom+json, application/json"}
        with self._answer("GET", path, params=query, headers=headers) as answer:
            if answer.status_code == 204:
                return []
            content = bytearray()
            for block in self._blocks(answer):
                content += block
                if len(content) > _LARGEST_JSON:
                    raise UnavailableError(f"{self._name} answers with more than {_LARGEST_JSON / 1e6:g} MB of JSON")
        return self._parsed(bytes(content))

    def download(self, path: str, target: IO[bytes], accept: str) -> None:
        """Write what is at this path into a file; of a multipart answer, its first part (RFC 2046 5.1).

        Raises:
            UnavailableError, RejectedError: see `answer`.
        """
        with self._answer("GET", path, headers={"Accept": accept}) as answer:
            size = 0
            for block in self._blocks(answer):
                size += len(block)
                if size > _LARGEST_OBJECT:
                    raise RejectedError(f"{self._name} sends an object of more than {_LARGEST_OBJECT / 1e9:g} GB")
                target.write(block)
            kind = answer.headers.get("Content-Type", "")
        if kind.lower().startswith("multipart/"):
            _keep_first_part(target, self._name)

    def store(self, path: str, file: Path) -> Any:
        """Store one object by STOW-RS (PS3.18 10.5) and return the answer's JSON, with the status code.

        Raises:
            UnavailableError, RejectedError: see `answer`. A conflict is an answer, not an error; that there is no such
                service says nothing of the object.
        """
        boundary = os.urandom(16).hex()
        start = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        end = f"\r\n--{boundary}--\r\n".encode()

        class Parts:
            """The body, read from the disk as it is sent."""

            def __len__(self) -> int:
                return len(start) + file.stat().st_size + len(end)

            def __iter__(self) -> Iterator[bytes]:
                yield start
                with file.open("rb") as stream:
                    while block := stream.read(_BLOCK):
                        yield block
                yield end

        headers = {
            "Accept": "application/dicom+json",
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        }
        with self._answer("POST", path, data=Parts(), headers=headers, allowed=(409, *_NO_SERVICE)) as answer:
            if answer.status_code in _NO_SERVICE:
                raise UnavailableError(
                    f"{self._name} answers {answer.status_code} (no STOW-RS there): is its url right?"
                )
            content = b"".join(self._blocks(answer))[:_LARGEST_JSON]
            return answer.status_code, (self._parsed(content) if content else {})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @contextmanager
    def _answer(
        self, method: str, path: str, allowed: tuple[int, ...] = (), headers: dict[str, str] | None = None, **what: Any
    ) -> Iterator[requests.Response]:
        """Ask, and hand on the answer if it is a good one.

        Raises:
            UnavailableError: nobody answers, in time, or lets us in, or the service says that it cannot now.
            RejectedError: the service says that this object is not there or not wanted.
            RulesError: a secret or a certificate of ours cannot be used.
        """
        if self.rule.ca_file is not None or self.rule.client_certificate is not None:
            self.rule.check_certificates()
        try:
            answer = self._session.request(
                method,
                f"{self.root}/{path}",
                headers=headers,
                auth=_Access(self.rule),
                stream=True,
                allow_redirects=False,
                timeout=(self.rule.connect, self.rule.answer),
                **what,
            )
            with answer:
                status = answer.status_code
                if status in _AWAY or 300 <= status < 400:
                    raise UnavailableError(f"{self._name} answers {status} ({_meaning(status)})")
                if status >= 400 and status not in allowed:
                    raise RejectedError(f"{self._name} answers {status} ({_meaning(status)})")
                yield answer
        except requests.exceptions.SSLError:
            raise UnavailableError(f"{self._name}: its certificate is not trusted, or it does not speak TLS") from None
        except requests.exceptions.Timeout:
            raise UnavailableError(f"{self._name} does not answer in time") from None
        except (requests.exceptions.RequestException, ConnectionError):
            # What libraries say of it names addresses with UIDs in them.
            raise UnavailableError(f"{self._name} does not answer") from None

    @property
    def _name(self) -> str:
        return f"{self.rule.name} ({urlsplit(self.root).hostname})"

    def _blocks(self, answer: requests.Response) -> Iterator[bytes]:
        """An answer that trickles in is cut off as well: the time-out counts only between two parts of it."""
        deadline = time.monotonic() + _LONGEST_ANSWER
        for block in answer.iter_content(_BLOCK):
            if time.monotonic() > deadline:
                raise UnavailableError(f"{self._name} takes longer than {_LONGEST_ANSWER:g} s to answer")
            yield block

    def _parsed(self, content: bytes) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise UnavailableError(f"{self._name} answers with something that is no JSON") from None


class _Access(requests.auth.AuthBase):
    """Puts the secret into a request. Read for each, so that a renewed token is used; never kept anywhere else."""

    def __init__(self, rule: OrthancRule | DicomwebRule | StowRule) -> None:
        self._rule = rule

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        password, token = self._rule.password(), self._rule.token()
        if password is not None:
            return requests.auth.HTTPBasicAuth(f"{self._rule.user}".encode(), password.encode())(request)
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request


def uid_path(**uids: str) -> str:
    """Path of a study, series or instance below a DICOMweb service (PS3.18 10.1): studies=..., series=..., ...

    Raises:
        RejectedError: one of them is no UID.
    """
    if not all(map(is_uid, uids.values())):
        raise RejectedError("a UID is none; the object cannot be asked for")
    return "/".join(f"{level}/{quote(uid, safe='')}" for level, uid in uids.items())


def _keep_first_part(stream: IO[bytes], name: str) -> None:
    """Turn a file that holds a multipart body into one that holds the content of its first part."""
    stream.flush()
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(_LONGEST_HEADERS)
    first = re.match(rb"(?:\r\n)?--([^\r\n]{1,200})\r\n", head)
    begin = head.find(b"\r\n\r\n", first.end() - 2) if first else -1
    if first is None or begin < 0:
        raise UnavailableError(f"{name} answers with something that is no multipart message")
    begin += 4
    delimiter = b"\r\n--" + first[1]
    stream.seek(begin)
    end = _find(stream, delimiter, begin)
    if end is None:
        raise UnavailableError(f"{name} answers with a part that does not end")
    position = begin
    while position < end:
        stream.seek(position)
        block = stream.read(min(_BLOCK, end - position))
        stream.seek(position - begin)
        stream.write(block)
        position += len(block)
    assert end <= size
    stream.truncate(end - begin)


def _find(stream: IO[bytes], text: bytes, start: int) -> int | None:
    position, kept = start, b""
    while block := stream.read(_BLOCK):
        found = (kept + block).find(text)
        if found >= 0:
            return position - len(kept) + found
        position += len(block)
        kept = (kept + block)[-len(text) + 1 :]
    return None


def _meaning(status: int) -> str:
    meanings = {401: "wrong user, password or token", 403: "access is not allowed", 404: "not there", 507: "disk full"}
    return meanings.get(status) or requests.status_codes._codes.get(status, ("unknown",))[0].replace("_", " ")
