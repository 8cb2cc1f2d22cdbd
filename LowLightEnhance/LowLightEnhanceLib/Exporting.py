"""Results as derived DICOM series: the worker writes them, with the attributes of the instances that were loaded."""

import shutil
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from . import Dicom
from .Blending import alive
from .Problems import Problem, cancelled


class Export:
    """One export in the background.

    Args:
        worker: the Worker. enhancement: what to write, at `brightness` and `denoise`.
        folder: where to; None: into Slicer's DICOM database, which copies the files.
        anew: let the network run on the stored files, instead of writing what is shown.
        label: burn a visible ENHANCED into a corner.
        finished: called with a sentence that says what was written. failed: called with a Problem.
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
        self._temporary = tempfile.mkdtemp(prefix="lowlight-export-") if folder is None else None
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
        enhancement = self._enhancement
        fields = {
            "result": None if self._anew else enhancement.result,
            "sources": self._sources,
            "folder": str(self._folder),
            "brightness": self._strengths[0],
            "denoise": self._strengths[1],
            "modality": enhancement.wishes.kind,
            # Whoever exports a CT was warned when it was enhanced.
            "any_modality": True,
            "label": self._label,
        }
        self._number = self._worker.request("export", fields, self._written, self._end, self._tell)

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
        lines += message.get("warnings", [])
        lines += [refused["message"] for refused in message.get("refused", [])]
        self._finished("\n".join(lines))

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
