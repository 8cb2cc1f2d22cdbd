"""Makes dark, noisy, blurred or JPEG-damaged images readable, and shows what was changed.

In a script or the Python console:

    import LowLightEnhance
    logic = LowLightEnhance.LowLightEnhanceLogic()
    # Waits. With no strength named it gives None for an image that needs nothing.
    result = logic.enhance(volumeNode, brightness=0.9, denoise=0.6)

    job = logic.enhanceAsync(                                          # returns at once
        volumeNode,
        finished=lambda enhancement: print(enhancement.output.node.GetName()),
        failed=print,
        progressed=lambda phase, done, total: print(phase, done, total),
    )
    job.cancel()                                                       # within a second; the scene stays as it was

    logic.close()                                                      # ends the process that holds the network
"""

import slicer
from LowLightEnhanceLib.Logic import EnhancingLogic
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class LowLightEnhance(ScriptedLoadableModule):
    """What Slicer's list of modules shows."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("LowLightEnhance")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Filtering")]
        parent.dependencies = []
        parent.contributors = [_("The LowLightEnhance developers")]
        parent.helpText = _(
            "Makes dark, noisy, blurred or JPEG-damaged images readable, beside the original, "
            "and shows what was changed. "
            "Research software, not a medical device. "
            '<a href="https://github.com/LowLightEnhance/LowLightEnhance/blob/main/LowLightEnhance/README.md">Tutorial</a>.'
        )
        parent.acknowledgementText = _("Apache-2.0. The training images and their licences are listed with the bundle.")
        slicer.app.connect("startupCompleted()", self._registerSample)

    @staticmethod
    def _registerSample():
        import logging

        from LowLightEnhanceLib import SampleData

        try:
            SampleData.register()
        except Exception as error:  # the Sample Data module is switched off, or speaks otherwise
            text = _("LowLightEnhance: the sample image is not offered in Sample Data ({reason})")
            logging.info(text.format(reason=error))


class LowLightEnhanceWidget(ScriptedLoadableModuleWidget):
    """The panel."""

    def setup(self):
        super().setup()
        from LowLightEnhanceLib import Panel

        widget = Panel.load()
        self.layout.addWidget(widget)
        self.logic = LowLightEnhanceLogic()
        self.panel = Panel.Panel(widget, self.logic)

    def exit(self):
        self.panel.study.away()

    def cleanup(self):
        self.panel.close()


class LowLightEnhanceLogic(ScriptedLoadableModuleLogic, EnhancingLogic):
    """Everything without the panel; see the top of this file."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        EnhancingLogic.__init__(self)


class LowLightEnhanceTest(ScriptedLoadableModuleTest):
    """What “Reload and Test” runs inside Slicer: the sample image through the real worker."""

    def runTest(self):
        from LowLightEnhanceLib import SampleData, Volumes

        slicer.mrmlScene.Clear()
        source = SampleData.load()
        before = Volumes.arrayOf(source).copy()
        logic = LowLightEnhanceLogic()
        try:
            result = logic.enhance(source)
            assert Volumes.arrayOf(result).mean() > 2 * before.mean()
            assert (Volumes.arrayOf(source) == before).all()
        finally:
            logic.close()
        self.delayDisplay(_("The sample image was enhanced, and the original is as it was."))
