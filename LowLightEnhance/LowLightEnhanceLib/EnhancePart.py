"""Input, Enhance, Cancel, and the two live sliders."""

import qt
from slicer.i18n import tr as _

from . import Dicom, SampleData, Volumes
from .Jobs import blackAndWhite, measuring
from .Problems import Problem

KINDS = (
    ("", _("Automatic")),
    ("xray", _("X-ray")),
    ("dermatology", _("Skin")),
    ("endoscopy", _("Endoscopy")),
    ("ultrasound", _("Ultrasound")),
    ("fundus", _("Eye fundus")),
)
PHASES = {
    "starting": _("Starting the enhancer…"),
    "handing over": _("Handing the image over…"),
    "loading": _("Loading the network…"),
    "reading": _("Reading…"),
    "judging": _("Looking for what is wrong…"),
    "tone": _("Judging the exposure…"),
    "enhancing": _("Enhancing…"),
    "reporting": _("Measuring…"),
    "writing": _("Finishing…"),
    "fetching": _("Adding the result…"),
    "importing": _("Into the DICOM database…"),
}
_SETTLE = 250
"""Milliseconds of rest after which a stack follows the sliders as a whole."""


class EnhancePart:
    """The way from an image to its enhanced one."""

    def __init__(self, panel):
        self._panel, self._ui, self._logic = panel, panel.ui, panel.logic
        self._blending, self._chosen, self._moving = None, False, False
        self._agreed = None
        ui = self._ui
        for data, text in KINDS:
            ui.kindBox.addItem(text, data)
        ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.inputChanged)
        ui.sampleButton.connect("clicked()", self._sample)
        ui.enhanceButton.connect("clicked()", self.enhance)
        ui.forceButton.connect("clicked()", lambda *_unused: self.enhance(force=True))
        ui.cancelButton.connect("clicked()", self.cancel)
        ui.resetButton.connect("clicked()", self.reset)
        for slider in (ui.brightnessSlider, ui.denoiseSlider):
            slider.connect("valueChanged(double)", self._moved)
        self.idle()
        self._settled = qt.QTimer()
        self._settled.setSingleShot(True)
        self._settled.setInterval(_SETTLE)
        self._settled.connect("timeout()", self._blendAll)

    def refresh(self):
        """Enable what can be done now."""
        ui, busy = self._ui, self._panel.busy
        ui.enhanceButton.enabled = not busy
        ui.cancelButton.enabled = busy
        ui.inputSelector.enabled = not busy
        ui.sampleButton.enabled = not busy
        enhancement = self._panel.enhancement
        if enhancement is not None:
            hint = _("Acts on the enhanced image.")
        elif self._chosen:
            hint = _("Used for the next enhancement.")
        else:
            hint = _("Chosen by the enhancement.")
        ui.strengthHint.text = hint

    def wishesFor(self, node):
        """How a node is enhanced, as the panel says, without the sliders."""
        settings = self._panel.settings
        return {
            "kind": self._ui.kindBox.itemData(self._ui.kindBox.currentIndex) or Dicom.kind(node),
            "limits": settings.limits(),
            "sharedTone": settings.sharedTone(),
            "engine": settings.engine(),
            "device": settings.device(),
        }

    def enhance(self, *_unused, force=False, **wishes):
        """Start; where values are measurements, once someone has agreed. `wishes` go before the panel's."""
        if self._panel.busy:
            return
        node = self._ui.inputSelector.currentNode()
        try:
            if node is not None and Volumes.isEnhanced(node):
                # Whoever is looking at a result and presses Enhance means the image that it was made from.
                node = _originalOf(node)
            if node is not None and self._mustAgree(node, {"force": force, **wishes}):
                return
            wishes = {**(self.wishesFor(node) if node is not None else {}), **wishes}
            if self._chosen:
                wishes |= {"brightness": self._ui.brightnessSlider.value, "denoise": self._ui.denoiseSlider.value}
            self._logic.enhanceAsync(node, self._done, self._failed, self.progress, force=force, **wishes)
        except Problem as problem:
            self._panel.tellProblem(problem)
            return
        self._panel.tell("")
        self._panel.refresh()

    def _mustAgree(self, node, wishes):
        """Whether someone has to agree first, who is asked in that case."""
        measures = Dicom.measured(node)
        if not measures or self._agreed == node.GetID():
            return False

        def agree():
            self._agreed = node.GetID()
            self.enhance(**wishes)

        self._panel.tell(
            measuring(measures) + " " + _("Nothing was done yet."),
            "warning",
            offer=(_("Enhance for &looking at"), _("Enhances this image although its values are measurements."), agree),
        )
        return True

    def cancel(self, *_unused):
        """Stop within a second."""
        self._logic.cancel()
        self._panel.export.cancel()

    def reset(self, *_unused):
        """The strengths that the enhancement chose; without one, those of the kind of image."""
        enhancement = self._panel.enhancement
        self._chosen = False
        self._set(*self._defaults(enhancement))
        if enhancement is not None:
            self._blendAll()
        self._panel.refresh()

    def follow(self, enhancement):
        """Show an enhancement's strengths, and act on it from now on."""
        self._settled.stop()
        self._blending = None
        if enhancement is not None:
            self._blending = self._logic.blending(enhancement, self._blendFailed, self._blended)
            self._set(*enhancement.present)
        elif not self._chosen:
            self._set(*self._defaults(None))

    @property
    def blending(self):
        """The live strengths under way; None: nothing to act on."""
        return self._blending

    def strengths(self):
        """(brightness, denoise) of the sliders."""
        return self._ui.brightnessSlider.value, self._ui.denoiseSlider.value

    # Events

    def inputChanged(self, node):
        """Follow the selector."""
        if self._panel.parameters is None:
            return
        # Sliders that are moved here make the panel read all parameters: the image's must be the present one.
        self._panel.parameters.inputNode = node
        self._chosen, self._agreed = False, None
        if self._panel.offering:
            # It spoke of another image.
            self._panel.tell("")
        if node is not None and Volumes.isEnhanced(node) and self._logic.enhancementOf(node) is None:
            self._panel.tell(_("“{name}” was made by this module already.").format(name=node.GetName()), "warning")
        self._panel.show(self._logic.enhancementOf(node) if node is not None else None)

    def _sample(self, *_unused):
        try:
            node = SampleData.load()
        except Problem as problem:
            self._panel.tellProblem(problem)
            return
        self._ui.inputSelector.setCurrentNode(node)
        self._panel.compare.showAlone(node)
        self._panel.tell(SampleData.ORIGIN + " " + _("Now press Enhance."))

    def progress(self, phase, done, total):
        """Show how far a job has come; 0 in all: not known."""
        bar = self._ui.progressBar
        bar.maximum = total if total > 1 else 0
        bar.value = done if total > 1 else 0
        bar.format = f"{PHASES.get(phase, phase)}  %v / %m" if total > 1 else PHASES.get(phase, phase)

    def idle(self):
        """Nothing runs."""
        bar = self._ui.progressBar
        bar.maximum, bar.value, bar.format = 100, 0, ""

    def _done(self, enhancement):
        self.idle()
        if enhancement.output is None:
            self._panel.refresh()
            undamaged = bool(enhancement.message.get("undamaged"))
            reason = enhancement.reason.rstrip(".")
            text = f"{reason[:1].upper()}{reason[1:]}."
            if undamaged:
                text += " " + _("No darkness, noise, blur or JPEG damage that needs mending was found.")
            self._panel.tell(text, force=undamaged)
            return
        self._chosen = False
        self._panel.show(enhancement)
        text = _(
            "“{name}” is ready ({seconds:.1f} s; {limits}). "
            "It is an estimate: look at the original before deciding anything."
        ).format(
            name=enhancement.output.node.GetName(),
            seconds=enhancement.message["seconds"],
            limits=blackAndWhite(enhancement.limits),
        )
        if not enhancement.nearlyBlack:
            kind = "warning" if enhancement.warnings else "good"
            self._panel.tell("\n".join([text, *enhancement.warnings]), kind)
            return
        way = _("Set the window of the original so that it can be seen, then press the button below.")
        offer = (
            _("Enhance as the &window shows it"),
            _("Takes what the display's window shows as black and white, this time. Settings have it for all images."),
            lambda: self.enhance(limits="window"),
        )
        self._panel.tell("\n".join([text, *enhancement.warnings, way]), "warning", offer=offer)

    def _failed(self, problem):
        self.idle()
        self._panel.refresh()
        self._panel.tellProblem(problem)

    def _moved(self, *_unused):
        if self._moving:
            return
        if self._blending is None:
            self._chosen = True
            self._panel.refresh()
            return
        frames = self._panel.enhancement.output.frames
        self._blending.to(*self.strengths(), slice=self._panel.compare.currentSlice() if frames > 1 else None)
        if frames > 1:
            self._settled.start()

    def _blendAll(self, *_unused):
        if self._blending is not None:
            self._blending.to(*self.strengths())

    def _blended(self):
        self._panel.compare.refreshPicture()
        self._panel.findings.later()

    def _blendFailed(self, problem):
        if problem.kind == "no-result":
            # The next Enhance shall come out as the sliders stand.
            self._chosen = True
            self._blending = None
        self._panel.tellProblem(problem)

    def _set(self, brightness, denoise):
        self._moving = True
        self._ui.brightnessSlider.value, self._ui.denoiseSlider.value = brightness, denoise
        self._moving = False

    def _defaults(self, enhancement):
        if enhancement is not None:
            return enhancement.brightness, enhancement.denoise
        strengths = self._logic.worker.hello.get("strengths", {})
        node = self._ui.inputSelector.currentNode()
        kind = self.wishesFor(node)["kind"] if node is not None else None
        chosen = strengths.get(kind) or strengths.get("default") or {"brightness": 1.0, "denoise": 1.0}
        return chosen["brightness"], chosen["denoise"]


def _originalOf(result):
    """What a result was made from.

    Raises:
        Problem: it is gone.
    """
    source = Volumes.sourceOf(result)
    if source is None:
        raise Problem(
            "removed",
            _(
                "“{name}” was made by this module, and the image that it was made from is no longer in the scene."
            ).format(name=result.GetName()),
            _("Load that image again, choose it, and press Enhance."),
        )
    return source
