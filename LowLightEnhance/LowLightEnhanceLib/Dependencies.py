"""Installs what the worker needs into a folder of our own, where Slicer's own packages are out of reach."""

import importlib.metadata
import re
import shutil
import tempfile
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from . import Environment, ProcessTree
from .Problems import Problem, cancelled

IN_TURN = 23.0
"""Megabytes of the packages that those in requirements.txt need in turn."""


class Installer:
    """Runs pip in a child process.

    Packages go to a new folder, which takes the place of the old one when all is there: whoever cancels, or loses the
    network, has what they had before. With `--target` pip neither changes nor removes anything of Slicer.

    Args:
        finished: called without arguments. failed: called with a Problem. log: called with each line of pip.
        progressed: called with (packages met, packages expected, what happens now).
        wheels: a folder with the packages as wheels, for a computer without network; None: from the package index.
    """

    def __init__(self, finished, failed, log, progressed, wheels=None):
        self._finished, self._failed, self._log, self._progressed = finished, failed, log, progressed
        self._folder = Environment.packagesFolder()
        self._staging = self._folder.with_name(f".{self._folder.name}.new")
        self._expected = 2 * len(Environment.requirements())
        self._met, self._buffer, self._last, self._over = 0, "", "", False
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)
        process = self._process = qt.QProcess()
        process.setProcessChannelMode(qt.QProcess.MergedChannels)
        process.connect("readyReadStandardOutput()", lambda *_unused: self._read())
        process.connect("finished(int,QProcess::ExitStatus)", lambda code, *_unused: self._ended(code))
        process.connect("errorOccurred(QProcess::ProcessError)", lambda error, *_unused: self._failedToStart(error))
        process.start(Environment.pythonProgram(), command(self._staging, wheels))

    def cancel(self):
        """Stop at once; what was installed before stays as it was."""
        if self._over:
            return
        self._over = True
        ProcessTree.kill(self._process.processId())
        self._process.waitForFinished(1000)
        shutil.rmtree(self._staging, ignore_errors=True)
        self._failed(cancelled())

    def _read(self):
        self._buffer += bytes(self._process.readAllStandardOutput().data()).decode("utf-8", "replace")
        *lines, self._buffer = self._buffer.split("\n")
        for line in lines:
            self._log(line.rstrip())
            self._last = line.strip() or self._last
            met = re.match(r"\s*(Collecting|Processing|Downloading|Installing collected packages)\b:?\s*(\S*)", line)
            if met:
                self._met += met.group(1) in ("Collecting", "Processing")
                self._progressed(min(self._met, self._expected - 1), self._expected, met.group(0).strip())

    def _ended(self, code):
        if self._over:
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
            shutil.rmtree(self._folder, ignore_errors=True)
            self._staging.replace(self._folder)
        except OSError as error:
            self._fail(
                Problem(
                    "not-installed",
                    _("The folder {folder} is in use: {reason}.").format(folder=self._folder, reason=error.strerror),
                    _("Restart Slicer, then install again."),
                )
            )
            return
        self._over = True
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
        if self._over:
            return
        self._over = True
        shutil.rmtree(self._staging, ignore_errors=True)
        self._failed(problem)


def command(folder, wheels):
    """Arguments for Python: pip into a folder, from the package index or (`wheels`) without any network."""
    source = ["--no-index", "--find-links", str(wheels)] if wheels else []
    return [
        *("-m", "pip", "install", "--target", str(folder), "--no-input", "--disable-pip-version-check"),
        *("--progress-bar", "off", "--only-binary", ":all:"),
        *source,
        *("-r", str(Environment.REQUIREMENTS)),
    ]


def megabytes():
    """What an installation takes on disk, about."""
    return sum(size for _name, _lowest, _below, size in Environment.requirements()) + IN_TURN


def installIntoSlicer():
    """Install into Slicer's own Python, by Slicer's own means, with every package that is there held where it is.

    Raises:
        Problem: one of Slicer's packages would have to change. CalledProcessError: pip failed.
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
    held = "".join(f"{d.metadata['Name']}=={d.version}\n" for d in importlib.metadata.distributions())
    with tempfile.TemporaryDirectory(prefix="lowlight-install-") as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(held, encoding="utf-8")
        wanted = [
            f"{name}>={lowest}" + (f",<{below}" if below else "")
            for name, lowest, below, _size in Environment.requirements()
        ]
        slicer.util.pip_install(["-c", str(constraints), *wanted])


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
