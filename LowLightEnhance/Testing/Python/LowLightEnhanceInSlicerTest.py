"""Runs inside 3D Slicer (see .ci/slicer): the panel on Slicer's own widgets, views and DICOM database."""

import unittest

import slicer


class LowLightEnhanceInSlicerTest(unittest.TestCase):
    """From the sample image to the compared result, as a clinician would click."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("LowLightEnhance")
        self.module = slicer.modules.lowlightenhance.widgetRepresentation().self()
        self.ui = self.module.panel.ui

    def wait(self, seconds=120):
        import time

        until = time.monotonic() + seconds
        while self.module.logic.busy:
            assert time.monotonic() < until, "the enhancement did not end"
            slicer.app.processEvents()

    def test_sample_to_result(self):
        from LowLightEnhanceLib import Volumes

        self.ui.sampleButton.click()
        source = self.ui.inputSelector.currentNode()
        before = Volumes.arrayOf(source).copy()
        self.ui.enhanceButton.click()
        self.wait()
        enhancement = self.module.panel.enhancement
        assert enhancement is not None, self.ui.messageLabel.text
        assert Volumes.arrayOf(enhancement.output.node).mean() > 2 * before.mean()
        assert (Volumes.arrayOf(source) == before).all()
        assert list(slicer.app.layoutManager().sliceViewNames())[-2:] == ["LowLightOriginal", "LowLightEnhanced"]
        for mode in (self.ui.wipeRadio, self.ui.sideRadio, self.ui.slicerRadio):
            mode.click()
            slicer.app.processEvents()
        for index in range(self.ui.mapBox.count):
            self.ui.mapBox.currentIndex = index
            slicer.app.processEvents()

    def test_cancel(self):
        self.ui.sampleButton.click()
        nodes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")
        self.ui.enhanceButton.click()
        self.ui.cancelButton.click()
        self.wait(5)
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == nodes

    def test_no_image(self):
        self.ui.inputSelector.setCurrentNode(None)
        self.ui.enhanceButton.click()
        assert "No image" in self.ui.messageLabel.text

    def test_reader_study_asks_for_a_file(self):
        study = self.module.panel.study
        self.ui.tabs.currentIndex = self.ui.tabs.indexOf(study.widget)
        study.ui.studyEdit.text = ""
        study.ui.studyOpenButton.click()
        assert "Choose the file" in study.ui.studyMessage.text


if __name__ == "__main__":
    unittest.main()
