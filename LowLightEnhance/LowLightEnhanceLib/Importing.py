"""Files into Slicer's DICOM database, in the background: by CTK's indexer, which has a thread of its own."""

import ctk
import qt
import slicer
from slicer.i18n import tr as _


class Import:
    """One folder of files on its way into the database, which copies them.

    Args:
        folder: holds the files, and stays until `finished` is called.
        finished: called with the number of files that the database has taken.
        progressed: called with (share done, 100).

    Raises:
        RuntimeError: no database is open.
    """

    def __init__(self, folder, finished, progressed):
        database = slicer.dicomDatabase
        if database is None or not database.isOpen:
            raise RuntimeError(_("no database is open; open the DICOM module once"))
        self._finished = finished
        indexer = self._indexer = ctk.ctkDICOMIndexer()
        indexer.backgroundImportEnabled = True
        indexer.connect("progress(int)", lambda percent: progressed(percent, 100))
        indexer.connect("indexingComplete(int,int,int,int)", self._complete)
        indexer.addDirectory(database, str(folder), True)

    def cancel(self):
        """Take no more files than were read by now; `finished` is called all the same."""
        self._indexer.cancel()

    def _complete(self, _patients, _studies, _series, images):
        # Not from here: whoever is told lets go of the indexer, which is still telling.
        qt.QTimer.singleShot(0, lambda: self._finished(images))
