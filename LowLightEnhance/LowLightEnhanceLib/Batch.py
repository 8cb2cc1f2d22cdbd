"""Many images one after the other, with one progress for all and a summary at the end."""

from dataclasses import dataclass, field

import slicer
from slicer.i18n import tr as _

from .Problems import Problem, removed


@dataclass
class Summary:
    """What came of a batch: names of nodes, with the reason where there is one."""

    enhanced: list = field(default_factory=list)
    warned: list = field(default_factory=list)
    unchanged: list = field(default_factory=list)
    refused: list = field(default_factory=list)
    cancelled: bool = False

    def text(self):
        """A few lines for people."""
        lines = [
            _("{enhanced} enhanced, {unchanged} left unchanged, {refused} refused.").format(
                enhanced=len(self.enhanced), unchanged=len(self.unchanged), refused=len(self.refused)
            )
        ]
        if self.cancelled:
            lines[0] += " " + _("Cancelled before the end; what is done stays.")
        lines += [_("Warning: {name}: {reason}").format(name=name, reason=reason) for name, reason in self.warned]
        lines += [_("Unchanged: {name}: {reason}").format(name=name, reason=reason) for name, reason in self.unchanged]
        lines += [_("Refused: {name}: {reason}").format(name=name, reason=reason) for name, reason in self.refused]
        return "\n".join(lines)


class Batch:
    """Runs in the background; one image's fault costs that image alone.

    Args:
        logic: an EnhancingLogic. nodes: what to enhance. wishesFor: called with a node, gives its wishes.
        progressed: called with (share done in [0, 1], name of the present image).
        finished: called once with the `Summary`.
    """

    def __init__(self, logic, nodes, wishesFor, progressed, finished):
        self._logic, self._nodes, self._wishesFor = logic, list(nodes), wishesFor
        self._progressed, self._finished = progressed, finished
        self.summary = Summary()
        self._index = -1
        self._over = False

    def start(self):
        """Begin with the first image."""
        self._next()

    def cancel(self):
        """Stop within a second; what is done stays."""
        if not self._over:
            self.summary.cancelled = True
            if self._logic.busy:
                self._logic.cancel()

    def _next(self):
        # A loop, since hundreds may be refused at once, one after the other.
        while True:
            self._index += 1
            if self.summary.cancelled or self._index >= len(self._nodes):
                self._over = True
                self._finished(self.summary)
                return
            node = self._nodes[self._index]
            self._name, self._share = node.GetName() or "", 0.0
            # The scene may have been closed, or the image removed, while those before it had their turn.
            if not slicer.mrmlScene.IsNodePresent(node):
                self._note(removed())
                continue
            try:
                self._logic.enhanceAsync(node, self._done, self._failed, self._tell, **self._wishesFor(node))
            except Problem as problem:
                self._note(problem)
                continue
            return

    def _tell(self, phase, done, total):
        # Only the network's part takes time; a bar that goes back would puzzle.
        if phase == "enhancing" and total:
            self._share = max(self._share, done / total)
        self._progressed((self._index + self._share) / len(self._nodes), self._name)

    def _done(self, enhancement):
        if enhancement.output is None:
            self.summary.unchanged.append((self._name, enhancement.reason))
        else:
            self.summary.enhanced.append(self._name)
            self.summary.warned += [(self._name, warning) for warning in enhancement.warnings]
        self._next()

    def _failed(self, problem):
        self._note(problem)
        self._next()

    def _note(self, problem):
        if problem.kind == "cancelled":
            self.summary.cancelled = True
        else:
            self.summary.refused.append((self._name, str(problem)))
        if problem.kind == "not-installed":
            # It would be the same for every other image.
            self.summary.cancelled = True
