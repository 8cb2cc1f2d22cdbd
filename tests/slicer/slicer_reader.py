"""A reader in a process of its own, for tests that kill it: answers pictures as fast as it can, and says so.

python slicer_reader.py STUDY SETTINGS
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "standins"), str(HERE.parents[1] / "LowLightEnhance")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def main(study: str, settings: str) -> None:
    from PySide6 import QtCore, QtWidgets

    running = QtWidgets.QApplication([])
    QtCore.QCoreApplication.setOrganizationName("LowLightEnhanceTests")
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
    QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, settings)
    import application

    assert running
    application.install()
    application.new_scene()
    import LowLightEnhance
    from slicer_waiting import until
    from slicer_window import Window

    module = LowLightEnhance.LowLightEnhanceWidget()
    window = Window(module)
    window.show()
    part = module.panel.study
    window.ui.tabs.currentIndex = window.ui.tabs.indexOf(part.widget)
    part.ui.studyEdit.text = study
    part.ui.studyOpenButton.click()
    until(lambda: part.ui.readersList.visible)
    part.ui.readersList.setCurrentRow(0)
    part.ui.beginButton.click()
    confirmed = 0
    while True:
        until(lambda: part.canAnswer)
        if part.sitting.item["task"] == "pair":
            part.ui.leftButton.click()
        else:
            for _row in range(5):
                part.grades.grade(4)
            part.ui.saveButton.click()
        confirmed += 1
        until(lambda: part.sitting.item["done"] == confirmed)  # noqa: B023  (called at once)
        print(f"confirmed {confirmed}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
