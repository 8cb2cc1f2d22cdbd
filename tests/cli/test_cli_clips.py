"""`lowlight enhance` on films."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import av
import browser
import numpy as np
import pytest
from cli_runs import dark, grey, lowlight, names, save, start, until
from film_files import packets, panned, planes, times, write_film

from lowlight.imaging import video
from lowlight.services.preview import Preview


def brightness(path: Path) -> list[float]:
    """Mean of each frame, as players show it."""
    with av.open(str(path)) as opened:
        return [float(frame.to_ndarray(format="rgb24").mean()) for frame in opened.decode(video=0)]


def test_a_dark_film_comes_out_bright_with_its_times_and_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks = [0, 40, 80, 121, 150, 240, 280, 320, 500, 540]
    source = write_film(tmp_path / "a.mp4", panned(10), ticks=ticks, sound="aac", metadata={"title": "DOE^JANE"})
    before = source.read_bytes()
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "b.mp4", "--json", "--modality", "fundus")
    assert (ended.code, ended.err) == (0, "")
    (entry,) = ended.entries
    told = entry["parameters"]
    assert (entry["status"], entry["output"]) == ("done", str(tmp_path / "b.mp4"))
    assert (told["frames"], told["scenes"], told["undamaged"], told["sound"]) == (10, 1, False, ["aac"])
    assert (told["codec"], told["modality"], told["before"]["undamaged"]) == ("libx264", "fundus", False)
    assert source.read_bytes() == before
    np.testing.assert_allclose(times(tmp_path / "b.mp4"), np.array(ticks) / 1000, atol=0.0006)
    assert packets(tmp_path / "b.mp4", "audio") == packets(source, "audio")
    assert min(brightness(tmp_path / "b.mp4")) > 1.5 * max(brightness(source))
    assert b"DOE" not in (tmp_path / "b.mp4").read_bytes()
    assert names(tmp_path) == ["a.mp4", "b.mp4"]


def test_a_folder_may_hold_films_among_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    save(dark(grey()), source / "chest.png")
    for name in ("a.mp4", "sub/b.mkv", "c.avi", "d.mov"):
        (source / name).parent.mkdir(exist_ok=True)
        write_film(source / name, panned(2), "mpeg4" if name == "c.avi" else "libx264")
    (source / "broken.mp4").write_bytes(b"")
    (source / "playlist.mp4").write_text("#EXTM3U\nfile:///etc/passwd\n")
    ended = lowlight(capsys, "enhance", source, "-o", out)
    assert ended.code == 1
    assert names(out) == ["a.mp4", "c.avi", "chest.png", "d.mp4", "sub/b.mkv"]
    assert ended.out.startswith(f"5 files enhanced, in {out}, 2 refused (")
    assert ended.err.splitlines() == [
        f"refused: {source}/broken.mp4: is empty; export or copy it again",
        f"refused: {source}/playlist.mp4: is named .mp4 but holds text; check that it was exported and copied "
        "completely",
    ]


def test_an_undamaged_film_is_copied_as_it_is_coded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_film(tmp_path / "good.mp4", panned(6, 160, 120, light=0.9), sound="aac")
    ended = lowlight(capsys, "enhance", good, "-o", tmp_path / "out", "--report", tmp_path / "page.html")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{good}: judged undamaged, left unchanged\n0 files enhanced, 1 left unchanged")
    for kind in ("video", "audio"):
        assert packets(tmp_path / "out/good.mp4", kind) == packets(good, kind)
    assert "the middle of 6 frames" in (tmp_path / "page.html").read_text()


def test_strengths_of_zero_change_nothing_but_the_coding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_film(tmp_path / "a.mp4", panned(3))
    zero = ("--brightness", "0", "--denoise", "0")
    assert lowlight(capsys, "enhance", source, "-o", tmp_path / "same.mp4", *zero).code == 0
    assert packets(tmp_path / "same.mp4") == packets(source)
    assert lowlight(capsys, "enhance", source, "-o", tmp_path / "other.mkv", *zero).code == 0
    assert np.abs(np.subtract(brightness(tmp_path / "other.mkv"), brightness(source))).max() < 0.5


def test_a_grey_film_stays_grey_and_can_be_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [np.repeat(frame[..., 1:2], 3, axis=2) for frame in panned(3, 320, 240)]
    source = write_film(tmp_path / "a.mp4", frames)
    assert lowlight(capsys, "enhance", source, "-o", tmp_path / "b.mp4", "--label").code == 0
    made = planes(tmp_path / "b.mp4")
    assert all((plane == 128).all() for _, *chroma in made for plane in chroma)
    corners = [(slice(*rows), slice(*columns)) for rows in ((0, 20), (-20, None)) for columns in ((0, 90), (-90, None))]
    marked = [max((luma[corner] > 150).sum() for corner in corners) for luma, *_ in made]
    assert min(marked) > 20, "the mark is there in every frame"


def test_lossless_results_hold_what_was_computed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_film(tmp_path / "a.mkv", panned(2), "ffv1")
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "b.mkv", "--lossless", "--force", "--json")
    assert ended.entries[0]["parameters"]["codec"] == "ffv1"
    with av.open(str(tmp_path / "b.mkv")) as opened:
        assert next(opened.decode(video=0)).format.name == "bgr0"


def test_what_a_container_cannot_hold_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uneven = write_film(tmp_path / "a.mp4", panned(4), ticks=[0, 33, 120, 300])
    ended = lowlight(capsys, "enhance", uneven, "-o", tmp_path / "b.avi")
    assert ended.code == 1
    assert "cannot keep the times of its frames" in ended.err
    assert "end the name in .mp4 or .mkv" in ended.err
    assert lowlight(capsys, "enhance", uneven, "-o", tmp_path / "b.mov").code == 1
    assert lowlight(capsys, "enhance", uneven, "-o", tmp_path / "b.png").code == 1
    heard = write_film(tmp_path / "c.mkv", panned(4), sound="libopus")
    ended = lowlight(capsys, "enhance", heard, "-o", tmp_path / "d.avi", "--json")
    assert "its sound (opus) does not go into this kind of file" in ended.entries[0]["warning"]
    assert names(tmp_path) == ["a.mp4", "c.mkv", "d.avi"]


def test_damage_in_the_middle_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_film(tmp_path / "a.mkv", panned(30), "ffv1")
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "b.mkv")
    assert ended.code == 0
    assert "s are missing; the result ends where it ends" in ended.err
    assert 10 < len(times(tmp_path / "b.mkv")) < 20


def test_without_pyav_films_are_refused_with_what_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_film(tmp_path / "a.mp4", panned(2))
    # Stands for an environment without the package: taking it out of this one would break the other tests.
    monkeypatch.setattr(video, "find_spec", lambda name: None)
    ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "b.mp4")
    assert ended.code == 1
    assert "films need the package av, which is not installed; pip install 'lowlight-enhance[video]'" in ended.err


def test_other_commands_say_who_takes_films(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_film(tmp_path / "a.mp4", panned(2))
    ended = lowlight(capsys, "quantify", source)
    assert ended.code == 1
    assert "is a film, which is not taken here; `lowlight enhance` takes films" in ended.err


def long_film(folder: Path) -> Path:
    """A film that takes longer than a test has patience for."""
    return write_film(folder / "long.mp4", panned(120, 320, 240), "mpeg4")


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    source, out = long_film(tmp_path), tmp_path / "out"
    child = start("enhance", source, "-o", out)
    until(lambda: out.is_dir() and any(path.name.endswith(".part.mp4") for path in out.iterdir()), child, 120)
    child.send_signal(signal.SIGINT)
    told, said = child.communicate(timeout=60)
    assert (child.returncode, told) == (130, "")
    assert said == "interrupted: 0 of 1 file enhanced\n"
    assert names(out) == []


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_film(tmp_path / "a.mp4", panned(6, 160, 120))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        ended = lowlight(capsys, "enhance", source, "-o", tmp_path / "out/b.mkv", "--lossless")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ended.code == 1
    assert "has no result" in ended.err
    assert "the file would be larger than this disk or account allows" in ended.err
    assert names(tmp_path / "out") == []


def ask(link: str, path: str | None = None, host: str | None = None, method: str = "GET") -> tuple[int, dict[str, str]]:
    """Status and headers of an answer."""
    parts = urlsplit(link)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    with closing(connection):
        connection.request(method, parts.path if path is None else path, headers={"Host": host or parts.netloc})
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def test_the_preview_lets_only_those_in_who_have_its_link(tmp_path: Path) -> None:
    with Preview() as preview:
        assert urlsplit(preview.link).hostname == "127.0.0.1"
        assert ask(preview.link)[0] == 200
        assert ask(preview.link, "/")[0] == 403
        assert ask(preview.link, "/wrong/state")[0] == 403
        assert ask(preview.link, host="example.org")[0] == 421
        assert ask(preview.link, urlsplit(preview.link).path + "../serving.py")[0] == 404
        assert ask(preview.link, method="POST")[0] == 501
        assert ask(preview.link, urlsplit(preview.link).path + "before.jpg")[0] == 404
        assert "default-src 'none'" in ask(preview.link)[1]["content-security-policy"]


def test_the_preview_shows_a_film_while_it_is_made(tmp_path: Path) -> None:
    source = long_film(tmp_path)
    child = start("enhance", source, "-o", tmp_path / "out", "--preview", "--json",
                  env={**os.environ, "BROWSER": "true"})  # fmt: skip
    assert child.stdout is not None
    link = json.loads(child.stdout.readline())["preview"]
    try:
        with browser.running() as chromium, chromium.open(link, 1280, 640) as page:
            page.until("document.querySelector('#part').textContent.startsWith('frame ')")
            first = int(page.evaluate("document.querySelector('#part').textContent.split(' ')[1]"))
            page.until(f"parseInt(document.querySelector('#part').textContent.split(' ')[1]) > {first}")
            assert "long.mp4" in page.text
            assert page.evaluate("document.querySelector('#before').naturalWidth") == 320
            assert page.evaluate("document.querySelector('#after').naturalWidth") == 320
            shot = page.screenshot(tmp_path / "preview.png")
            assert shot.stat().st_size > 10_000
            assert page.complaints == []
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=60)
            page.until("document.querySelector('#state').textContent.startsWith('The run has ended')")
            # nobody answers any more: refused, reset or not connected, as the moment has it
            assert all(one.startswith("Failed to load resource: net::ERR_") for one in page.complaints)
            assert all(url.startswith((link, "data:")) for url in page.requests)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 130


def test_memory_does_not_grow_with_the_length_of_a_film(tmp_path: Path) -> None:
    most = {}
    for count in (20, 250):
        source = write_film(tmp_path / f"{count}.mkv", panned(1, 320, 240) * count, "mpeg4")
        program = (
            "import re, sys\n"
            "from lowlight.imaging.video import Clip\n"
            "with Clip.open(sys.argv[1]) as clip:\n"
            "    print(sum(1 for _ in clip.frames()))\n"
            "    child = clip._child.pid\n"
            "    for one in ('self', child):\n"
            "        print(re.search(r'VmHWM:\\s*(\\d+)', open(f'/proc/{one}/status').read())[1])\n"
        )
        ended = subprocess.run([sys.executable, "-c", program, str(source)], capture_output=True, text=True, check=True)
        frames, ours, theirs = map(int, ended.stdout.split())
        assert frames == count
        most[count] = ours + theirs
    assert most[250] < most[20] + 20_000, "kB; the frames alone are 57,000"
