"""The pictures of the module's page, from the panel itself: clicks through the tutorial and writes what is seen.

python tests/slicer/slicer_pictures.py FOLDER [NAME ...]        (QT_SCALE_FACTOR=2 doubles their size)

The names of what it shows are those of a clinic's images; the pictures are of scikit-image and pydicom.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "standins"), str(HERE.parents[1] / "LowLightEnhance")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["LOWLIGHT_SETTINGS"] = os.environ["PIP_CONFIG_FILE"] = os.devnull
for _own in [name for name in os.environ if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"]:
    del os.environ[_own]

import numpy as np
from PySide6 import QtCore, QtGui, QtWidgets

PACKAGES = "/home/clinic/.config/slicer.org/LowLightEnhance/python3.12"
"""Where Slicer would put the packages for a user of that name."""
MISSING = "raise ModuleNotFoundError(\"No module named 'onnxruntime'\")"


class Tutorial:
    """One window through all steps.

    Attributes:
        made: what was written.
    """

    def __init__(self, folder: Path, temporary: Path, wanted: set[str]) -> None:
        import application
        import LowLightEnhance
        from slicer_window import Window

        self._folder, self._temporary, self._wanted = folder, temporary, wanted
        self.made: list[Path] = []
        application.new_scene()
        self.window = Window(LowLightEnhance.LowLightEnhanceWidget())
        self.window.resize(1280, 940)
        self.window.show()
        self.ui, self.panel, self.logic = self.window.ui, self.window.panel, self.window.logic

    # What is seen

    def picture(self, name: str, widget: Any = None) -> None:
        """Write what is on the screen; of a dialog, that alone."""
        if not self.wants(name):
            return
        QtWidgets.QApplication.processEvents()
        picture = (widget or self.window).grab()
        ratio = round(picture.devicePixelRatio())
        path = self._folder / f"{name}{'@2x' if ratio == 2 else ''}.png"
        assert picture.toImage().convertToFormat(QtGui.QImage.Format_RGB888).save(str(path))
        self.made.append(path)

    def wants(self, name: str) -> bool:
        return not self._wanted or name in self._wanted

    # What is done

    def until(self, condition: Callable[[], bool]) -> None:
        from slicer_waiting import until

        until(condition)

    def enhance(self, node: Any) -> Any:
        self.window.choose(node)
        self.ui.enhanceButton.click()
        self.finished()
        return self.panel.enhancement

    def finished(self) -> None:
        self.until(lambda: not self.panel.busy)

    def measured(self) -> None:
        """The table tells of the picture as it is."""
        self.until(lambda: self.ui.findingsTable.item(1, 2).text() != "–" and not self.ui.findingsNote.text)

    def blended(self) -> None:
        self.until(lambda: not self.panel.enhance.blending.busy)

    def clear(self) -> None:
        import slicer

        slicer.mrmlScene.Clear(False)
        self.panel.tell("")
        slicer.app.layoutManager().setLayout(1)

    # Steps

    def install(self) -> None:
        """What is missing, what will be installed, and how that goes on."""
        from LowLightEnhanceLib import SampleData, Settings

        working = self.logic.worker._command
        self.logic.worker._command = [sys.executable, "-c", MISSING]
        self.window.choose(SampleData.load())
        self.ui.enhanceButton.click()
        self.finished()
        self.panel.compare.showAlone(self.ui.inputSelector.currentNode())
        self.picture("needed", self.window.module.parent)
        self.logic.worker._command = working

        Settings.write("packagesFolder", PACKAGES)
        self.ui.neededButton.click()
        dialog = self.panel.settings.dialog
        self.picture("dependencies", dialog.dialog)
        if self.wants("installing"):
            self.installing(dialog)
        dialog.close()
        Settings.write("packagesFolder", "")
        self.panel.settings.lookAgain()
        self.clear()

    def installing(self, dialog: Any) -> None:
        """From a folder of wheels, which holds packages of the right names."""
        from LowLightEnhanceLib import Environment, Settings
        from slicer_wheels import wheel_of

        dialog.ui.wheelsRadio.click()
        Settings.write("packagesFolder", str(self._temporary / "packages"))
        wheels = self._temporary / "wheels"
        wheels.mkdir()
        for name, *_rest in Environment.requirements():
            wheel_of(wheels, name, importlib.metadata.version(name))
        os.chdir(self._temporary)
        dialog.ui.wheelsEdit.text = "wheels"
        seen = []
        dialog.ui.progressBar.valueChanged.connect(seen.append)
        dialog.ui.installButton.click()
        dialog.ui.wheelsEdit.text = "/media/usb/wheels"
        self.until(lambda: len(seen) >= 8 or not dialog.busy)
        self.picture("installing", dialog.dialog)

    def sample(self) -> None:
        """From the sample image to its export."""
        ui = self.ui
        ui.sampleButton.click()
        self.picture("sample")
        ui.enhanceButton.click()
        self.finished()
        self.measured()
        self.picture("side-by-side")
        ui.brightnessSlider.value, ui.denoiseSlider.value = 0.6, 0.4
        self.blended()
        self.until(lambda: ui.findingsNote.text == "")
        self.measured()
        self.picture("sliders")
        ui.resetButton.click()
        self.blended()
        ui.wipeRadio.click()
        ui.wipeSlider.value = 55
        self.measured()
        self.picture("wipe")
        ui.sideRadio.click()
        for kind in ("gain", "residual", "uncertainty"):
            ui.mapBox.currentIndex = ui.mapBox.findData(kind)
            self.until(lambda kind=kind: kind in self.panel.enhancement.maps and ui.legendLabel.visible)
            self.picture({"residual": "noise"}.get(kind, kind))
        ui.mapBox.currentIndex = 0
        ui.exportSection.collapsed = False
        ui.exportButton.click()
        self.finished()
        self.picture("export", self.window.module.parent)
        ui.exportSection.collapsed = True
        self.clear()

    def stack(self) -> None:
        """A film of an examination: progress, and what comes of it."""
        from slicer_volumes import added

        film = added(dimmed(ultrasound(), 0.3), "Ultrasound, heart")
        self.window.choose(film)
        self.panel.compare.showAlone(film)
        self.ui.enhanceButton.click()
        bar = self.ui.progressBar
        self.until(lambda: ("Enhancing" in bar.format and bar.maximum > 1 and bar.value >= 8) or not self.panel.busy)
        self.picture("progress")
        self.ui.cancelButton.click()
        self.finished()
        self.picture("cancelled", self.window.module.parent)
        self.enhance(film)
        self.measured()
        self.picture("stack")
        self.clear()

    def left_alone(self) -> None:
        """A good image, and one whose values are measurements."""
        from slicer_volumes import added

        if self.wants("unchanged"):
            good = added(retina()[None], "Fundus, left eye")
            self.panel.compare.showAlone(good)
            self.enhance(good)
            self.picture("unchanged")
            self.clear()
        scan = self.loaded("examples_overlay.dcm", "MR abdomen")
        self.panel.compare.showAlone(scan)
        self.window.choose(scan)
        self.ui.enhanceButton.click()
        self.picture("measured")
        self.clear()

    def several(self) -> None:
        """A batch, half-way and at its end."""
        from slicer_volumes import added

        eye, sound = retina(), ultrasound()[:8]
        added(dimmed(eye[None], 0.16), "Fundus, left eye")
        added(dimmed(eye[None, :, ::-1], 0.3), "Fundus, right eye")
        added(eye[None], "Fundus, left eye, repeated")
        added(dimmed(sound, 0.3), "Ultrasound, heart")
        self.damaged("Camera, frame 12")
        self.loaded("examples_overlay.dcm", "MR abdomen")
        ui = self.ui
        ui.tabs.currentIndex = 1
        ui.batchButton.click()
        self.until(lambda: ui.batchProgress.value > 650 or not self.panel.busy)
        self.picture("batch-running", self.window.module.parent)
        self.finished()
        self.picture("batch", self.window.module.parent)
        ui.tabs.currentIndex = 0
        self.clear()

    def settings(self) -> None:
        """As they are at first, with a log that tells something."""
        from slicer_volumes import added

        self.logic.worker.close()
        self.ui.logView.clear()
        self.enhance(added(dimmed(retina()[None], 0.16), "Fundus, left eye"))
        self.ui.tabs.currentIndex = self.ui.tabs.count - 1
        self.picture("settings", self.window.module.parent)
        self.ui.tabs.currentIndex = 0
        self.clear()

    def study(self) -> None:
        """A reader begins, and answers."""
        ui, part = self.ui, self.panel.study
        ui.tabs.currentIndex = ui.tabs.indexOf(part.widget)
        part.ui.studyEdit.text = str(study_file(self._temporary))
        part.ui.studyOpenButton.click()
        self.until(lambda: not part.sitting.busy)
        part.ui.readersList.setCurrentRow(0)
        part.ui.studyEdit.text = "/studies/eyes.study"
        self.picture("study-readers")
        part.ui.beginButton.click()
        for number in range(4):
            self.until(lambda: part.canAnswer)
            if part.sitting.item["task"] == "pair":
                self.picture("study-pair")
                break
            for row in range(5):
                part.grades.grade(4)
                if number == 0 and row == 1:
                    self.picture("study-rating")
            part.ui.saveButton.click()
            self.until(lambda number=number: part.sitting.item["done"] == number + 1)

    # Images

    @staticmethod
    def loaded(name: str, title: str) -> Any:
        """A volume as from the DICOM database."""
        import pydicom
        import slicer
        from dicom_files import shipped
        from LowLightEnhanceLib import Volumes
        from slicer_volumes import added

        dataset = pydicom.dcmread(shipped(name))
        volume = added(dataset.pixel_array[None].astype(np.int16), title)
        volume.SetAttribute("DICOM.instanceUIDs", str(dataset.SOPInstanceUID))
        slicer.dicomDatabase.files[str(dataset.SOPInstanceUID)] = str(shipped(name))
        Volumes.setWindow(volume, (0, float(dataset.pixel_array.max())))
        return volume

    @staticmethod
    def damaged(title: str) -> Any:
        """An image that cannot be used."""
        from LowLightEnhanceLib import Volumes
        from slicer_volumes import added

        volume = added(np.full((1, 40, 40), np.nan, np.float32), title)
        Volumes.setWindow(volume, (0, 1))
        return volume

    def close(self) -> None:
        self.window.module.cleanup()
        self.window.close()


def retina() -> np.ndarray:
    """Fundus photograph (scikit-image, public domain), (470, 470, 3)."""
    from skimage import data

    return np.ascontiguousarray(data.retina()[::3, ::3])


def ultrasound() -> np.ndarray:
    """Clip of an examination (pydicom), (30, 240, 320, 3)."""
    import pydicom
    from dicom_files import shipped
    from pydicom.pixels import pixel_array

    return pixel_array(pydicom.dcmread(shipped("examples_ybr_color.dcm")), raw=False)


def dimmed(pixels: np.ndarray, factor: float) -> np.ndarray:
    """As with too little light: darker, and noisy."""
    noise = np.random.default_rng(7).normal(0, 4, pixels.shape)
    return np.clip(pixels * factor + noise, 0, 255).astype(np.uint8)


def study_file(folder: Path) -> Path:
    """A study of two images for two readers."""
    from PIL import Image

    from lowlight import Enhancer
    from lowlight.imaging import collect
    from lowlight.study.making import Case, Design, make

    images = folder / "study"
    images.mkdir()
    dark = dimmed(retina(), 0.25)
    for number, pixels in enumerate((dark, dark[:, ::-1])):
        Image.fromarray(pixels).save(images / f"{number}.png")
    cases = [Case((found,), "fundus") for found in collect([images])]
    design = Design(
        ("rating", "pair"), ((0.4, 1.0), (1.0, 1.0)), readers=2, items=3, repeats=0, title="Eyes in the dark"
    )
    return make(folder / "eyes.study", cases, design, Enhancer(device="cpu"))


STEPS = {
    "install": ("needed", "dependencies", "installing"),
    "sample": ("sample", "side-by-side", "sliders", "wipe", "gain", "noise", "uncertainty", "export"),
    "stack": ("progress", "cancelled", "stack"),
    "left_alone": ("unchanged", "measured"),
    "several": ("batch-running", "batch"),
    "settings": ("settings",),
    "study": ("study-readers", "study-rating", "study-pair"),
}
"""Which step makes which pictures."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="only these pictures; none: all")
    asked = parser.parse_args()
    folder, wanted = asked.folder.resolve(), set(asked.names)
    unknown = wanted - {name for names in STEPS.values() for name in names}
    if unknown:
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    folder.mkdir(parents=True, exist_ok=True)
    running = QtWidgets.QApplication([])
    import application

    assert running
    # Not before Slicer was imported, which takes every folder named "slicer" on the path for a part of itself.
    sys.path.append(str(HERE.parent))
    with tempfile.TemporaryDirectory(prefix="lowlight-pictures-") as temporary:
        QtCore.QCoreApplication.setOrganizationName("LowLightEnhancePictures")
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, temporary)
        application.install()
        application.slicer.app.slicerUserSettingsFilePath = str(Path(temporary) / "profile" / "Slicer.ini")
        tutorial = Tutorial(folder, Path(temporary), wanted)
        try:
            for step, names in STEPS.items():
                if not wanted or wanted & set(names):
                    getattr(tutorial, step)()
        finally:
            tutorial.close()
            os.chdir(folder)
    for path in tutorial.made:
        print(path)


if __name__ == "__main__":
    main()
