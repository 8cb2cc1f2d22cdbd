"""Results as derived DICOM series: the worker writes them, with the attributes of the instances that were loaded."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from . import Dicom, ProcessTree
from .Blending import alive
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
        self._number, self._over = None, False
        worker.whenReady(self._ask, self._end)

    def cancel(self):
        """Stop; files that are already written stay."""
        if self._number is not None:
            self._worker.cancel(self._number)
        else:
            self._end(cancelled())

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
        files = message["files"]
        try:
            if self._temporary is not None:
                self._toDatabase()
        except Exception as error:
            self._end(
                Problem(
                    "not-written", _("Slicer's DICOM database did not take the series: {reason}.").format(reason=error)
                )
            )
            return
        finally:
            self._clean()
        where = _("Slicer's DICOM database") if self._temporary is not None else str(self._folder)
        lines = [_("{count} DICOM files written to {where}.").format(count=len(files), where=where)]
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

    def _toDatabase(self):
        from DICOMLib import DICOMUtils

        database = slicer.dicomDatabase
        if database is None or not database.isOpen:
            raise RuntimeError(_("no database is open; open the DICOM module once"))
        if not DICOMUtils.importDicom(str(self._folder), database, copyFiles=True):
            raise RuntimeError(_("see Slicer's error log"))

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


def _sweep():
    """Remove what a killed Slicer had on its way to the database: images of patients."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not ProcessTree.runs(int(owner)):
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)
