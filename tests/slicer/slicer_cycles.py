"""Rounds of enhance, cancel and kill, and what they might leave behind: for the tests and for the soak run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from slicer_volumes import node_ids

ROUNDS = (
    ("starting", "cancel"),
    ("enhancing", "cancel"),
    ("enhancing", "kill"),
    ("handing over", "cancel"),
    ("", ""),
    ("judging", "kill"),
    ("handing over", "kill"),
    ("judging", "cancel"),
    ("starting", "kill"),
    ("", ""),
)
"""At which phase what is done; last of all, and in between, a job is left to finish."""

LONGEST_CANCEL = 1.0
"""Seconds from a cancel to its end, on a machine that does nothing else."""

Wait = Callable[[Callable[[], bool], int], object]
"""Keeps the event loop going until a condition holds, for so many seconds at most."""


def leftovers(temporary: Path) -> tuple[set[int], set[str], set[str]]:
    """Child processes that live, what lies in the temporary folder, nodes of the scene."""
    children = {c.pid for c in psutil.Process().children(recursive=True) if c.status() != psutil.STATUS_ZOMBIE}
    return children, {path.name for path in temporary.iterdir() if path.name.startswith("lowlight")}, node_ids()


def cycle(rounds: int, source, wait: Wait) -> list[float]:
    """In turns, as `ROUNDS` says: cancel, kill the worker from outside, let it finish.

    Returns:
        The seconds from each cancel to its end.
    """
    import LowLightEnhance
    import slicer
    from LowLightEnhanceLib.Problems import Problem

    logic, times = LowLightEnhance.LowLightEnhanceLogic(), []
    try:
        for number in range(rounds):
            before, ended, phases = node_ids(), [], []
            job = logic.enhanceAsync(
                source, ended.append, ended.append, lambda phase, *_, phases=phases: phases.append(phase), force=True
            )
            until, act = ROUNDS[number % len(ROUNDS)]
            if until:
                wait(lambda until=until, phases=phases, ended=ended: until in phases or bool(ended), 60)
            cancelled, asked = False, time.perf_counter()
            if act == "kill" and not ended:
                assert logic.worker.processId > 0, "0 would mean everyone"
                os.kill(logic.worker.processId, signal.SIGKILL)
            elif act == "cancel":
                cancelled = not ended
                job.cancel()
            wait(lambda ended=ended: bool(ended), 60)
            if cancelled:
                times.append(time.perf_counter() - asked)
            outcome = ended[0]
            if isinstance(outcome, Problem):
                assert outcome.kind in ("cancelled", "worker-ended"), str(outcome)
                assert node_ids() == before
            else:
                for node in (outcome.output.node.GetDisplayNode(), outcome.output.node):
                    slicer.mrmlScene.RemoveNode(node)
    finally:
        logic.close()
    return times
