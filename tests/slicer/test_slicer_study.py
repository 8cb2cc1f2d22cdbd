"""The tab “Reader study” as a reader uses it: real Qt, real scene, real worker, a real study file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
from LowLightEnhanceLib import Settings, Volumes
from PIL import Image
from PySide6 import QtCore, QtTest, QtWidgets
from slicer_volumes import added, node_ids
from views import as_seen

from lowlight import Enhancer
from lowlight.imaging import collect
from lowlight.study.making import Case, Design, make
from lowlight.study.reading import Reading
from lowlight.study.studyfile import StudyFile

Key = QtCore.Qt.Key


@pytest.fixture(scope="session")
def made(retina: np.ndarray, enhancer: Enhancer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images at three strengths: three ratings, then three pairs, for two readers."""
    folder = tmp_path_factory.mktemp("slicer-study")
    noise = np.random.default_rng(3).normal(0, 4, retina.shape)
    dark = np.clip(retina * 0.25 + noise, 0, 255).astype(np.uint8)
    for number, pixels in enumerate((dark, dark[:, ::-1])):
        Image.fromarray(pixels).save(folder / f"secret{number}.png")
    cases = [Case((found,), "fundus") for found in collect([folder])]
    strengths = ((0.4, 1.0), (1.0, 1.0))
    design = Design(("rating", "pair"), strengths, readers=2, items=3, repeats=0, title="Eyes in the dark")
    return make(folder / "eyes.study", cases, design, enhancer)


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "eyes.study"))


@pytest.fixture
def study(module):
    """The tab, in front."""
    part = module.panel.study
    module.ui.tabs.currentIndex = module.ui.tabs.indexOf(part.widget)
    module.activateWindow()
    return part


def opened(study, path: Path, qtbot) -> None:
    study.ui.studyEdit.text = str(path)
    study.ui.studyOpenButton.click()
    qtbot.waitUntil(lambda: not study.sitting.busy, timeout=60_000)


def begun(study, path: Path, qtbot, row: int = 0) -> None:
    """Read as the first reader."""
    opened(study, path, qtbot)
    assert study.ui.readersList.count == 2, study.ui.studyMessage.text
    study.ui.readersList.setCurrentRow(row)
    study.ui.beginButton.click()
    ready(study, qtbot)


def ready(study, qtbot) -> None:
    """The next item can be answered."""
    qtbot.waitUntil(lambda: study.canAnswer, timeout=30_000)


def press(module, key: Key, modifier=QtCore.Qt.KeyboardModifier.NoModifier) -> None:
    """A key, wherever the focus is."""
    QtTest.QTest.keyClick(QtWidgets.QApplication.focusWidget() or module, key, modifier)


def standing(path: Path) -> list[tuple[int, str | None, float]]:
    """(item, name of the chosen version, seconds) of all standing answers."""
    with StudyFile(path) as file:
        versions = file.versions
        rows = file.rows("SELECT item, chosen, seconds FROM answer WHERE undone IS NULL ORDER BY item")
        return [(row[0], versions[row[1]].name if row[1] else None, row[2]) for row in rows]


def answer(module, study, qtbot) -> None:
    """Answer by the keyboard alone, and wait until it is confirmed."""
    done = study.sitting.item["done"]
    if study.sitting.item["task"] == "pair":
        press(module, Key.Key_Left)
    else:
        for key in (Key.Key_4, Key.Key_3, Key.Key_5, Key.Key_4, Key.Key_2):
            press(module, key)
        press(module, Key.Key_Return)
    qtbot.waitUntil(lambda: study.sitting.item["done"] == done + 1, timeout=30_000)


def test_a_study_is_read_from_the_first_to_the_last_item_by_keyboard_alone(module, study, qtbot, path):
    before, layout = node_ids(), slicer.app.layoutManager().layout
    opened(study, path, qtbot)
    study.ui.readersList.setCurrentRow(0)
    study.ui.studyEdit.text = "/studies/eyes.study"
    study.ui.beginButton.click()
    ready(study, qtbot)
    for number in range(6):
        ready(study, qtbot)
        assert study.ui.studyProgress.format == f"R1:  {number + 1} / 6"
        if number == 0:
            for key in (Key.Key_4, Key.Key_3):
                press(module, key)
            for _ in range(2):
                press(module, Key.Key_Backspace)
        answer(module, study, qtbot)
        assert len(standing(path)) == number + 1
    qtbot.waitUntil(lambda: study.ui.donePage.visible, timeout=30_000)
    assert "6 of 6" in study.ui.doneLabel.text
    with StudyFile(path) as file:
        items = file.items("R1")
        pairs = [item for item in items if item.task == "pair"]
        chosen = dict(file.rows("SELECT item, chosen FROM answer"))
        assert [chosen[item.id] for item in pairs] == [item.first for item in pairs]
        grades = dict(file.rows("SELECT question, value FROM grade WHERE answer = 1"))
    assert grades == {"clarity": 4, "detail": 3, "noise": 5, "artefacts": 4, "confidence": 2}
    assert all(0.25 < seconds < 60 for _item, _chosen, seconds in standing(path))
    study.ui.finishButton.click()
    qtbot.waitUntil(lambda: not study.sitting.busy, timeout=30_000)
    assert slicer.app.layoutManager().layout == layout
    left = {slicer.mrmlScene.GetNodeByID(node).GetClassName() for node in node_ids() - before}
    assert not [name for name in left if "Volume" in name]


def to_the_pairs(module, study, qtbot, path) -> None:
    """Begin, with all ratings answered."""
    with StudyFile(path) as file:
        reading = Reading(file, "R1")
        grades = dict.fromkeys(("clarity", "detail", "noise", "artefacts", "confidence"), 3)
        while (item := reading.current()) is not None and item.task == "rating":
            reading.grade(item.id, grades)
        reading.close()
    begun(study, path, qtbot)


def test_nothing_on_the_screen_or_in_the_scene_tells_what_is_compared(module, study, qtbot, path):
    to_the_pairs(module, study, qtbot, path)
    with StudyFile(path) as file:
        words = [version.name for version in file.versions.values()]
    words += ["secret", "original", "enhanced", "brightness 0", "denoise"]
    shown = [slicer.mrmlScene.GetNthNode(index) for index in range(slicer.mrmlScene.GetNumberOfNodes())]
    texts = [str(node.GetName()) for node in shown]
    texts += [label.text for label in study.widget.findChildren(QtWidgets.QLabel) if label.isVisible()]
    texts += [button.text for button in study.widget.findChildren(QtWidgets.QPushButton) if button.isVisible()]
    assert not [(word, text) for word in words for text in texts if word.lower() in text.lower()]
    volumes = [node for node in shown if node.IsA("vtkMRMLVolumeNode")]
    assert [node.GetName() for node in volumes] == ["Left", "Right"]
    assert all(node.GetHideFromEditors() and not node.GetSaveWithScene() for node in volumes)
    assert "eyes.study" not in module.ui.logView.toPlainText()


def test_the_pictures_are_those_of_the_item_each_on_its_side(module, study, qtbot, path):
    import io

    to_the_pairs(module, study, qtbot, path)
    with StudyFile(path) as file:
        item = next(item for item in file.items("R1") if item.id == study.sitting.item["item"])
        expected = [np.asarray(Image.open(io.BytesIO(file.picture(item.image, v)))) for v in item.versions]
    for name, pixels in zip(("Left", "Right"), expected, strict=True):
        assert np.array_equal(Volumes.arrayOf(slicer.util.getNode(name))[0], pixels)
    left, right = as_seen().values()
    brightness = [pixels.mean() for pixels in expected]
    assert (left.mean() < right.mean()) == (brightness[0] < brightness[1])


def test_zoom_place_and_window_are_one_for_both(module, study, qtbot, path):
    to_the_pairs(module, study, qtbot, path)
    manager = slicer.app.layoutManager()
    left, right = (manager.sliceWidget(name).mrmlSliceNode() for name in study.views.tags)
    whole = left.GetFieldOfView()
    press(module, Key.Key_Plus)
    assert left.GetFieldOfView()[0] == pytest.approx(whole[0] / 1.25)
    # As a drag in the right-hand view does.
    right.SetFieldOfView(50, 50 * right.GetFieldOfView()[1] / right.GetFieldOfView()[0], 1)
    right.SetXYZOrigin(20, -10, 0)
    right.UpdateMatrices()
    for node in (left, right):
        assert node.GetXYZOrigin()[:2] == (20, -10)
    scale = [node.GetFieldOfView()[0] / node.GetDimensions()[0] for node in (left, right)]
    assert scale[0] == pytest.approx(scale[1])
    displays = [slicer.util.getNode(name).GetDisplayNode() for name in ("Left", "Right")]
    displays[1].SetWindowLevelMinMax(10, 90)
    assert (displays[0].GetWindowLevelMin(), displays[0].GetWindowLevelMax()) == (10, 90)
    study.ui.studyBrightnessSlider.value = 40
    assert displays[0].GetWindowLevelMax() == displays[1].GetWindowLevelMax() < 255
    press(module, Key.Key_R)
    assert (displays[1].GetWindowLevelMin(), displays[1].GetWindowLevelMax()) == (0, 255)
    assert left.GetFieldOfView()[0] == pytest.approx(whole[0])


def test_what_was_zoomed_starts_whole_at_the_next_item(module, study, qtbot, path):
    to_the_pairs(module, study, qtbot, path)
    manager = slicer.app.layoutManager()
    left = manager.sliceWidget(study.views.tags[0]).mrmlSliceNode()
    whole = left.GetFieldOfView()[0]
    press(module, Key.Key_Plus)
    answer(module, study, qtbot)
    ready(study, qtbot)
    assert left.GetFieldOfView()[0] == pytest.approx(whole)


def test_undo_brings_the_last_item_back(module, study, qtbot, path):
    to_the_pairs(module, study, qtbot, path)
    first = study.sitting.item["item"]
    answer(module, study, qtbot)
    ready(study, qtbot)
    press(module, Key.Key_Z, QtCore.Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: study.sitting.item["item"] == first, timeout=30_000)
    ready(study, qtbot)
    assert len(standing(path)) == 3
    press(module, Key.Key_2)
    qtbot.waitUntil(lambda: study.sitting.item["done"] == 4, timeout=30_000)
    with StudyFile(path) as file:
        asked = next(item for item in file.items("R1") if item.id == first)
        assert file.value("SELECT chosen FROM answer WHERE item = ? AND undone IS NULL", first) == asked.second


@pytest.mark.parametrize("how", ["key", "tab", "module"])
def test_a_pause_stops_the_clock_and_hides_the_pictures(module, study, qtbot, path, how):
    to_the_pairs(module, study, qtbot, path)
    if how == "key":
        press(module, Key.Key_P)
    elif how == "tab":
        module.ui.tabs.currentIndex = 0
    else:
        module.module.exit()
    assert study.views.tags == ()
    qtbot.waitUntil(lambda: not study.sitting.busy and study.sitting.item["paused"], timeout=30_000)
    press(module, Key.Key_Left)
    assert all(picture.max() == 0 for picture in as_seen().values())
    module.ui.tabs.currentIndex = module.ui.tabs.indexOf(study.widget)
    study.ui.resumeButton.click()
    ready(study, qtbot)
    assert len(standing(path)) == 3
    answer(module, study, qtbot)


def test_a_double_click_answers_one_item(module, study, qtbot, path):
    to_the_pairs(module, study, qtbot, path)
    study.ui.leftButton.click()
    study.ui.leftButton.click()
    shown = study.sitting.item["item"]
    qtbot.waitUntil(lambda: study.sitting.item["item"] != shown and bool(study.views.tags), timeout=30_000)
    study.ui.leftButton.click()
    assert not study.sitting.busy
    assert len(standing(path)) == 4


def test_arrows_on_a_slider_move_the_slider(module, study, qtbot, path):
    to_the_pairs(module, study, qtbot, path)
    slider = study.ui.studyBrightnessSlider
    slider.setFocus()
    QtTest.QTest.keyClick(slider, Key.Key_Right)
    assert slider.value == 1
    assert len(standing(path)) == 3
    study.ui.leftButton.setFocus()
    press(module, Key.Key_Right)
    qtbot.waitUntil(lambda: study.sitting.item["done"] == 4, timeout=30_000)


def test_after_the_worker_was_killed_the_reading_goes_on_where_it_was(module, study, qtbot, path):
    to_the_pairs(module, study, qtbot, path)
    answer(module, study, qtbot)
    ready(study, qtbot)
    os.kill(module.logic.worker.processId, signal.SIGKILL)
    qtbot.waitUntil(lambda: not module.logic.worker.running, timeout=20_000)
    study.ui.leftButton.click()
    assert "has ended" in study.ui.studyMessage.text
    assert study.views.tags == ()
    study.ui.resumeButton.click()
    ready(study, qtbot)
    assert study.sitting.item["done"] == 4
    answer(module, study, qtbot)
    assert len(standing(path)) == 5


def test_a_reader_who_reads_elsewhere_is_asked_before_going_on_here(module, study, qtbot, path):
    with StudyFile(path) as file:
        other = Reading(file, "R1")
        # Another Slicer of the same user, which still runs: what it left in the common settings does not count here.
        Settings.write("studySitting", f"{os.getppid()} {other.token}")
        opened(study, path, qtbot)
        study.ui.readersList.setCurrentRow(0)
        study.ui.beginButton.click()
        qtbot.waitUntil(lambda: study.ui.takeOverButton.visible, timeout=30_000)
        assert "R1 is reading elsewhere" in study.ui.studyMessage.text
        study.ui.takeOverButton.click()
        ready(study, qtbot)
        # The other one takes the chair back: the answer given here is not taken, and the reader is told.
        other.close()
        Reading(file, "R1", take_over=True)
        for key in (Key.Key_4, Key.Key_3, Key.Key_5, Key.Key_4, Key.Key_2, Key.Key_Return):
            press(module, key)
        qtbot.waitUntil(lambda: study.ui.startPage.visible, timeout=30_000)
        assert "not taken" in study.ui.studyMessage.text
    assert standing(path) == []


@pytest.mark.parametrize("content", [None, b"no study at all", b""], ids=["missing", "another file", "empty"])
def test_what_is_no_study_is_refused_in_words(module, study, qtbot, tmp_path, content):
    path = tmp_path / "wrong.study"
    if content is not None:
        path.write_bytes(content)
    opened(study, path, qtbot)
    assert "wrong.study" in study.ui.studyMessage.text
    assert "lowlight study new" in study.ui.studyMessage.text
    assert study.ui.startPage.visible
    assert not study.ui.readersList.visible


def test_closing_the_scene_pauses_and_the_reading_goes_on(module, study, qtbot, path):
    to_the_pairs(module, study, qtbot, path)
    slicer.mrmlScene.Clear(False)
    qtbot.waitUntil(lambda: study.ui.pausedPage.visible and not study.sitting.busy, timeout=30_000)
    study.ui.resumeButton.click()
    ready(study, qtbot)
    answer(module, study, qtbot)
    assert len(standing(path)) == 4


def test_enhancing_goes_on_beside_a_study(module, study, qtbot, path, retina):
    begun(study, path, qtbot)
    module.ui.tabs.currentIndex = 0
    module.choose(added((retina[None] // 6)[:, ::2, ::2]))
    module.ui.enhanceButton.click()
    qtbot.waitUntil(lambda: not module.logic.busy, timeout=60_000)
    module.ui.tabs.currentIndex = module.ui.tabs.indexOf(study.widget)
    study.ui.resumeButton.click()
    ready(study, qtbot)
    answer(module, study, qtbot)
    assert len(standing(path)) == 1


def test_when_slicer_is_killed_every_confirmed_answer_is_kept_and_the_chair_is_free(module, study, qtbot, path):
    here = Path(__file__).resolve().parent
    profile = path.parent / "settings"
    child = subprocess.Popen(
        [sys.executable, str(here / "slicer_reader.py"), str(path), str(profile)], stdout=subprocess.PIPE, text=True
    )
    try:
        confirmed = 0
        assert child.stdout is not None
        for line in child.stdout:
            assert line.startswith("confirmed "), line
            confirmed = int(line.split()[1])
            if confirmed == 2:
                break
        # While the next answer is on its way.
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert confirmed == 2
    assert len(standing(path)) in (2, 3)
    # Slicer, started again, has kept who was sitting here.
    kept = QtCore.QSettings(str(next(profile.rglob("*.ini"))), QtCore.QSettings.Format.IniFormat)
    Settings.write("studySitting", kept.value("LowLightEnhance/studySitting"))
    begun(study, path, qtbot)
    assert study.sitting.item["done"] == len(standing(path))
    answer(module, study, qtbot)


def test_everything_has_a_tooltip_and_is_reached_by_keyboard(study):
    used = (QtWidgets.QPushButton, QtWidgets.QSlider, QtWidgets.QLineEdit, QtWidgets.QListWidget)
    widgets = [
        w for kind in used for w in study.widget.findChildren(kind) if not w.property("objectName").startswith("qt_")
    ]
    assert len(widgets) > 12
    assert not [w.property("objectName") for w in widgets if not w.property("toolTip")]
    assert not [w.property("objectName") for w in widgets if w.property("focusPolicy") == QtCore.Qt.FocusPolicy.NoFocus]
