"""Results as derived DICOM series: the worker writes them, with the attributes of the instances that were loaded."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from slicer.i18n import tr as _

from . import Dicom, ProcessTree
from .Blending import alive
from .Importing import Import
from .Jobs import blackAndWhite
from .Problems import Problem, cancelled

_PREFIX = "lowlight-export-"
"""Of the folders in which files wait for the database; then comes the number of the process that waits for them."""


class Export:
    """One export in the background.

    Args:
        worker: the Worker. enhancement: what to write, at `brightness` and `denoise`.
        folder: where to; None: into Slicer's DICOM database, which copies the files.
        anew: let the network run on the stored files, instead of writing what is shown: with the black and white,
            the exposure, the engine and the device of the enhancement.
        label: burn a visible ENHANCED into a corner.
        finished: called with sentences that say what was written, and whether that was all. failed: with a Problem.
        progressed: called with (phase, done, total).
    """

    def __init__(self, worker, enhancement, strengths, folder, finished, failed, progressed, anew=False, label=False):
        self._worker, self._enhancement = worker, enhancement
        self._finished, self._failed, self._progressed = finished, failed, progressed
        self._sources = Dicom.files(enhancement.source)
        if not self._sources:
            raise Problem(
                "no-dicom",
                _(
                    "“{name}” was not loaded from Slicer's DICOM database, so there are no DICOM attributes to take."
                ).format(name=enhancement.source.GetName()),
                _("Save it with File > Save, or load the series from the DICOM module and enhance it again."),
            )
        if not anew and not alive(worker, enhancement):
            # Made anew without being asked, it could differ from what is on the screen.
            raise Problem(
                "no-result",
                _("The enhancer no longer keeps this result."),
                _("Press Enhance once more, or tick “Enhance the stored files anew”; then export again."),
            )
        _sweep()
        self._temporary = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-") if folder is None else None
        self._folder = Path(folder or self._temporary).absolute()
        self._anew = anew
        self._strengths, self._label = strengths, label
        self._number, self._over, self._import, self._cancelled = None, False, None, False
        worker.whenReady(self._ask, self._end)

    def cancel(self):
        """Stop; files that are already written stay."""
        if self._import is not None:
            self._cancelled = True
            self._import.cancel()
        elif self._number is not None:
            self._worker.cancel(self._number)
        else:
            self._end(cancelled())

    def abandon(self):
        """The panel closes: stop, and tell nobody."""
        self._finished = self._failed = self._progressed = lambda *_unused: None
        self.cancel()

    def _ask(self):
        if self._over:
            return
        fields = {
            **(self._asTheJob() if self._anew else {"result": self._enhancement.result}),
            **self._strengthsToAskFor(),
            "sources": self._sources,
            "folder": str(self._folder),
            # Whoever exports a CT was warned when it was enhanced.
            "any_modality": True,
            "label": self._label,
        }
        self._number = self._worker.request("export", fields, self._written, self._end, self._tell)

    def _asTheJob(self):
        """How the network is to run on the files, so that they come out as the enhancement did."""
        wishes, limits = self._enhancement.wishes, self._enhancement.limits
        return {
            "result": None,
            "modality": wishes.kind,
            "force": wishes.force,
            "tone": "shared" if wishes.sharedTone else "own",
            # Of colour, black and white are fixed. Which grey is darker is told by the file.
            "value_range": sorted(limits) if self._grey() else None,
            "engine": wishes.engine,
            "device": wishes.device,
        }

    def _strengthsToAskFor(self):
        enhancement = self._enhancement
        if self._anew and self._strengths == (enhancement.brightness, enhancement.denoise):
            # Strengths that are named are applied to undamaged slices, too.
            return {"brightness": enhancement.wishes.brightness, "denoise": enhancement.wishes.denoise}
        return {"brightness": self._strengths[0], "denoise": self._strengths[1]}

    def _grey(self):
        return not self._enhancement.output.shown.IsA("vtkMRMLVectorVolumeNode")

    def _tell(self, message):
        self._progressed(message.get("phase", ""), message.get("done", 0), message.get("total", 0))

    def _written(self, message):
        count = len(message["files"])
        if self._temporary is None:
            self._done(message, count)
            return
        try:
            self._import = Import(
                self._folder,
                lambda taken: self._imported(message, count, taken),
                lambda done, total: self._progressed("importing", done, total),
            )
        except Exception as error:  # whatever the database is unhappy with
            self._end(_notTaken(error))

    def _imported(self, message, count, taken):
        self._import = None
        if taken == count:
            self._done(message, count)
        elif self._cancelled:
            told = _("Cancelled. {taken} of {count} files are in Slicer's DICOM database.")
            self._end(Problem("cancelled", told.format(taken=taken, count=count)))
        elif taken:
            told = _("it took {taken} of {count} files; see Slicer's error log")
            self._end(_notTaken(told.format(taken=taken, count=count)))
        else:
            self._end(_notTaken(_("see Slicer's error log")))

    def _done(self, message, count):
        self._over = True
        self._clean()
        where = _("Slicer's DICOM database") if self._temporary is not None else str(self._folder)
        told = _("One DICOM file written to {where}.") if count == 1 else _("{count} DICOM files written to {where}.")
        lines = [told.format(count=count, where=where)]
        if message.get("anew"):
            lines.append(self._howAnew())
        refused = message.get("refused", [])
        if refused:
            lines.append(_("{count} files were left out:").format(count=len(refused)))
        lines += [left["message"] for left in refused]
        lines += message.get("warnings", [])
        self._finished("\n".join(lines), not refused and not message.get("warnings"))

    def _howAnew(self):
        """What was done instead of writing what is shown, for people."""
        how = [blackAndWhite(sorted(self._enhancement.limits))] if self._grey() else []
        if self._enhancement.output.frames > 1:
            shared = self._enhancement.wishes.sharedTone
            how.append(_("one exposure for all slices") if shared else _("each slice with its own exposure"))
        brightness, denoise = self._strengths
        how.append(_("brightness {brightness:g}, denoising {denoise:g}").format(brightness=brightness, denoise=denoise))
        return _("The stored files were enhanced anew ({how}); compare them with what is shown.").format(
            how=", ".join(how)
        )

    def _end(self, problem):
        if self._over:
            return
        self._over = True
        self._clean()
        if problem.kind == "mismatch":
            problem = Problem(
                problem.kind,
                problem.message,
                _("Tick “Enhance the stored files anew” and export again."),
            )
        self._failed(problem)

    def _clean(self):
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def _notTaken(reason):
    return Problem(
        "not-written",
        _("Slicer's DICOM database did not take the series: {reason}.").format(reason=reason),
        _("Export into a folder, or mend the database in the DICOM module."),
    )


def _sweep():
    """Remove what a killed Slicer had on its way to the database: images of patients."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not ProcessTree.runs(int(owner)):
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)
