"""What can go wrong, as a sentence for people: the one kind of error that reaches the panel or a script."""

from slicer.i18n import tr as _


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
    """From an OSError while an image was handed to the worker."""
    return Problem(
        "no-space",
        _("The image could not be handed over: {reason}.").format(reason=error.strerror or error),
        _("Make room on the disk that holds the temporary files, then press Enhance again."),
    )
