"""Whatever is cut off, and whenever: the caller hears of it once, the scene stays as it was, the next job works."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

import numpy as np
import pytest
import slicer
from LowLightEnhanceLib import ProcessTree
from LowLightEnhanceLib.Problems import Problem
from LowLightEnhanceLib.Worker import Worker
from slicer_cycles import LONGEST_CANCEL
from slicer_volumes import added, node_ids

OWN_PHASES = ("handing over", "fetching")
"""What the module does itself; it also waits while the worker is "starting", see `slicer_cycles.ROUNDS`."""


class Run:
    """One job, and what is done to it at a phase."""

    def __init__(self, logic, source, phase: str, act) -> None:
        self.outcomes: list = []
        self.phases: list[str] = []
        self.acted, self.took = 0.0, 0.0
        self._phase, self._act, self.job = phase, act, None
        self.job = logic.enhanceAsync(source, self._ended, self._ended, self._tell)
        if phase in self.phases:
            # That was told before there was a job to return.
            self._do()

    def _tell(self, phase: str, done: int, total: int) -> None:
        self.phases.append(phase)
        if phase == self._phase and self.job is not None and not self.acted:
            self._do()

    def _do(self) -> None:
        self.acted = time.perf_counter()
        self._act(self)

    def _ended(self, outcome) -> None:
        self.outcomes.append(outcome)
        self.took = time.perf_counter() - self.acted


@pytest.fixture
def stack(dim):
    """Three slices, so that there is something to count."""
    return np.stack([dim[..., 1], dim[..., 0], dim[::-1, :, 1]])


def kill(process: int) -> None:
    """As from outside, without the module's doing."""
    assert process > 0, "0 would mean everyone"
    os.kill(process, signal.SIGKILL)


def settled(qtbot, run: Run) -> None:
    """Wait for the outcome, and for whatever might still follow it."""
    qtbot.waitUntil(lambda: bool(run.outcomes), timeout=120_000)
    turns: list[int] = []
    import qt

    for delay in (0, 0, 50):
        qt.QTimer.singleShot(delay, lambda: turns.append(1))
    qtbot.waitUntil(lambda: len(turns) == 3)


def test_a_worker_that_is_killed_around_the_network_costs_one_job_and_nothing_else(logic, qtbot, stack):
    """At the other phases it is killed by `slicer_cycles.ROUNDS`."""
    source = added(stack)
    for phase in ("reading", "writing", "fetching"):
        before = node_ids()
        run = Run(logic, source, phase, lambda run: kill(logic.worker.processId))
        settled(qtbot, run)
        assert run.acted, f"{phase} was never told"
        assert len(run.outcomes) == 1, f"{phase}: {run.outcomes}"
        (outcome,) = run.outcomes
        if isinstance(outcome, Problem):
            assert outcome.kind == "worker-ended", f"{phase}: {outcome}"
            assert node_ids() == before
        else:
            # The answer was there before the worker was gone.
            for node in (outcome.output.node.GetDisplayNode(), outcome.output.node):
                slicer.mrmlScene.RemoveNode(node)
        if phase == "reading":
            assert isinstance(outcome, Problem)


@pytest.mark.parametrize("phase", [*OWN_PHASES, "enhancing"])
def test_a_cancel_at_any_phase_returns_at_once(warm_logic, qtbot, stack, phase):
    source = added(stack)
    before = node_ids()
    run = Run(warm_logic, source, phase, lambda run: run.job.cancel())
    settled(qtbot, run)
    (outcome,) = run.outcomes
    assert outcome.kind == "cancelled"
    # One second is for a machine that does nothing else; this one may be shared.
    assert run.took < 10 * LONGEST_CANCEL
    assert node_ids() == before
    assert not warm_logic.busy
    assert warm_logic.enhance(source) is not None


@pytest.mark.parametrize("phase", [*OWN_PHASES, "judging"])
@pytest.mark.parametrize("close", [False, True], ids=["image deleted", "scene closed"])
def test_an_image_that_goes_away_at_any_phase_ends_its_job_alone(warm_logic, qtbot, stack, phase, close):
    source = added(stack)

    def remove(run: Run) -> None:
        slicer.mrmlScene.Clear(False) if close else slicer.mrmlScene.RemoveNode(source)
        run.left = node_ids()

    run = Run(warm_logic, source, phase, remove)
    settled(qtbot, run)
    (outcome,) = run.outcomes
    assert outcome.kind == "removed"
    assert node_ids() == run.left
    assert not warm_logic.busy


def test_an_image_that_cannot_be_handed_over_is_not_blamed_on_the_disk(logic, qtbot, stack):
    source = added(stack)
    run = Run(logic, source, "handing over", lambda run: shutil.rmtree(logic.worker.folder))
    settled(qtbot, run)
    (outcome,) = run.outcomes
    assert "could not be handed over" in outcome.message
    assert "Make room" not in outcome.remedy
    assert "Press Enhance again" in outcome.remedy


def test_a_result_that_cannot_be_fetched_is_not_blamed_on_the_disk(warm_logic, qtbot, stack):
    source = added(stack)
    before = node_ids()

    def lose(run: Run) -> None:
        for path in warm_logic.worker.folder.glob("image-*"):
            path.unlink()

    run = Run(warm_logic, source, "fetching", lose)
    settled(qtbot, run)
    (outcome,) = run.outcomes
    assert "handed over" not in outcome.message
    assert "could not be taken over" in outcome.message
    assert "Make room" not in outcome.remedy
    assert node_ids() == before


def test_a_result_that_finds_no_memory_ends_in_words(warm_logic, qtbot, stack, monkeypatch):
    from LowLightEnhanceLib import Volumes

    def full(picture):
        raise MemoryError

    monkeypatch.setattr(Volumes, "newTarget", full)
    run = Run(warm_logic, added(stack), "", lambda run: None)
    settled(qtbot, run)
    (outcome,) = run.outcomes
    assert outcome.kind == "out-of-memory"
    assert "memory" in outcome.message
    assert outcome.remedy


OTHER = """
import sys
from pathlib import Path
import lowlight.services.worker as worker
worker.PROTOCOL = 2
worker.run_worker(temporary=Path(sys.argv[sys.argv.index("--temporary") + 1]))
"""


def test_a_real_worker_that_speaks_another_protocol_is_refused_and_ended(qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    worker = Worker(command=[sys.executable, "-c", OTHER])
    outcome: list = []
    worker.whenReady(lambda: outcome.append("ready"), outcome.append)
    process = worker.processId
    qtbot.waitUntil(lambda: bool(outcome), timeout=120_000)
    assert outcome[0].kind == "incompatible"
    assert "protocol 2" in outcome[0].message
    assert outcome[0].remedy == "Install the same version of both."
    assert not worker.running
    assert not ProcessTree.runs(process)
    assert list(tmp_path.glob("lowlight*")) == []
