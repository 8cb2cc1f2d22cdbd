"""The module on Slicer's real scene and real Qt, with stand-ins for the application (see standins/README.md)."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
HERE = Path(__file__).resolve().parent
MODULE = HERE.parents[1] / "LowLightEnhance"

# Slicer's wheel takes every folder named "slicer" on the path for a part of itself, so also this one.
_aside = [entry for entry in sys.path if Path(entry or ".").resolve() == HERE.parent]
sys.path[:] = [entry for entry in sys.path if entry not in _aside]
import slicer

sys.path[:0] = [str(HERE / "standins"), str(MODULE), *_aside]

from PySide6 import QtCore, QtWidgets

_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
import application
from slicer_volumes import fingerprint

application.install()


@pytest.fixture(scope="session")
def settings_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@pytest.fixture(autouse=True)
def scene(settings_folder: Path, tmp_path: Path):
    """An empty scene and settings that nobody else reads."""
    QtCore.QCoreApplication.setOrganizationName("LowLightEnhanceTests")
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
    QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, str(settings_folder))
    QtCore.QSettings().clear()
    slicer.app.slicerUserSettingsFilePath = str(tmp_path / "profile" / "Slicer.ini")
    return application.new_scene()


@pytest.fixture(autouse=True)
def inputs_stay_as_they_are(scene, monkeypatch: pytest.MonkeyPatch):
    """In every test: whatever was given to a job has the pixels and the geometry afterwards that it had before."""
    from LowLightEnhanceLib import Jobs, Volumes

    given: list[tuple[Any, bytes]] = []
    begin = Jobs.Job.__init__

    def begun(job: Any, worker: Any, node: Any, *rest: Any, **named: Any) -> None:
        # What is no image is refused, and cannot be read here either.
        with contextlib.suppress(Volumes.Problem):
            Volumes.pictureOf(node)
            given.append((node, fingerprint(node)))
        begin(job, worker, node, *rest, **named)

    monkeypatch.setattr(Jobs.Job, "__init__", begun)
    yield
    for node, before in given:
        assert fingerprint(node) == before, f"{node.GetName()} was changed"


@pytest.fixture
def dim(retina: np.ndarray) -> np.ndarray:
    """A small dark, noisy colour photograph: uint8 (177, 177, 3)."""
    noise = np.random.default_rng(7).normal(0, 6, retina.shape)
    return np.clip(retina * 0.16 + noise, 0, 255).astype(np.uint8)[::2, ::2]


@pytest.fixture
def clip(tmp_path: Path):
    """A series of the DICOM database: its volume, and its files. pydicom stands in for Slicer's DICOM loader."""
    import pydicom
    from dicom_files import grey_clip
    from slicer_volumes import added

    files = grey_clip(tmp_path / "series", 3)
    datasets = [pydicom.dcmread(file) for file in files]
    volume = added(np.stack([dataset.pixel_array for dataset in datasets]).astype(np.uint16), "clip")
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(str(dataset.SOPInstanceUID) for dataset in datasets))
    slicer.dicomDatabase.files.update({str(d.SOPInstanceUID): str(f) for d, f in zip(datasets, files, strict=True)})
    return volume, files


@pytest.fixture
def logic():
    """The module's logic with a worker of its own, which is gone afterwards."""
    import LowLightEnhance

    made = LowLightEnhance.LowLightEnhanceLogic()
    yield made
    made.close()
    assert not made.worker.running


@pytest.fixture(scope="session")
def shared_worker():
    """One warm worker for all tests that do not harm it."""
    from LowLightEnhanceLib.Worker import Worker

    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def warm_logic(shared_worker):
    """The module's logic on the shared worker."""
    import LowLightEnhance

    made = LowLightEnhance.LowLightEnhanceLogic()
    made.worker = shared_worker
    shared_worker.log = lambda text: None
    yield made
    made.cancel()


@pytest.fixture
def module(shared_worker, qtbot):
    """The module's panel as Slicer shows it, beside its views, on the shared worker."""
    import LowLightEnhance
    from slicer_window import Window

    shared_worker.log = lambda text: None
    widget = LowLightEnhance.LowLightEnhanceWidget()
    widget.logic.worker = shared_worker
    shared_worker.log = widget.panel.log
    window = Window(widget)
    window.show()
    qtbot.waitExposed(window)
    yield window
    widget.logic.cancel()
    qtbot.waitUntil(lambda: not widget.logic.busy, timeout=20_000)
    shared_worker.log = lambda text: None
    widget.logic.worker = type(shared_worker)()
    widget.cleanup()
    window.close()
