"""A real browser for tests: headless Chromium, spoken to over its debugging pipe."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120
"""Seconds until a browser that does not answer counts as hung; a busy machine may take long to start one."""


def executable() -> str:
    """The installed browser; fails the test with what is missing, for a page nobody opened proves nothing."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found is not None, "no Chromium is installed: on Debian or Ubuntu, apt-get install chromium"
    return found


class NavigatedError(Exception):
    """The page that a command was meant for gave way to the next one."""


@dataclass
class Opened:
    """A page in the browser.

    Attributes:
        requests: every URL that it asked for, itself included.
        complaints: errors and warnings on the console, violations of its security policy among them.
    """

    browser: Browser
    session: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What can be read on it: hidden text is left out."""
        return str(self.evaluate("document.body.innerText"))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, run from outside the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Click what a CSS selector finds."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true; meanwhile one page may follow another."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(NavigatedError):
                answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
                if answer["result"].get("value") is True:
                    return
            assert time.monotonic() < deadline, f"never so: {expression}"
            time.sleep(0.02)

    def press(self, key: str, code: int = 0, modifiers: int = 0) -> None:
        """Press and release a key, as a keyboard does; ``modifiers``: 2 is Ctrl."""
        text = {"text": key} if len(key) == 1 and not modifiers else {}
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, "key": key, "windowsVirtualKeyCode": code or ord(key[0].upper()), **text}
            self.ask(
                "Input.dispatchKeyEvent", modifiers=modifiers, **(event if kind == "keyDown" else {**event, "text": ""})
            )

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its answer."""
        return self.browser.ask(method, self, **parameters)

    def screenshot(self, path: Path) -> Path:
        """The whole page as PNG."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path


class Browser:
    """The protocol's two ends: commands go out on one pipe, answers and events come in on another."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._received = b""
        self._count = 0

    @contextmanager
    def open(self, page: Path | str, width: int = 1280, height: int = 900, scheme: str = "light") -> Iterator[Opened]:
        """Open a file or an address, in a window of this size and colour scheme."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        opened = Opened(self, session)
        for domain in ("Page", "Network", "Runtime", "Log"):
            opened.ask(f"{domain}.enable")
        opened.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        opened.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        opened.ask("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        deadline = time.monotonic() + PATIENCE
        # A server may take a while to answer: until then the empty page is still there, and complete.
        while opened.evaluate("location.href === 'about:blank' ? '' : document.readyState") != "complete":
            assert time.monotonic() < deadline, f"{page} does not load"
        yield opened
        self.ask("Target.closeTarget", targetId=target)

    def ask(self, method: str, opened: Opened | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer; what a page does meanwhile is noted."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if opened is not None:
            message["sessionId"] = opened.session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (received := self._next()).get("id") != self._count:
            if opened is not None and received.get("sessionId") == opened.session:
                _note(opened, received)
        if "navigated or closed" in received.get("error", {}).get("message", ""):
            raise NavigatedError(method)
        assert "error" not in received, f"{method}: {received['error']}"
        result: dict[str, Any] = received["result"]
        return result

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            chunk = os.read(self._answers, 2**16)
            assert chunk, "the browser has ended"
            self._received += chunk
        text, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


@contextmanager
def running() -> Iterator[Browser]:
    """A browser of its own, without any profile, that ends with the block."""
    (command_out, command_in), (answer_out, answer_in) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = [
            executable(),
            "--headless",
            "--no-sandbox",  # tests may run as root, which the sandbox refuses; only pages made here are opened
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]

        def wire() -> None:
            # The browser reads commands from descriptor 3 and answers on 4; copies keep the two apart.
            commands, answers = (fcntl.fcntl(end, fcntl.F_DUPFD, 5) for end in (command_out, answer_in))
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        child = subprocess.Popen(
            arguments,
            preexec_fn=wire,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )
        os.close(command_out)
        os.close(answer_in)
        try:
            yield Browser(command_in, answer_out)
        finally:
            child.terminate()
            child.wait(PATIENCE)
            os.close(command_in)
            os.close(answer_out)


def _note(opened: Opened, event: dict[str, Any]) -> None:
    parameters = event.get("params", {})
    if event.get("method") == "Network.requestWillBeSent":
        opened.requests.append(parameters["request"]["url"])
    elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
        opened.complaints.append(parameters["entry"]["text"])
    elif event.get("method") == "Runtime.exceptionThrown":
        opened.complaints.append(parameters["exceptionDetails"]["text"])
    elif event.get("method") == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
        opened.complaints.append(str(parameters["args"]))
