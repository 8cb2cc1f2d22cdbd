"""Installing what the worker needs: real pip in a real child process, wheels made here, Slicer's packages untouched."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import numpy as np
import pip
import psutil
import pytest
import slicer
from LowLightEnhanceLib import Dependencies, DependenciesDialog, Environment, Settings
from LowLightEnhanceLib.Problems import Problem
from PySide6 import QtCore, QtTest, QtWidgets
from slicer_volumes import added
from slicer_wheels import wheel_of

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def wheels(tmp_path) -> Path:
    """Wheels that hold nothing but names and versions: those of what is installed here, which stays in use."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, *_rest in Environment.requirements():
        wheel_of(folder, name, importlib.metadata.version(name))
    return folder


@pytest.fixture
def bare(monkeypatch):
    """As in a Slicer that was just installed: of what is needed, nothing is there."""
    known = Environment._version
    monkeypatch.setattr(Environment, "_version", lambda name, folder: None if folder is None else known(name, folder))


def installed_here() -> dict[str, str]:
    return {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}


def test_the_module_asks_for_what_the_package_needs():
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    asked = [line.split("#")[0].strip() for line in Environment.REQUIREMENTS.read_text().splitlines()]
    assert sorted(filter(None, asked)) == sorted(declared)


def test_nothing_is_installed_and_nothing_heavy_imported_when_the_module_is_loaded():
    code = (
        "import sys; sys.path[:0] = ['tests/slicer/standins', 'LowLightEnhance']\n"
        "import PySide6.QtWidgets as w; a = w.QApplication([])\nimport application; application.install()\n"
        "before = set(sys.modules); import LowLightEnhance\n"
        "heavy = {'torch', 'monai', 'onnxruntime', 'pydicom', 'SimpleITK', 'scipy', 'skimage', 'PIL', 'lowlight'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        env={"QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.strip() == "[]"


def test_what_is_missing_is_found_out_without_importing_it(bare):
    assert [name for name, *_rest in Environment.missing()] == [name for name, *_rest in Environment.requirements()]


def test_from_the_dialog_with_a_folder_of_wheels_to_an_enhanced_image(module, logic, wheels, bare, qtbot, tmp_path):
    before, done = installed_here(), []
    dialog = DependenciesDialog.DependenciesDialog(lambda: done.append(True))
    dialog.show()
    names = [dialog.ui.packagesTable.item(row, 0).text() for row in range(dialog.ui.packagesTable.rowCount)]
    assert {"onnxruntime", "pydicom", "numpy"} <= set(names)
    assert re.search(r"about \d{3} MB", dialog.ui.introLabel.text)
    dialog.ui.wheelsRadio.click()
    dialog.ui.wheelsEdit.text = str(wheels)
    seen = []
    dialog.ui.progressBar.valueChanged.connect(seen.append)
    dialog.ui.installButton.click()
    assert not dialog.ui.installButton.enabled
    qtbot.waitUntil(lambda: bool(done), timeout=120_000)
    assert seen == sorted(seen)
    assert Environment.missing() == []
    assert list(Environment.packagesFolder().glob("pydicom-*.dist-info"))
    assert installed_here() == before
    rng = np.random.default_rng(0)
    assert logic.enhance(added(rng.integers(0, 30, (1, 64, 64)).astype(np.uint8)), force=True) is not None


def test_the_dialog_names_every_package_its_size_and_the_folder(monkeypatch, bare, qtbot, tmp_path):
    monkeypatch.setattr(slicer.app, "slicerUserSettingsFilePath", "/home/clinic/.config/slicer.org/Slicer.ini")
    dialog = DependenciesDialog.DependenciesDialog(lambda: None)
    dialog.show()
    assert "/home/clinic/.config/slicer.org/LowLightEnhance/python3." in dialog.ui.introLabel.text
    table = dialog.ui.packagesTable
    sizes = [table.item(row, 2).text() for row in range(table.rowCount)]
    assert all(size.endswith(" MB") for size in sizes)
    assert len(sizes) == len(Environment.requirements()) + 1
    dialog.close()


def staged() -> list[Path]:
    """What lies beside the folder of packages."""
    folder = Environment.packagesFolder()
    return list(folder.parent.glob(".*")) if folder.parent.is_dir() else []


@pytest.fixture
def installing(module, wheels, bare, qtbot):
    """The dialog as the panel opens it, with an installation that has just begun, and pip's number."""
    module.ui.installButton.click()
    dialog = module.panel.settings.dialog
    dialog.ui.wheelsRadio.click()
    dialog.ui.wheelsEdit.text = str(wheels)
    dialog.ui.installButton.click()
    qtbot.waitUntil(lambda: dialog.busy and psutil.pid_exists(pip_of(dialog)), timeout=20_000)
    yield dialog
    dialog.close()


def pip_of(dialog) -> int:
    """Number of the installer's process."""
    return dialog._installer._process.processId()


@pytest.mark.parametrize("way", ["Escape", "cross of the window", "Cancel", "Later"])
def test_every_way_out_of_the_dialog_ends_the_installation(module, installing, qtbot, way):
    pip = pip_of(installing)
    if way == "Escape":
        QtTest.QTest.keyClick(installing.dialog, QtCore.Qt.Key.Key_Escape)
    elif way == "cross of the window":
        QtWidgets.QWidget.close(installing.dialog)
    else:
        (installing.ui.stopButton if way == "Cancel" else installing.ui.laterButton).click()
    assert not installing.busy
    assert not psutil.pid_exists(pip)
    assert staged() == []
    assert installing.dialog.visible == (way == "Cancel")
    assert "Cancelled" in installing.ui.messageLabel.text


def test_install_pressed_again_shows_the_installation_that_runs(module, installing, qtbot):
    pip = pip_of(installing)
    module.ui.installButton.click()
    assert module.panel.settings.dialog is installing
    assert pip_of(installing) == pip
    with pytest.raises(Problem, match="already"):
        Dependencies.Installer(Dependencies.OwnFolder(), None, None, None, None)
    assert len(staged()) == 1, "the folder that the first one fills"
    qtbot.waitUntil(lambda: not installing.busy, timeout=120_000)
    assert installing.ui.messageLabel.text == "Everything is installed."
    assert Environment.missing() == []
    assert staged() == []


def test_what_a_killed_slicer_left_is_removed_and_that_of_a_running_one_stays(tmp_path, qtbot):
    folder = Environment.packagesFolder()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, in_use = (folder.with_name(f".{folder.name}.{process}.new") for process in (ended.pid, os.getppid()))
    for path in (left, in_use):
        path.mkdir(parents=True)
    place = Dependencies.OwnFolder()
    place.begin()
    assert not left.exists()
    assert in_use.exists()
    place.clean()


def test_cancelling_leaves_what_was_installed_before(wheels, qtbot):
    kept = Environment.packagesFolder() / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("of an earlier installation")
    ended: list[Problem] = []
    installer = Dependencies.Installer(
        Dependencies.OwnFolder(wheels), lambda: ended.append("done"), ended.append, lambda line: None, lambda *_: None
    )
    installer.cancel()
    assert ended[0].kind == "cancelled"
    assert kept.read_text() == "of an earlier installation"
    assert [path.name for path in kept.parent.parent.iterdir()] == [kept.parent.name]


def test_without_network_and_wheels_the_way_out_is_named(tmp_path, qtbot):
    (tmp_path / "empty").mkdir()
    ended: list[Problem] = []
    place = Dependencies.OwnFolder(tmp_path / "empty")
    Dependencies.Installer(place, ended.append, ended.append, lambda line: None, lambda *_: None)
    qtbot.waitUntil(lambda: bool(ended), timeout=60_000)
    assert ended[0].kind == "not-installed"
    assert "folder of wheels" in ended[0].remedy
    assert not Environment.packagesFolder().exists()


def test_pip_is_never_let_near_slicers_own_packages(tmp_path):
    command = Dependencies.command(tmp_path / "own", None)
    assert command[command.index("--target") + 1] == str(tmp_path / "own")
    assert "--upgrade" not in command


def test_where_slicer_ships_what_does_not_fit_it_is_not_installed_over(monkeypatch):
    known = Environment._version
    monkeypatch.setattr(
        Environment,
        "_version",
        lambda name, folder: "2.4.4" if (name, folder) == ("pydicom", None) else known(name, folder),
    )
    assert Environment.clashes() == [("pydicom", "2.4.4")]
    with pytest.raises(Problem, match=r"pydicom 2\.4\.4"):
        Dependencies.Installer(Dependencies.SlicersOwn(), None, None, None, None)
    dialog = DependenciesDialog.DependenciesDialog(lambda: None)
    assert not dialog.ui.slicerRadio.enabled


@pytest.fixture
def slicers_python(wheels, tmp_path, monkeypatch) -> Path:
    """A Python of its own in the place of Slicer's, with pip, and with packages that the index has newer ones of."""
    venv.create(tmp_path / "Slicer", with_pip=False)
    packages = next((tmp_path / "Slicer").glob("lib/python*/site-packages"))
    (packages / "pip").symlink_to(Path(pip.__file__).parent)
    (tmp_path / "Slicer" / "bin" / "PythonSlicer").symlink_to("python")
    monkeypatch.setenv("PATH", f"{tmp_path / 'Slicer' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    # No index is asked here; the folder stands in for it.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    wheel_of(wheels, "numpy", "2.99.0")
    return packages


def test_into_slicer_itself_in_the_background_with_every_package_held_where_it_is(slicers_python, module, qtbot):
    module.ui.installButton.click()
    dialog = module.panel.settings.dialog
    dialog.ui.slicerRadio.click()
    assert "Slicer's own Python" in dialog.ui.introLabel.text
    said, beats = [], []
    dialog.ui.progressBar.valueChanged.connect(
        lambda value: said.append((dialog.ui.messageLabel.text, dialog.ui.stopButton.enabled))
    )
    heart = QtCore.QTimer()
    heart.timeout.connect(lambda: beats.append(dialog.busy))
    heart.start(5)
    dialog.ui.installButton.click()
    assert dialog.busy, "the click comes back before pip has ended"
    assert dialog.ui.stopButton.enabled
    qtbot.waitUntil(lambda: not dialog.busy, timeout=120_000)
    assert beats.count(True) > 10, "the window lived meanwhile"
    assert dialog.ui.messageLabel.text == "Everything is installed."
    there = {path.name for path in slicers_python.glob("*.dist-info")}
    assert f"numpy-{installed_here()['numpy']}.dist-info" in there, "held, though the index has a newer one"
    assert any(name.startswith("onnxruntime-") for name in there)
    assert not Environment.packagesFolder().exists()
    # Half of them in place would be worse than waiting a moment.
    assert all(enabled for text, enabled in said if "Collecting" in text or "Processing" in text)


def test_packages_that_are_being_put_beside_slicers_own_are_not_left_half_made(slicers_python, qtbot):
    ended: list[object] = []
    installer = Dependencies.Installer(
        Dependencies.SlicersOwn(), lambda: ended.append("done"), ended.append, lambda line: None, lambda *_: None
    )
    qtbot.waitUntil(lambda: not installer.stoppable or bool(ended), timeout=120_000)
    installer.cancel()
    qtbot.waitUntil(lambda: bool(ended), timeout=120_000)
    assert ended == ["done"]


def test_torch_is_left_to_slicers_extension():
    with pytest.raises(Problem, match="Extensions Manager"):
        Dependencies.installTorch()


def test_another_python_does_not_meet_slicers_libraries(monkeypatch, bundle):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/Slicer/lib")
    Settings.write("python", sys.executable)
    environment = Environment.workerEnvironment()
    assert not environment.contains("LD_LIBRARY_PATH")
    assert not environment.contains("PYTHONPATH")
    assert Environment.workerCommand()[:1] == [sys.executable]
    assert Environment.workerCommand()[2] == str(bundle)
