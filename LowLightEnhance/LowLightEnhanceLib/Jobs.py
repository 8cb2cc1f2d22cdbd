"""One enhancement from click to volume, in the event loop: hand over, wait, fetch, add to the scene."""

import traceback
from dataclasses import dataclass, field
from typing import Any, Optional

import slicer
from slicer.i18n import tr as _

from . import ArrayFiles, Dicom, Outputs, Volumes
from .Problems import Problem, cancelled, notFetched, notWritten, removed, workerEnded
from .Steps import Steps


@dataclass
class Wishes:
    """How to enhance; None leaves the choice to the bundle and to the image.

    Attributes:
        brightness: [0, 1.5]. denoise: [0, 1]. Naming one enhances images that are judged undamaged, too.
        kind: xray, dermatology, endoscopy, ultrasound, fundus: whose default strengths.
        limits: one of `Volumes.RANGES`, or (black, white) in units of the pixels.
        force: enhance an image that is judged undamaged, too.
        sharedTone: one exposure for all slices, instead of one for each.
        engine: "onnx", "torch". device: "cpu", "cuda", …
    """

    brightness: Optional[float] = None
    denoise: Optional[float] = None
    kind: Optional[str] = None
    limits: Any = "automatic"
    force: bool = False
    sharedTone: bool = True
    engine: Optional[str] = None
    device: Optional[str] = None


@dataclass
class Enhancement:
    """What came of a job.

    Attributes:
        source: the node that was enhanced. output: where the result is (see `Outputs`); None: it was left unchanged.
        reason: why it was left unchanged, for people. warnings: sentences for people.
        brightness, denoise: the strengths that the network's answer was first shown with.
        present: (brightness, denoise) that the output is at now.
        nearlyBlack: it came out so dark that it shows nothing: `limits` are not those of the image.
        limits: (black, white). result: the worker's name for what it keeps; None once that is gone.
        generation: of the worker that keeps it. message: the worker's whole answer. wishes: what was asked for.
        maps: volumes of maps, by kind.
    """

    source: Any
    output: Any
    reason: str
    warnings: list
    brightness: float
    denoise: float
    limits: tuple
    result: Optional[str]
    generation: int
    message: dict
    wishes: Wishes
    nearlyBlack: bool = False
    maps: dict = field(default_factory=dict)
    present: tuple = ()

    def __post_init__(self):
        self.present = self.present or (self.brightness, self.denoise)


def _harmless(progressed):
    """A callback of someone else whose faults are shown in the console and end nothing: the job goes on."""

    def tell(*told):
        try:
            progressed(*told)
        except Exception:
            traceback.print_exc()

    return tell


class Job:
    """One running enhancement. Exactly one of `finished(enhancement)` and `failed(problem)` is called, once, later.

    The scene changes at the very end and in one go, so a job that fails or is cancelled leaves it as it was.
    """

    def __init__(self, worker, node, wishes, finished, failed, progressed=lambda phase, done, total: None):
        """Raises Problem at once for what is no image."""
        self._picture = Volumes.pictureOf(node)
        _check(wishes)
        self._limits = wishes.limits
        if isinstance(wishes.limits, str):
            self._limits = Volumes.valueRange(self._picture, wishes.limits)
        self._worker, self._wishes = worker, wishes
        self._finished, self._failed, self._progressed = finished, failed, _harmless(progressed)
        self._steps, self._number, self._over = None, None, False
        self._image = self._target = None
        scene = slicer.mrmlScene
        changes = (scene.NodeRemovedEvent, scene.EndCloseEvent)
        self._observers = [scene.AddObserver(event, self._checkSource) for event in changes]
        self._nodeID = node.GetID()
        self._progressed("starting", 0, 0)
        worker.whenReady(self._handOver, self._fail)

    @property
    def over(self):
        """Whether it has finished, failed or been cancelled."""
        return self._over

    def cancel(self):
        """Stop within a second; `failed` is called with a Problem of kind "cancelled"."""
        if self._over:
            return
        if self._number is not None:
            # The worker's answer, or its end, ends this job.
            self._worker.cancel(self._number)
        elif self._steps is None:
            self._worker.kill()
        if self._number is None:
            self._fail(cancelled())

    # One after the other

    def _handOver(self):
        if self._over:
            return
        self._progressed("handing over", 0, 0)
        if self._over:
            return
        self._file = f"in-{id(self):x}.npy"
        written = ArrayFiles.written(str(self._worker.folder / self._file), self._picture.array)
        self._generation = self._worker.generation
        self._steps = Steps(written, self._ask, lambda error: self._fail(self._orEnded(notWritten(error))))

    def _ask(self):
        if self._workerIsAnother():
            self._fail(workerEnded())
            return
        wishes = self._wishes
        fields = {
            "array": self._file,
            "frames": self._picture.frames,
            "tone": "shared" if wishes.sharedTone else "own",
            "value_range": self._limits,
            "modality": wishes.kind,
            "brightness": wishes.brightness,
            "denoise": wishes.denoise,
            "force": wishes.force,
            "engine": wishes.engine,
            "device": wishes.device,
        }
        self._number = self._worker.request("enhance", fields, self._fetch, self._fail, self._tell)

    def _tell(self, message):
        if not self._over:
            self._progressed(message.get("phase", ""), message.get("done", 0), message.get("total", 0))

    def _fetch(self, message):
        self._number, self._message = None, message
        if self._over:
            self._drop()
            return
        path = self._worker.folder / message["image"]
        if message.get("unchanged"):
            path.unlink(missing_ok=True)
            self._end(self._enhancement(None))
            return
        self._progressed("fetching", 0, 0)
        if self._over:
            return
        try:
            self._image, self._target = Volumes.newTarget(self._picture)
        except MemoryError as error:
            self._fail(self._orEnded(notFetched(error)))
            return
        target = self._target if self._picture.frames else self._target[0]
        self._steps = Steps(
            ArrayFiles.copied(str(path), target), self._add, lambda error: self._fail(self._orEnded(notFetched(error)))
        )

    def _add(self):
        scene = slicer.mrmlScene
        before = {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}
        try:
            output = Outputs.outputFor(self._picture, self._image, self._message["value_range"])
        except Exception as error:  # nothing half-made stays, whatever it was
            made = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
            for node in [node for node in made if node.GetID() not in before]:
                scene.RemoveNode(node)
            self._fail(self._orEnded(notFetched(error)))
            return
        self._end(self._enhancement(output))

    # Ends

    def _enhancement(self, output):
        message, limits = self._message, tuple(self._message["value_range"])
        warnings = list(message.get("warnings", []))
        black = output is not None and message["brightness"] > 0 and Volumes.isNearlyBlack(self._target, limits)
        if black:
            warnings.append(nearlyBlack(self._picture.array, limits))
        measured = Dicom.measured(self._picture.node)
        if output is not None and measured:
            warnings.append(measuring(measured))
        return Enhancement(
            source=self._picture.node,
            output=output,
            reason=message.get("reason", "") if output is None else "",
            warnings=warnings,
            nearlyBlack=black,
            brightness=message["brightness"],
            denoise=message["denoise"],
            limits=limits,
            result=message.get("result"),
            generation=self._worker.generation,
            message=message,
            wishes=self._wishes,
        )

    def _checkSource(self, *_unused):
        if not self._over and slicer.mrmlScene.GetNodeByID(self._nodeID) is not self._picture.node:
            if self._number is not None:
                self._worker.cancel(self._number)
            self._fail(removed())

    def _end(self, enhancement):
        self._close()
        self._finished(enhancement)

    def _fail(self, problem):
        if self._over:
            return
        if self._steps is not None:
            self._steps.cancel()
        self._drop()
        self._close()
        # In our own words, whoever noticed it first.
        self._failed(cancelled() if problem.kind == "cancelled" else problem)

    def _workerIsAnother(self):
        return not self._worker.running or self._worker.generation != self._generation

    def _orEnded(self, problem):
        """A problem with files, unless their worker has ended, which takes them with it."""
        return workerEnded() if self._workerIsAnother() else problem

    def _drop(self):
        """Let go of a result that nobody will see."""
        message = getattr(self, "_message", None)
        if message and message.get("result") and self._worker.folder:
            (self._worker.folder / message["image"]).unlink(missing_ok=True)
            self._worker.request("forget", {"result": message["result"]}, _ignore, _ignore)

    def _close(self):
        self._over = True
        for tag in self._observers:
            slicer.mrmlScene.RemoveObserver(tag)
        self._image = self._target = None


def _check(wishes):
    """Raises Problem for names that nobody knows: a default in their place would pass in silence."""
    unknown = _("There is no {what} “{name}”.")
    known = _("There are: {names}.")
    kinds = sorted(set(Dicom.KINDS.values()))
    if wishes.kind is not None and wishes.kind not in kinds:
        told = unknown.format(what=_("kind of image"), name=wishes.kind)
        raise Problem("bad-request", told, known.format(names=", ".join(kinds)))
    if isinstance(wishes.limits, str) and wishes.limits not in Volumes.RANGES:
        told = unknown.format(what=_("choice of black and white"), name=wishes.limits)
        raise Problem("bad-request", told, known.format(names=", ".join(Volumes.RANGES)))


def _ignore(*_unused):
    pass


def measuring(modality):
    """The warning for CT and its like."""
    return _("{modality} values are measurements. Enhanced ones are not: do not measure in the enhanced image.").format(
        modality=modality
    )


def nearlyBlack(array, limits):
    """The warning for a result that shows nothing, because black and white were not those of the image."""
    return _(
        "The result is nearly black: {limits} was used, and the image holds only {lowest:g} to {highest:g}."
    ).format(limits=blackAndWhite(limits), lowest=array.min(), highest=array.max())


def blackAndWhite(limits):
    """What was black and what was white, for people."""
    return _("black {black:g}, white {white:g}").format(black=limits[0], white=limits[1])
