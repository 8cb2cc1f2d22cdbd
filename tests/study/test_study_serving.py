"""Reading in a real browser, from a real server, which is killed; and requests that no page of ours sends."""

from __future__ import annotations

import http.client
import ipaddress
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import browser
import pytest

from lowlight.study import serving as serving_module
from lowlight.study.studyfile import StudyFile

READY = "document.body.dataset.ready === 'true'"
PAUSED = "document.body.innerText.includes('Paused') && document.readyState === 'complete'"
LEFT, RIGHT, ENTER = ("ArrowLeft", 37), ("ArrowRight", 39), ("Enter", 13)


@dataclass(frozen=True)
class Replied:
    """What the server said; names of headers in lower case."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def cookie(self) -> str:
        """The cookie that it set, as a browser sends it back."""
        return self.headers["set-cookie"].split(";")[0]


class Server:
    """`lowlight study serve` in a process of its own."""

    def __init__(self, study: Path, port: int = 0, *options: str) -> None:
        command = [sys.executable, "-m", "lowlight", "study", "serve", str(study), "--port", str(port), *options]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                      env={**os.environ, "PYTHONUNBUFFERED": "1"})  # fmt: skip
        assert self.child.stdout is not None
        self.said = self.child.stdout.readline()
        assert "reading at http://" in self.said, self.said + self.child.stdout.read()
        self.link = self.said.split()[2]
        self.port = int(self.link.split(":")[2].split("/")[0])

    def kill(self) -> None:
        self.child.kill()
        self.child.communicate()

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> Replied:
        """A request as a program sends it, which no page restrains; headers with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(connection):
            connection.request(
                method, path, body or None, {"Content-Type": "application/x-www-form-urlencoded", **named}
            )
            response = connection.getresponse()
            return Replied(response.status, response.read().decode(errors="replace"), dict(response.getheaders()))

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(study: Path, port: int = 0, *options: str) -> Iterator[Server]:
    server = Server(study, port, *options)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def chromium() -> Iterator[browser.Browser]:
    with browser.running() as running:
        yield running


def given(study: Path) -> list[tuple[str, int]]:
    connection = sqlite3.connect(study)
    rows = connection.execute(
        "SELECT reader, position FROM answer JOIN item ON item.id = item WHERE undone IS NULL ORDER BY answer.id"
    ).fetchall()
    connection.close()
    return rows


def begin(opened: browser.Opened, reader: str) -> None:
    opened.click(f"#reader-{reader}")
    opened.until(READY)


def field(html: str, name: str) -> str:
    return html.split(f'name="{name}" value="')[1].split('"')[0]


def hidden(html: str) -> str:
    """What the form of an item sends beside its answer."""
    return "&".join(f"{name}={field(html, name)}" for name in ("form", "showing", "item"))


def at(number: int) -> str:
    """A JavaScript condition: the page asks for this item and its pictures are there."""
    return f"document.body.innerText.includes('\\n{number} of 22') && {READY}"


def grade(opened: browser.Opened, keys: str = "34251") -> None:
    for key in keys:
        opened.press(key)
    opened.press(*ENTER)


def test_a_reader_grades_and_compares_by_keyboard_blindly(path: Path, chromium: browser.Browser) -> None:
    with serving(path) as server, chromium.open(server.link, 1024, 768) as opened:
        begin(opened, "R1")
        assert opened.evaluate("document.title") == "Eyes"
        for number in range(1, 12):
            opened.until(at(number))
            # Neither names of versions nor of files, nor strengths, are anywhere in what the page was sent.
            html = opened.evaluate("document.documentElement.outerHTML").lower()
            assert not any(word in html for word in ("original", "enhanced", "denoise", "eye0", "fundus", "version"))
            grade(opened)
            opened.until(at(number + 1))
            # It is on disk before the next item appears.
            assert given(path)[-1] == ("R1", number)
        for number in range(12, 23):
            opened.until(at(number))
            opened.press(*(LEFT if number % 2 else RIGHT))
            opened.until("document.body.innerText.includes('All done')" if number == 22 else at(number + 1))
            assert given(path)[-1] == ("R1", number)
        assert opened.complaints == []
        assert {url.split("/")[2] for url in opened.requests if url.startswith("http")} == {f"127.0.0.1:{server.port}"}
    with StudyFile(path) as study:
        chosen = study.rows(
            "SELECT position, chosen, first, second FROM answer JOIN item ON item.id = item WHERE task = 'pair'"
        )
        assert all(row["chosen"] == (row["first"] if row["position"] % 2 else row["second"]) for row in chosen)
        assert {tuple(row) for row in study.rows("SELECT question, value FROM grade")} == {
            ("clarity", 3), ("detail", 4), ("noise", 2), ("artefacts", 5), ("confidence", 1)
        }  # fmt: skip
        assert min(row["seconds"] for row in study.rows("SELECT seconds FROM answer")) > 0


def test_zoom_and_window_are_linked_and_undo_and_pause_work_on_a_tablet(path: Path, chromium: browser.Browser) -> None:
    with StudyFile(path) as study, study.changing() as change:
        # Pairs first, so that two images are on the first page.
        change.execute("UPDATE item SET position = position + 100 WHERE task = 'rating'")
    styles = "[...document.querySelectorAll('.frame img')].map((image) => image.style.transform + image.style.filter)"
    with serving(path) as server, chromium.open(server.link, 820, 1180) as opened:
        begin(opened, "R2")
        opened.evaluate(
            "document.querySelectorAll('.frame')[1].dispatchEvent(new WheelEvent('wheel', {deltaY: -300, clientX: 700, "
            "clientY: 500, cancelable: true}))"
        )
        opened.evaluate(
            "for (const [id, value] of [['brightness', 20], ['contrast', 30]]) { "
            "const slider = document.getElementById(id); slider.value = value; "
            "slider.dispatchEvent(new Event('input')); }"
        )
        first, second = opened.evaluate(styles)
        assert first == second
        assert "scale(2)" in first
        assert "brightness(1.3" in first
        opened.press("r")
        assert "scale(1)" in opened.evaluate(styles)[0]
        opened.press(*LEFT)
        opened.until(at(2))
        opened.press("p")
        opened.until(PAUSED)
        assert opened.evaluate("document.querySelectorAll('img').length") == 0
        opened.click("form[action='/resume'] button")
        opened.until(at(2))
        for key in (("p",), ENTER):
            opened.press("p")
            opened.until(PAUSED)
            opened.press(*key)
            opened.until(at(2))
        opened.press("u")
        opened.until(at(1))
        opened.press(*RIGHT)
        opened.until(at(2))
        # Nothing lies beyond the edge, and buttons are large enough for fingers.
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert opened.evaluate(
            "Math.min(...[...document.querySelectorAll('button')].map((button) => button.clientHeight)) >= 36"
        )
        assert opened.complaints == []
    assert len(given(path)) == 1


def test_a_kill_at_any_moment_loses_no_confirmed_answer_and_reading_goes_on(
    path: Path, chromium: browser.Browser
) -> None:
    server = Server(path)
    with chromium.open(server.link) as opened:
        begin(opened, "R1")
        for number in range(1, 5):
            opened.until(at(number))
            grade(opened)
            # The moment differs from round to round: at once, or when the next item is there.
            if number % 2 == 0:
                opened.until(at(number + 1))
            server.kill()
            confirmed = len(given(path))
            assert confirmed >= (number if number % 2 == 0 else number - 1)
            server = Server(path, server.port)
            opened.ask("Page.navigate", url=f"{server.origin}/read")
            opened.until(at(confirmed + 1))
            if confirmed < number:
                grade(opened)
                opened.until(at(number + 1))
            assert given(path) == [("R1", position) for position in range(1, number + 1)]
    server.kill()
    with StudyFile(path) as study:
        study.check_pictures()


def test_two_readers_at_once_do_not_mix_and_one_reader_is_not_two(path: Path, chromium: browser.Browser) -> None:
    with serving(path) as server:
        sittings = {}
        for reader in ("R1", "R2"):
            answer = server.ask("POST", "/begin", f"reader={reader}", Origin=server.origin)
            assert answer.status == 303
            sittings[reader] = answer.cookie

        def page(reader: str) -> str:
            return server.ask("GET", "/read", Cookie=sittings[reader]).text

        grades = "clarity=1&detail=2&noise=3&artefacts=4&confidence=5"
        for turn in range(8):
            reader = ("R1", "R2")[turn % 2]
            html = page(reader)
            body = f"{hidden(html)}&{grades}"
            other = sittings[("R2", "R1")[turn % 2]]
            assert server.ask("POST", "/answer", body, Origin=server.origin, Cookie=other).status == 403
            assert server.ask("POST", "/answer", body, Origin=server.origin, Cookie=sittings[reader]).status == 303
        assert given(path) == [(("R1", "R2")[turn % 2], turn // 2 + 1) for turn in range(8)]

        # Back on the start page, a reader's own browser goes on without a question.
        own = server.ask("POST", "/begin", "reader=R1", Origin=server.origin, Cookie=sittings["R1"])
        assert (own.status, own.headers["location"]) == (303, "/read")
        assert server.ask("POST", "/begin", "reader=R2", Origin=server.origin, Cookie=sittings["R1"]).status == 409
        with chromium.open(server.link) as opened:
            opened.click("#reader-R1")
            opened.until("document.body.innerText.includes('R1 is reading elsewhere')")
            opened.click("#take-over")
            opened.until(at(5))
        refused = server.ask("GET", "/read", Cookie=sittings["R1"])
        assert refused.status == 409
        assert "went on elsewhere" in refused.text
        assert server.ask("POST", "/begin", "reader=R9", Origin=server.origin).status == 404


TICKED = "[...document.querySelectorAll('input:checked')].map((input) => input.id)"


def test_grades_stay_with_the_item_that_they_were_given_to_whatever_the_way_back(
    path: Path, chromium: browser.Browser
) -> None:
    with serving(path) as server, chromium.open(server.link) as opened:
        begin(opened, "R1")
        grade(opened, "12345")
        opened.until(at(2))
        opened.evaluate("window.stays = true")
        opened.evaluate("history.back()")
        opened.until("window.stays !== true && document.readyState === 'complete'")
        if not opened.evaluate("location.pathname === '/read'"):
            opened.ask("Page.navigate", url=f"{server.origin}/read")
        opened.until(at(2))
        assert opened.evaluate(TICKED) == []
        opened.press(*ENTER)
        assert opened.evaluate("document.body.innerText.includes('2 of 22')")
        assert given(path) == [("R1", 1)]

        # Grades given, not saved; meanwhile the item is answered in a second tab; then back to the first.
        for key in "12345":
            opened.press(key)
        assert len(opened.evaluate(TICKED)) == 5
        left = opened.evaluate("document.documentElement.outerHTML")
        opened.ask("Page.navigate", url=server.link)
        opened.until("document.querySelector('#reader-R1') !== null")
        with chromium.open(f"{server.origin}/read") as second:
            second.until(at(2))
            grade(second, "55555")
            second.until(at(3))
        opened.evaluate("history.back()")
        opened.until(at(3))
        assert opened.evaluate(TICKED) == []
        opened.press(*ENTER)
        opened.ask("Page.reload")
        opened.until(at(3))
        assert opened.evaluate(TICKED) == []
        assert given(path) == [("R1", 1), ("R1", 2)]

        # A page from before an answer was taken back is another showing of the same item, and saves nothing.
        opened.press("u")
        opened.until(at(2))
        token = next(
            f"{cookie['name']}={cookie['value']}"
            for cookie in opened.ask("Network.getCookies")["cookies"]
            if cookie["name"] == "lowlight_sitting"
        )
        old = f"{hidden(left)}&clarity=1&detail=2&noise=3&artefacts=4&confidence=5"
        assert server.ask("POST", "/answer", old, Origin=server.origin, Cookie=token).status == 409
        assert server.ask("POST", "/undo", old, Origin=server.origin, Cookie=token).status == 303
        assert given(path) == [("R1", 1)]


def test_a_picture_that_breaks_while_it_is_read_is_told_and_reading_goes_on_when_it_is_mended(
    path: Path, chromium: browser.Browser
) -> None:
    with serving(path) as server, chromium.open(server.link, 820, 1180) as opened:
        begin(opened, "R1")
        for number in (1, 2):
            opened.until(at(number))
            grade(opened)
        opened.until(at(3))
        with StudyFile(path) as study:
            _, _, _, fourth, *_ = study.items("R1")
            png = study.picture(fourth.image, fourth.first)
            with study.changing() as change:
                change.execute(
                    "UPDATE picture SET png = ? WHERE image = ? AND version = ?",
                    (png[:-20], fourth.image, fourth.first),
                )
        grade(opened)
        opened.until("document.body.innerText.includes('This image cannot be shown')")
        assert "Your 3 answers so far are kept. Please tell whoever runs the study: reader R1" in opened.text
        assert opened.evaluate("document.querySelectorAll('img').length") == 0
        assert server.child.stdout is not None
        line = server.child.stdout.readline()
        assert line.startswith("R1 cannot go on at item ")
        assert "is not the one that the study was made with" in line
        with StudyFile(path) as study, study.changing() as change:
            change.execute(
                "UPDATE picture SET png = ? WHERE image = ? AND version = ?", (png, fourth.image, fourth.first)
            )
        opened.click("a[href='/read']")
        opened.until(at(4))
        # It breaks after the page has come, before the picture has.
        html = opened.evaluate("document.documentElement.outerHTML")
        with StudyFile(path) as study, study.changing() as change:
            change.execute("DELETE FROM picture WHERE image = ? AND version = ?", (fourth.image, fourth.first))
        assert field(html, "item") == str(fourth.id)
        opened.evaluate("document.querySelector('.frame img').src += '?'")
        opened.until("document.body.innerText.includes('This image cannot be shown')")
        assert " is missing; " in server.child.stdout.readline()
    assert len(given(path)) == 3


def test_a_page_waits_for_a_server_that_is_away_and_goes_on_by_itself(path: Path, chromium: browser.Browser) -> None:
    away = "!document.getElementById('away').hidden"
    server = Server(path)
    with chromium.open(server.link) as opened:
        begin(opened, "R1")
        opened.until(at(1))
        server.kill()
        grade(opened)
        opened.until(away)
        assert "The server does not answer. Your confirmed answers are kept" in opened.text
        # What waits to be sent is not changed any more, and not sent twice.
        opened.press("u")
        opened.press("Backspace", 8)
        assert len(opened.evaluate(TICKED)) == 5
        server = Server(path, server.port)
        opened.until(at(2))
        assert given(path) == [("R1", 1)]
        opened.press("p")
        opened.until(PAUSED)
        server.kill()
        opened.press("p")
        opened.until(away)
        server = Server(path, server.port)
        opened.until(at(2))
        # A refusal is shown in the server's own words.
        grade_of_nothing = "document.querySelector('#answer input[name=showing]').value = 'another'"
        opened.evaluate(grade_of_nothing)
        grade(opened)
        opened.until("document.body.innerText.includes('This page is out of date, and nothing was changed')")
        opened.click("a[href='/read']")
        opened.until(at(2))
    server.kill()
    assert given(path) == [("R1", 1)]


def test_requests_that_no_page_of_ours_sends_change_nothing(path: Path) -> None:
    with serving(path) as server:
        begun = server.ask("POST", "/begin", "reader=R1", Origin=server.origin)
        cookie = begun.cookie
        assert {"HttpOnly", "SameSite=strict"} <= set(begun.headers["set-cookie"].split("; "))
        page = server.ask("GET", "/read", Cookie=cookie)
        html = page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        form, showing, item = (field(html, name) for name in ("form", "showing", "item"))
        grades = "clarity=1&detail=2&noise=3&artefacts=4&confidence=5"
        good = f"{hidden(html)}&{grades}"

        def ask(body: str = good, path_: str = "/answer", method: str = "POST", **headers: str) -> Replied:
            return server.ask(method, path_, body, **{"Cookie": cookie, "Origin": server.origin, **headers})

        def status(*request: str, **headers: str) -> int:
            return ask(*request, **headers).status

        assert status(Host="rebound.example") == 421
        assert status(Origin="http://elsewhere.example") == 403
        assert status(Origin="null") == 403
        assert server.ask("POST", "/answer", good, Cookie=cookie).status == 403
        assert status(f"form=wrong&showing={showing}&item={item}&{grades}") == 403
        assert status(f"form={form}&showing={form}&item={item}&{grades}") == 409
        assert status("x" * 20_000) == 413
        assert status(f"form={form}&showing={showing}&item={item}&" + "&".join(f"a{n}=1" for n in range(50))) == 400
        assert (
            status(f"form={form}&showing={showing}&item={item}&clarity=9&detail=2&noise=3&artefacts=4&confidence=5")
            == 409
        )
        assert status(f"form={form}&showing={showing}&item=999999999999999999999&{grades}") == 409
        assert status(f"form={form}&showing={showing}&item={item}&side=left") == 409
        assert "Clarity is not graded" in ask(f"form={form}&showing={showing}&item={item}").text
        assert status("", "/picture/2/0", "GET") == 404  # another item than the one that is asked
        assert status("", f"/picture/{item}/1", "GET") == 404
        assert status("", "/../../etc/passwd", "GET") == 404
        assert status("", "/answer", "GET") == 405
        assert given(path) == []
        assert status() == 303
        assert given(path) == [("R1", 1)]
        with StudyFile(path) as study, study.changing() as change:
            change.execute("UPDATE item SET position = position - 100 WHERE task = 'pair'")
        pair = hidden(ask("", "/read", "GET").text)
        assert "No side was chosen; choose left or right." in ask(pair).text
        assert ask(f"{pair}&side=middle").status == 409
        assert ask(f"{pair}&side=left").status == 303


def test_beyond_this_machine_a_key_is_needed(path: Path) -> None:
    with serving(path, 0, "--host", "0.0.0.0") as server:
        assert "?key=" in server.link
        assert server.ask("GET", "/").status == 403
        assert server.ask("GET", "/?key=guess").status == 403
        admitted = server.ask("GET", "/?" + server.link.split("?")[1])
        assert admitted.status == 200
        cookie = admitted.cookie
        assert server.ask("GET", "/", Cookie=cookie).status == 200
        begun = server.ask("POST", "/begin", "reader=R1", Origin=server.origin, Cookie=cookie)
        assert begun.status == 303
        port = server.port
    # Each start has a key of its own; who was reading goes on without it, and nobody else.
    with serving(path, port, "--host", "0.0.0.0") as server:
        assert server.ask("GET", "/read", Cookie=cookie).status == 403
        assert server.ask("GET", "/read", Cookie=f"{cookie}; {begun.cookie}").status == 200
        assert server.ask("GET", "/read", Cookie="lowlight_sitting=").status == 403


@pytest.mark.parametrize("every", ["0.0.0.0", "::"])
def test_a_link_for_others_names_an_address_of_this_machine(path: Path, every: str) -> None:
    with serving(path, 0, "--host", every) as server:
        parts = urlsplit(server.link)
        assert parts.hostname is not None
        assert not ipaddress.ip_address(parts.hostname).is_unspecified
        with closing(http.client.HTTPConnection(parts.hostname, server.port, timeout=60)) as connection:
            connection.request("GET", f"/?{parts.query}")
            assert connection.getresponse().status == 200
        assert server.child.stdout is not None
        rest = server.child.stdout.readline()
        # Where this machine has no network at all, the link is for itself, and says so.
        alone = ipaddress.ip_address(parts.hostname).is_loopback
        assert rest.startswith("no address was found" if alone else "beyond this machine nothing is encrypted")


def test_a_machine_without_any_network_says_that_its_link_is_for_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> list[object]:
        raise OSError("no network")

    # A machine without network cannot be had in a test: its system calls fail here, and nothing is served.
    monkeypatch.setattr(serving_module.socket.socket, "connect", none)
    monkeypatch.setattr(serving_module.socket, "getaddrinfo", none)
    monkeypatch.setattr(serving_module.uvicorn.Server, "run", lambda *_, **__: None)
    lines: list[str] = []
    serving_module.run(path, "0.0.0.0", 0, lines.append)
    assert lines[0].startswith("reading at http://127.0.0.1:")
    assert "no address was found by which others reach this machine" in lines[1]


def test_the_server_ends_by_ctrl_c_with_130_and_a_taken_port_is_told(path: Path) -> None:
    server = Server(path)
    command = [sys.executable, "-m", "lowlight", "study", "serve", str(path), "--port", str(server.port)]
    taken = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (taken.returncode, taken.stdout) == (1, "")
    assert "cannot be listened on (Address already in use); choose another --port, or 0" in taken.stderr
    server.child.send_signal(signal.SIGINT)
    server.child.communicate(timeout=240)
    assert server.child.returncode == 130
