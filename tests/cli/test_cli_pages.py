"""The pages of `quantify --html` and `enhance --report`, opened in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
from browser import Browser, Opened, running
from cli_runs import dark, grey, lowlight, names, retina, save
from PIL import Image
from pydicom.data import get_testdata_file

HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;{{ 7*7 }}<script>alert(2)<!--"

ALL = 20_000
"""A window this high shows a whole page: what has not been scrolled to is not drawn, and its text not given out."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as started:
        yield started


def assert_sound(page: Opened) -> None:
    """Nothing is loaded from outside, nothing complains, every picture shows and has a text in its place."""
    own, *others = page.requests
    assert own.startswith("file://")
    assert [url for url in others if not url.startswith("data:")] == []
    assert page.complaints == []
    pictures = page.evaluate(
        "Promise.all([...document.images].map(image => {image.loading = 'eager'; return image.decode().then("
        "() => ({width: image.naturalWidth, alt: image.alt}))}))"
    )
    assert pictures
    assert all(picture["width"] > 0 and picture["alt"] for picture in pictures)
    assert page.evaluate("document.querySelectorAll('script, link[rel=stylesheet], iframe, object').length") == 0
    assert page.evaluate("[...document.querySelectorAll('svg')].every(drawing => drawing.getAttribute('aria-label'))")
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('th'))")
    identifiers = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(identifiers) == len(set(identifiers))


def assert_fits(page: Opened) -> None:
    """Nothing sticks out sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def patient(folder: Path) -> Path:
    """A DICOM image of a named patient."""
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.PatientName, dataset.PatientID = "Quixote^Alonso", "SECRET-77"
    folder.mkdir(parents=True, exist_ok=True)
    dataset.save_as(folder / "slice.dcm")
    return folder / "slice.dcm"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of all kinds, one with a hostile name, one of a patient, one that is none."""
    folder = tmp_path_factory.mktemp("images")
    save(dark(retina(256)), folder / "eye.png")
    save(grey(256), folder / f"{HOSTILE}.png")
    Image.fromarray(retina(200)).save(folder / "eye.jpg", quality=30)
    save(np.zeros((5, 7), np.uint8), folder / "tiny.png")
    tifffile.imwrite(folder / "stack.tif", np.stack([dark(grey(64))] * 3), photometric="minisblack")
    patient(folder / "Quixote")
    (folder / "notes.txt").write_text("a note")
    return folder


def test_the_page_of_quantify_shows_every_image_with_its_numbers(
    images: Path, tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new/page.html"
    ended = lowlight(capsys, "quantify", images, "--html", file, "--json", "--phi")
    assert ended.code == 0
    assert names(tmp_path) == ["new/page.html"]
    with browser.open(file, height=ALL, scheme="dark") as page:
        assert_sound(page)
        text = page.text
        for name in ("eye.png", "eye.jpg", "tiny.png", "stack.tif", "slice.dcm", f"{HOSTILE}.png"):
            assert text.count(name) >= 2, "in the table of all images and over its own numbers"
        for said in ("Image quality report", "Salt-and-pepper", "under-exposure", "Local noise", "quality 30"):
            assert said in text
        assert "frame 2 of 3" in text
        assert "not measurable: " in text
        assert re.search(r"\b6\s+images looked at", text)
        assert re.search(r"\b1\s+refused or skipped", text)
        measured = {Path(name).name: entry["measures"] for name, entry in ended.by_name().items()}
        quality = measured["eye.jpg"]["jpeg_quality"]
        assert f"quality {quality:.0f}" in text
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(244, 245, 243)", "dark as asked"


def test_nothing_of_a_patient_is_on_a_page_or_the_console(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = lowlight(capsys, "quantify", images, "--html", tmp_path / "q.html")
    out = tmp_path / "out"
    two = lowlight(capsys, "enhance", images, "-o", out, "--report", tmp_path / "e.html", "--any-modality")
    for content in ((tmp_path / "q.html").read_text(), (tmp_path / "e.html").read_text()):
        assert "eye.png" in content
        assert "slice.dcm" not in content, "files of hospitals may be named after patients"
        assert "Quixote" not in content, "neither as the patient nor as the folder"
        assert "SECRET" not in content
        assert str(images) not in content
    assert "Alonso" not in one.out + one.err + two.out + two.err
    assert len([name for name in names(out) if name.endswith(".dcm")]) == 1
    assert not [name for name in names(out) if "slice" in name]


def test_images_can_be_narrowed_down_without_any_script(
    images: Path, tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.html"
    ended = lowlight(capsys, "quantify", images, "--html", file, "--json")
    severities = {
        name: entry["measures"]["severities"]["exposure"]
        for name, entry in ended.by_name().items()
        if entry["measures"]
    }
    dark_ones = {name for name, severity in severities.items() if severity in ("moderate", "strong")}
    assert 0 < len(dark_ones) < len(severities)
    with browser.open(file) as page:
        shown = "[...document.querySelectorAll('.card')].filter(card => card.offsetParent !== null).length"
        assert page.evaluate(shown) == len(severities)
        page.click("label[for=show-exposure]")
        assert page.evaluate(shown) == len(dark_ones)


def test_the_page_of_enhance_shows_what_changed(
    images: Path, tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.html"
    arguments = ("enhance", images, "-o", tmp_path / "out", "--report", file, "--force", "--json", "--any-modality")
    ended = lowlight(capsys, *arguments)
    assert ended.code == 0
    with browser.open(file, height=ALL) as page:
        assert_sound(page)
        text = page.text
        for said in ("Enhancement report", "Before", "After", "Gain", "Residual", "Uncertainty", "% of range", "× 1"):  # noqa: RUF001
            assert said in text
        assert f"{HOSTILE}.png" in text
        assert page.evaluate("document.querySelectorAll('.maps figure').length") == 3 * 6
        after = ended.by_name()["eye.png"]["parameters"]["after"]
        assert f"brightest parts at {100 * after['p99']:.3g} % of range" in text


def test_an_image_left_unchanged_is_said_to_be(
    tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    from skimage import data

    good = np.asarray(Image.fromarray(data.astronaut()).resize((320, 320), Image.Resampling.LANCZOS))
    save(good, tmp_path / "in/good.png")
    file = tmp_path / "page.html"
    ended = lowlight(capsys, "enhance", tmp_path / "in", "-o", tmp_path / "out", "--report", file)
    assert "judged undamaged, left unchanged" in ended.out
    with browser.open(file, height=ALL) as page:
        assert_sound(page)
        assert "judged undamaged, left unchanged" in page.text
        assert page.evaluate("document.querySelectorAll('.maps').length") == 0, "nothing changed, so no map of it"


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_pages_fit_on_phones_tablets_and_desks(
    images: Path, tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    file = tmp_path / "page.html"
    assert lowlight(capsys, "quantify", images, "--html", file).code == 0
    with browser.open(file, width, height=ALL) as page:
        assert_fits(page)
        cells = "[...document.querySelectorAll('.overview tbody > tr > *')]"
        assert page.evaluate(f"{cells}.every(cell => cell.getBoundingClientRect().right <= innerWidth)")


def test_what_cannot_be_told_is_said_once_and_apart(
    images: Path, tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.html"
    assert lowlight(capsys, "enhance", images / "tiny.png", "-o", tmp_path / "o", "--report", file).code == 0
    with browser.open(file, height=ALL) as page:
        assert_sound(page)
        assert "not measurable: " in page.text
        assert "not told" not in page.text.split("What the maps and numbers mean")[0]


def test_the_overview_of_enhancements_keeps_arrows_whole_and_shows_severities_on_a_phone(
    images: Path, tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.html"
    ended = lowlight(capsys, "enhance", images, "-o", tmp_path / "out", "--report", file, "--json")
    measures = ended.by_name()["eye.png"]["parameters"]
    before, after = (measures[when]["severities"]["exposure"] for when in ("before", "after"))
    with browser.open(file, 390, height=ALL) as page:
        assert_sound(page)
        assert_fits(page)
        assert f"{before} → {after}" in page.text
        spans = "[...document.querySelectorAll('.overview .pairing')]"
        assert page.evaluate(f"{spans}.every(span => span.getBoundingClientRect().height < 30)"), "a line each"
        cells = "[...document.querySelectorAll('.overview tbody > tr > *')]"
        assert page.evaluate(f"{cells}.every(cell => cell.getBoundingClientRect().right <= innerWidth)")


def test_the_page_of_evaluate_shows_whole_words_and_all_numbers_on_a_phone(
    tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    for group in ("dermatology", "xray"):
        for number in range(3):
            save(grey(64), tmp_path / f"clean/{group}/{number}.png")
            save(dark(grey(64)), tmp_path / f"out/{group}/{number}.png")
    file = tmp_path / "page.html"
    assert lowlight(capsys, "evaluate", tmp_path / "clean", tmp_path / "out", "--html", file).code == 0
    with browser.open(file, 390, height=ALL) as page:
        assert_sound(page)
        assert_fits(page)
        cells = "[...document.querySelectorAll('.strips tbody > tr > *')]"
        assert page.evaluate(f"{cells}.every(cell => cell.getBoundingClientRect().right <= innerWidth)")
        heads = "[...document.querySelectorAll('.strips th[scope=row]')]"
        assert page.evaluate(f"{heads}.every(head => head.getBoundingClientRect().height < 45)"), "a name is one line"
        titles = f"{cells}.map(cell => getComputedStyle(cell, '::before').content)"
        assert {'"Mean"', '"Median"'} <= set(page.evaluate(titles)), "beside the numbers, as the head is hidden"


def test_many_images_stay_a_page_that_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = save(dark(retina(320)), tmp_path / "in/000.png")
    for number in range(1, 50):
        shutil.copy(first, tmp_path / f"in/{number:03}.png")
    assert lowlight(capsys, "quantify", tmp_path / "in", "--html", tmp_path / "page.html").code == 0
    each = (tmp_path / "page.html").stat().st_size / 50
    assert each < 100_000, "500 images: under 50 MB"


def test_a_page_that_would_load_something_is_noticed(tmp_path: Path, browser: Browser) -> None:
    bad = tmp_path / "bad.html"
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    bad.write_text(f"{policy}<p hidden>unseen</p><p>seen</p><img src='http://127.0.0.1:9/x.png'>")
    with browser.open(bad) as page:
        assert page.text.strip() == "seen"
        assert "http://127.0.0.1:9/x.png" in page.requests
        assert page.complaints
