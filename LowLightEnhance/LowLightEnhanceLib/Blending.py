"""Live strengths: asks the worker to blend, one picture at a time, always for where the sliders are now."""

import os

import numpy as np
import slicer
from slicer.i18n import tr as _

from .Problems import Problem
from .Steps import Steps


def gone():
    return Problem(
        "no-result",
        _("The enhancer no longer keeps this result."),
        _("Press Enhance once more to tune it live."),
    )


class Blending:
    """Live strengths of one enhancement. While a blend is under way, later wishes replace each other."""

    def __init__(self, worker, enhancement, failed, shown=lambda: None):
        self._worker, self._enhancement, self._failed, self._shown = worker, enhancement, failed, shown
        self._wanted, self._busy, self._steps = None, False, None

    @property
    def busy(self):
        """Whether a picture is still to come."""
        return self._busy or self._wanted is not None

    def to(self, brightness, denoise, slice=None):
        """Show these strengths, of one slice alone or (None) of all."""
        self._wanted = (brightness, denoise, slice)
        if not self._busy:
            self._ask()

    def _ask(self):
        enhancement = self._enhancement
        if self._wanted is None:
            return
        (brightness, denoise, number), self._wanted = self._wanted, None
        if not alive(self._worker, enhancement):
            self._failed(gone())
            return
        self._busy = True
        fields = {"result": enhancement.result, "brightness": brightness, "denoise": denoise}
        if number is not None:
            fields["slice"] = number
        strengths = (brightness, denoise)
        self._worker.request("blend", fields, lambda message: self._take(message, number, strengths), self._fail)

    def _take(self, message, number, strengths):
        output, path = self._enhancement.output, str(self._worker.folder / message["image"])
        if slicer.mrmlScene.GetNodeByID(output.node.GetID() or "") is not output.node:
            self._done()
            return

        def taken():
            if number is None:
                self._enhancement.present = strengths
            self._done(output, number)

        self._steps = Steps(_into(path, output, number), taken, self._failedToTake)

    def _done(self, output=None, number=None):
        self._busy = False
        if output is not None:
            output.changed(number)
            self._shown()
        self._ask()

    def _fail(self, problem):
        self._busy = False
        if problem.kind == "no-result":
            self._enhancement.result = None
        if problem.kind != "superseded":
            self._failed(problem)
        self._ask()

    def _failedToTake(self, error):
        self._fail(Problem("internal", _("The blended image could not be read: {reason}.").format(reason=error)))


def alive(worker, enhancement):
    """Whether the running worker still keeps what an enhancement needs."""
    return bool(enhancement.result) and worker.folder is not None and worker.generation == enhancement.generation


def _into(path, output, number):
    """Generator: copy a blended image into one slice of the output, or into all of them; remove its file."""
    source = np.load(path, mmap_mode="r", allow_pickle=False)
    try:
        if number is not None:
            output.frame(number)[...] = source
            return
        for index in range(output.frames):
            output.frame(index)[...] = source[index] if output.frames > 1 else source
            yield
    finally:
        del source
        os.remove(path)  # noqa: PTH107
