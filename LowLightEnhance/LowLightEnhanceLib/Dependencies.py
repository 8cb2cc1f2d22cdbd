"""Installs what the worker needs: into a folder of our own, out of reach of Slicer, or beside Slicer's own packages."""

import importlib.metadata
import os
import re
import shutil
import tempfile
from pathlib import Path

import qt
from slicer.i18n import tr as _

from . import Environment, ProcessTree
from .Problems import Problem, cancelled

IN_TURN = 23.0
"""Megabytes of the packages that those in requirements.txt need in turn."""


class OwnFolder:
    """A folder of the module's own, filled whole or not at all.

    Packages go to a new folder, which takes the place of the old one when all is there: whoever cancels, or loses the
    network, has what they had before. With `--target` pip neither changes nor removes anything of Slicer.

    Args:
        wheels: a folder with the packages as wheels, for a computer without network; None: from the package index.
    """

    stoppable = True
    """Whether it may be cancelled while packages are put in place."""

    def __init__(self, wheels=None):
        self._folder, self._wheels = Environment.packagesFolder(), wheels
        self._staging, self._old = (
            self._folder.with_name(f".{self._folder.name}.{os.getpid()}.{what}") for what in ("new", "old")
        )

    def begin(self):
        """Make room, and tell program and arguments of the installer.

        Raises:
            OSError: the folder cannot be made.
        """
        self._sweep()
        self._staging.mkdir(parents=True)
        return Environment.pythonProgram(), command(self._staging, self._wheels)

    def complete(self):
        """All is there: let it take the place of what was there before.

        Raises:
            Problem: what was there before is in use, and stays.
        """
        try:
            if self._folder.exists():
                self._folder.replace(self._old)
            self._staging.replace(self._folder)
        except OSError as error:
            if self._old.exists() and not self._folder.exists():
                self._old.replace(self._folder)
            raise Problem(
                "not-installed",
                _("The folder {folder} is in use: {reason}.").format(folder=self._folder, reason=error.strerror),
                _("Restart Slicer, then install again."),
            ) from error

    def clean(self):
        """Whatever became of it, nothing half-made stays."""
        for folder in (self._staging, self._old):
            shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self):
        """Remove what an installation left that Slicer did not survive; that of another running Slicer stays."""
        for left in self._folder.parent.glob(f".{self._folder.name}.*"):
            named = re.fullmatch(rf"\.{re.escape(self._folder.name)}\.(\d+)\.(new|old)", left.name)
            if named and (int(named.group(1)) == os.getpid() or not ProcessTree.runs(int(named.group(1)))):
                shutil.rmtree(left, ignore_errors=True)


class SlicersOwn:
    """Slicer's own Python, with every package that is there held in its version."""

    stoppable = False

    def __init__(self):
        self._folder = None

    def begin(self):
        """As of `OwnFolder`.

        Raises:
            Problem: one of Slicer's packages would have to change. OSError: there is no room for a temporary file.
        """
        clashes = Environment.clashes()
        if clashes:
            raise Problem(
                "not-installed",
                _("Slicer ships {packages}, which would have to be replaced.").format(
                    packages=", ".join(f"{name} {version}" for name, version in clashes)
                ),
                _("Install into a folder of the module's own instead."),
            )
        self._folder = tempfile.mkdtemp(prefix="lowlight-install-")
        constraints = Path(self._folder) / "constraints.txt"
        held = {}
        for there in importlib.metadata.distributions():
            # Of two of one name, the first is the one that is used.
            held.setdefault(there.metadata["Name"], there.version)
        lines = [f"{name}=={version}\n" for name, version in held.items() if name]
        constraints.write_text("".join(lines), encoding="utf-8")
        return Environment.slicerPython(), [*_PIP, "-c", str(constraints), "-r", str(Environment.REQUIREMENTS)]

    def complete(self):
        """All is in place already."""

    def clean(self):
        """The list of what was held is of no more use."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class Installer:
    """Runs pip in a child process; Slicer's window stays usable. One runs at a time.

    Args:
        place: `OwnFolder` or `SlicersOwn`.
        finished: called without arguments. failed: called with a Problem. log: called with each line of pip.
        progressed: called with (packages met, packages expected, what happens now).

    Raises:
        Problem: another installation is running, or the place is not to be had. OSError: there is no room for it.
    """

    _running = None

    def __init__(self, place, finished, failed, log, progressed):
        if Installer._running is not None:
            raise Problem("busy", _("Packages are being installed already."), _("Wait for it, or cancel it."))
        self._place = place
        self._finished, self._failed, self._log, self._progressed = finished, failed, log, progressed
        self._expected = 2 * len(Environment.requirements())
        self._met, self._buffer, self._last, self._placing = 0, "", "", False
        try:
            program, arguments = place.begin()
        except (Problem, OSError):
            place.clean()
            raise
        Installer._running = self
        process = self._process = qt.QProcess()
        process.setProcessChannelMode(qt.QProcess.MergedChannels)
        process.connect("readyReadStandardOutput()", lambda *_unused: self._read())
        process.connect("finished(int,QProcess::ExitStatus)", lambda code, *_unused: self._ended(code))
        process.connect("errorOccurred(QProcess::ProcessError)", lambda error, *_unused: self._failedToStart(error))
        process.start(program, arguments)

    @property
    def over(self):
        """Whether it has finished, failed or been cancelled."""
        return Installer._running is not self

    @property
    def stoppable(self):
        """Whether it can be cancelled: not while packages are put beside Slicer's own, lest they be left half-made."""
        return not self._placing or self._place.stoppable

    def cancel(self):
        """Stop at once; what was installed before stays as it was. Without effect where it is not `stoppable`."""
        if self.over or not self.stoppable:
            return
        # Over from here on: that the process ended is no news, and its files go once it is dead.
        Installer._running = None
        ProcessTree.kill(self._process.processId())
        self._process.waitForFinished(1000)
        self._place.clean()
        self._failed(cancelled())

    def abandon(self):
        """Let it go on with nobody to be told."""
        self._finished, self._failed, self._log, self._progressed = (lambda *_unused: None,) * 4

    def _read(self):
        self._buffer += bytes(self._process.readAllStandardOutput().data()).decode("utf-8", "replace")
        *lines, self._buffer = self._buffer.split("\n")
        for line in lines:
            # From which line of which file a package comes is of no interest here.
            line = re.sub(r" \(from -r .*\(line \d+\)\)", "", line)
            self._log(line.rstrip())
            self._last = line.strip() or self._last
            met = re.match(r"\s*(Collecting|Processing|Downloading|Installing collected packages)\b:?\s*(\S*)", line)
            if met:
                self._met += met.group(1) in ("Collecting", "Processing")
                self._placing = self._placing or met.group(1).startswith("Installing")
                what = _("Putting the packages in place…") if self._placing else met.group(0).strip()
                self._progressed(min(self._met, self._expected - 1), self._expected, what)

    def _ended(self, code):
        if self.over:
            return
        self._read()
        if code != 0:
            self._fail(
                Problem(
                    "not-installed",
                    _("The packages could not be installed: {reason}.").format(reason=self._last.rstrip(".")),
                    _("Without a network, choose a folder of wheels; the log has the details."),
                )
            )
            return
        try:
            self._place.complete()
        except Problem as problem:
            self._fail(problem)
            return
        self._close()
        self._finished()

    def _failedToStart(self, error):
        if error == qt.QProcess.FailedToStart:
            self._fail(
                Problem(
                    "not-installed",
                    _("Python could not be started: {reason}.").format(reason=self._process.errorString()),
                    _("Choose another Python under Settings."),
                )
            )

    def _fail(self, problem):
        if not self.over:
            self._close()
            self._failed(problem)

    def _close(self):
        Installer._running = None
        self._place.clean()


_PIP = (
    *("-m", "pip", "install", "--no-input", "--disable-pip-version-check"),
    *("--progress-bar", "off", "--only-binary", ":all:"),
)


def command(folder, wheels):
    """Arguments for Python: pip into a folder, from the package index or (`wheels`) without any network."""
    source = ["--no-index", "--find-links", str(wheels)] if wheels else []
    return [*_PIP, "--target", str(folder), *source, "-r", str(Environment.REQUIREMENTS)]


def megabytes():
    """What an installation takes on disk, about."""
    return sum(size for _name, _lowest, _below, size in Environment.requirements()) + IN_TURN


def installTorch():
    """Let the PyTorch extension install torch, which only a graphics card needs.

    Raises:
        Problem: that extension is not there.
    """
    try:
        import PyTorchUtils
    except ImportError as error:
        raise Problem(
            "missing-dependency",
            _("Slicer's extension “PyTorch” is not installed; it is needed for a graphics card only."),
            _("Install it with the Extensions Manager and restart Slicer."),
        ) from error
    return PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True)
