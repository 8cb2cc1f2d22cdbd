"""Installing what the worker needs: real pip in a real child process, wheels made here, Slicer's packages untouched."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import slicer
from LowLightEnhanceLib import Dependencies, DependenciesDialog, Environment, Settings
from LowLightEnhanceLib.Problems import Problem
from slicer_volumes import added
from slicer_window import picture_of

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def wheels(tmp_path) -> Path:
    """Wheels that hold nothing but names and versions: those of what is installed here, which stays in use."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, *_rest in Environment.requirements():
        version, plain = importlib.metadata.version(name), re.sub(r"[-.]", "_", name)
        info = f"{plain}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{plain}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
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
    import subprocess

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
    picture_of(dialog.dialog, "dependencies", tmp_path)
    dialog.close()


def test_cancelling_leaves_what_was_installed_before(wheels, qtbot):
    kept = Environment.packagesFolder() / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("of an earlier installation")
    ended: list[Problem] = []
    installer = Dependencies.Installer(
        lambda: ended.append("done"), ended.append, lambda line: None, lambda *_: None, wheels
    )
    installer.cancel()
    assert ended[0].kind == "cancelled"
    assert kept.read_text() == "of an earlier installation"
    assert [path.name for path in kept.parent.parent.iterdir()] == [kept.parent.name]


def test_without_network_and_wheels_the_way_out_is_named(tmp_path, qtbot):
    (tmp_path / "empty").mkdir()
    ended: list[Problem] = []
    Dependencies.Installer(ended.append, ended.append, lambda line: None, lambda *_: None, tmp_path / "empty")
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
    asked = []
    monkeypatch.setattr(slicer.util, "pip_install", asked.append)
    assert Environment.clashes() == [("pydicom", "2.4.4")]
    with pytest.raises(Problem, match=r"pydicom 2\.4\.4"):
        Dependencies.installIntoSlicer()
    assert asked == []
    dialog = DependenciesDialog.DependenciesDialog(lambda: None)
    assert not dialog.ui.slicerRadio.enabled


def test_into_slicer_itself_every_package_is_held_where_it_is(monkeypatch):
    held = []

    def pip_install(arguments):
        held.append((Path(arguments[1]).read_text(), arguments))

    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    Dependencies.installIntoSlicer()
    constraints, arguments = held[0]
    for name in Environment.PROTECTED:
        if name in installed_here():
            assert f"{name}=={installed_here()[name]}\n" in constraints
    assert arguments[0] == "-c"
    assert any(argument.startswith("onnxruntime>=") for argument in arguments)


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
