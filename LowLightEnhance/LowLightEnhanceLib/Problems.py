"""What can go wrong, as a sentence for people: the one kind of error that reaches the panel or a script."""

import errno

from slicer.i18n import tr as _

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Problem(Exception):
    """A job was refused or failed.

    Attributes:
        kind: one word for programs: those of the worker's protocol, and "no-image", "label-map", "busy", "removed",
            "worker-ended", "not-installed".
        message: what is wrong. remedy: what to do about it.
    """

    def __init__(self, kind, message, remedy=""):
        self.kind, self.message, self.remedy = kind, message, remedy
        super().__init__(f"{message} {remedy}".strip())


def cancelled():
    return Problem("cancelled", _("Cancelled. Nothing was changed."))


def removed():
    return Problem(
        "removed",
        _("The image was removed from the scene while it was being worked on. Nothing was made."),
        _("Load it again, then press Enhance."),
    )


def notWritten(error):
    """From whatever kept an image from being handed to the worker."""
    message = _("The image could not be handed over: {reason}.").format(reason=_reason(error))
    if getattr(error, "errno", None) in _FULL:
        remedy = _("Make room on the disk that holds the temporary files, then press Enhance again.")
        return Problem("no-space", message, remedy)
    return Problem(
        "internal",
        message,
        _("Press Enhance again; if that does not help, look whether temporary files can be written."),
    )


def notFetched(error):
    """From whatever kept a result from getting into the scene."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, MemoryError):
        return Problem(
            "out-of-memory",
            _("There is not enough memory for the enhanced image."),
            _("Close other images or programs, then press Enhance again."),
        )
    return Problem(
        "internal",
        _("The enhanced image could not be taken over: {reason}.").format(reason=_reason(error)),
        _("Press Enhance again; if that does not help, report it with the log under Settings."),
    )


def workerEnded():
    return Problem(
        "worker-ended",
        _("The enhancer ended unexpectedly, perhaps for lack of memory. The scene is as it was."),
        _("Press Enhance to start it again."),
    )


def endedWhileStarting():
    return Problem(
        "worker-ended",
        _("The enhancer crashed, or was ended from outside, while it was starting. The scene is as it was."),
        _("Press Enhance to start it again; if that does not help, see the log under Settings."),
    )


def _reason(error):
    return getattr(error, "strerror", None) or error
