"""A reader's sitting at a reader study, seen from Slicer: asks the worker (docs/worker.md) for item after item.

The study's file, its clock and its answers are the worker's: here is only what is shown now. So whatever ends, Slicer
or the worker, loses at most the answer that was not confirmed yet.
"""

import os

from slicer.i18n import tr as _

from . import ProcessTree, Settings
from .Problems import Problem

MESSAGES = 1
"""Version of the worker's study messages that this module speaks."""


class Sitting:
    """One study at a time, one request at a time.

    Args:
        logic: an EnhancingLogic, for its worker.

    Attributes:
        path: of the open study; "" while none is. title: of the study. readers: [{"reader", "done", "total"}].
        item: the worker's last `study_item`; None before the first.
    """

    def __init__(self, logic):
        self._logic = logic
        self.path, self.title, self.readers, self.item = "", "", [], None
        self._generation, self._asking = 0, False

    @property
    def worker(self):
        """The child process."""
        return self._logic.worker

    @property
    def busy(self):
        """Whether an answer of the worker is still to come."""
        return self._asking

    @property
    def reading(self):
        """Whether somebody has begun."""
        return self.item is not None

    def open(self, path, opened, failed):
        """Look at a study: who may read, and how far they are."""

        def found(message):
            self.path, self.title, self.readers, self.item = path, message["title"], message["readers"], None
            self._generation = self.worker.generation
            opened()

        def ask():
            if self.worker.hello.get("study_messages") != MESSAGES:
                self._asking = False
                failed(
                    Problem(
                        "incompatible",
                        _("The enhancer of this version cannot read studies together with this module."),
                        _("Install the same version of both."),
                    )
                )
                return
            self._request("study_open", {"path": path}, found, failed)

        if not self._asking:
            self._asking = True
            self.worker.whenReady(ask, self._ended(failed))

    def begin(self, reader, shown, failed, takeOver=False):
        """Show the first open item of a reader; `takeOver` ends their sitting elsewhere."""
        fields = {"reader": reader, "take_over": takeOver, "sitting": _leftBehind()}

        def ask():
            self._ask("study_begin", fields, shown, failed)

        if self.path and not self._kept():
            # The worker that had it open is gone.
            self.open(self.path, ask, failed)
        else:
            ask()

    def answer(self, shown, failed, side=None, grades=None):
        """Answer the present item; `shown` with the next one means that the answer is on disk."""
        answer = {"side": side} if side is not None else {"grades": grades}
        self._act("study_answer", {"item": self.item["item"], **answer}, shown, failed)

    def undo(self, shown, failed):
        """Take the last answer back; its item comes again."""
        self._act("study_undo", {}, shown, failed)

    def pause(self, shown, failed):
        """Stop the clock."""
        self._act("study_pause", {}, shown, failed)

    def resume(self, shown, failed):
        """Let the clock run on; after the worker has ended, sit down again where the reading was."""
        if self._kept():
            self._act("study_resume", {}, shown, failed)
        else:
            self.begin(self.item["reader"], shown, failed)

    def alive(self, failed):
        """Tell that somebody still looks at the item."""
        if self.reading and self._kept() and not self._asking:
            self.worker.request("study_alive", {}, lambda message: None, failed)

    def end(self):
        """Leave the chair to whoever comes."""
        if self._kept():
            self.worker.request("study_end", {}, lambda message: None, lambda problem: None)
        Settings.write("studySitting", "")
        self.path, self.item = "", None

    def _kept(self):
        """Whether the running worker is the one that has the study open."""
        return self.worker.folder is not None and self.worker.generation == self._generation

    def _act(self, kind, fields, shown, failed):
        if self._kept():
            self._ask(kind, fields, shown, failed)
        else:
            failed(lost())

    def _ask(self, kind, fields, shown, failed):
        if self._asking:
            return

        def come(message):
            self.item = message
            Settings.write("studySitting", f"{os.getpid()} {message['sitting']}")
            shown()

        self._asking = True
        self._request(kind, fields, come, failed)

    def _request(self, kind, fields, come, failed):
        def answered(message):
            self._asking = False
            come(message)

        self.worker.request(kind, fields, answered, self._ended(failed))

    def _ended(self, failed):
        def ended(problem):
            self._asking = False
            failed(lost() if problem.kind in ("worker-ended", "cancelled") else problem)

        return ended


def _leftBehind():
    """The sitting that this Slicer, or one that has crashed, left behind; None where another Slicer still has it."""
    process, _space, sitting = Settings.read("studySitting", "").partition(" ")
    if not sitting or not process.isdecimal():
        return None
    if int(process) != os.getpid() and ProcessTree.runs(int(process)):
        return None
    return sitting


def lost():
    """The worker has ended; what was confirmed is kept."""
    return Problem(
        "worker-ended",
        _("The process that keeps the study has ended. Every answer up to the item that was shown is kept."),
        _("Press Go on."),
    )
