"""Everything the module does, without its panel: for scripts, tests, and the panel itself."""

import qt
import slicer
from slicer.i18n import tr as _

from . import Dicom, Jobs, Maps, Volumes
from .Blending import Blending, alive, gone
from .Jobs import Wishes
from .Problems import Problem
from .Worker import Worker


class EnhancingLogic:
    """Enhances volumes in a child process and adds the results to the scene.

    One job runs at a time. All calls but `enhance` return at once.

    Attributes:
        worker: the child process. enhancements: results by the ID of their node.
    """

    def __init__(self, log=lambda text: None, command=None):
        self.worker = Worker(log, command)
        self.enhancements = {}
        self._job = None

    @property
    def busy(self):
        """Whether a job is running."""
        return self._job is not None and not self._job.over

    def enhance(self, volumeNode, brightness=None, denoise=None, **wishes):
        """Enhance and wait for it.

        Args:
            volumeNode: scalar or colour volume, of one or many slices, or a sequence of images.
            brightness: [0, 1.5]; None: as the bundle sees fit. denoise: [0, 1]; None: the same.
            wishes: see `Jobs.Wishes`.

        Returns:
            The new volume (or sequence); None if the image was judged to need nothing and is left alone, which does
            not happen where a strength is named, or with `force`.

        Raises:
            Problem: it was refused or failed; its text says why and what to do.
        """
        outcome = []
        loop = qt.QEventLoop()

        def ended(outcome_):
            outcome.append(outcome_)
            loop.quit()

        self.enhanceAsync(volumeNode, ended, ended, brightness=brightness, denoise=denoise, **wishes)
        if not outcome:
            loop.exec_()
        if isinstance(outcome[0], Problem):
            raise outcome[0]
        return outcome[0].output.node if outcome[0].output is not None else None

    def enhanceAsync(self, volumeNode, finished, failed, progressed=lambda phase, done, total: None, **wishes):
        """Enhance in the background; the Job that is returned can be cancelled.

        Args:
            volumeNode, wishes: as for `enhance`, with `brightness` and `denoise`.
            finished: called with the `Jobs.Enhancement`. failed: called with a Problem; the scene is as it was.
            progressed: called with (phase, parts done, parts in all); 0 in all: not known.

        Raises:
            Problem: at once, where the node is no image or another job is running.
        """
        if self.busy:
            raise Problem("busy", _("Another image is being enhanced."), _("Wait for it, or cancel it."))

        def keep(enhancement):
            self._keep(enhancement)
            finished(enhancement)

        self._job = Jobs.Job(self.worker, volumeNode, Wishes(**wishes), keep, failed, progressed)
        return self._job

    def cancel(self):
        """Cancel the running job, if there is one."""
        if self.busy:
            self._job.cancel()

    def blending(self, enhancement, failed, shown=lambda: None):
        """Live strengths of an enhancement: call `to(brightness, denoise)` of what comes back."""
        return Blending(self.worker, enhancement, failed, shown)

    def showMap(self, enhancement, kind, shown, failed):
        """Make the volume of a map ("gain", "residual", "uncertainty") and call `shown(node)`."""
        Maps.show(self.worker, enhancement, kind, shown, failed)

    def report(self, enhancement, brightness, denoise, reported, failed):
        """Artifact numbers before and after: `reported(before, after)`, dictionaries as of `lowlight quantify`."""
        if not alive(self.worker, enhancement):
            failed(gone())
            return
        fields = {"result": enhancement.result, "brightness": brightness, "denoise": denoise}
        self.worker.request("report", fields, lambda message: reported(message["before"], message.get("after")), failed)

    def enhancementOf(self, node):
        """The present enhancement that a node is the source or the result of; None: there is none."""
        for enhancement in reversed(list(self.enhancements.values())):
            inScene = slicer.mrmlScene.GetNodeByID(enhancement.output.node.GetID() or "") is enhancement.output.node
            if inScene and node in (enhancement.source, enhancement.output.node, enhancement.output.shown):
                return enhancement
        return None

    @staticmethod
    def candidates():
        """All volumes and sequences of the scene that can be enhanced, without this module's own results."""
        found = []
        scene = slicer.mrmlScene
        for index in range(scene.GetNumberOfNodes()):
            node = scene.GetNthNode(index)
            image = node.GetClassName() in (
                "vtkMRMLScalarVolumeNode",
                "vtkMRMLVectorVolumeNode",
                "vtkMRMLSequenceNode",
            )
            if image and not node.GetHideFromEditors() and not Volumes.isEnhanced(node):
                found.append(node)
        # The volume that shows a sequence would be enhanced twice.
        from .Outputs import browserOf

        shown = [
            browserOf(node).GetProxyNode(node)
            for node in found
            if node.IsA("vtkMRMLSequenceNode") and browserOf(node) is not None
        ]
        return [node for node in found if node not in shown]

    @staticmethod
    def kindOf(node):
        """The kind of image that DICOM tells, or None."""
        return Dicom.kind(node)

    def forgetScene(self):
        """The scene was closed: cancel, and let go of all results."""
        self.cancel()
        self.enhancements.clear()

    def close(self):
        """End the worker."""
        self.cancel()
        self.worker.close()

    def _keep(self, enhancement):
        dropped = set(enhancement.message.get("dropped", []))
        for known in self.enhancements.values():
            if known.result in dropped:
                known.result = None
        if enhancement.output is not None:
            self.enhancements[enhancement.output.node.GetID()] = enhancement
