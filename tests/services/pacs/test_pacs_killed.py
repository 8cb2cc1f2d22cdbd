"""Killed at any step, a worker loses nothing, and the next one makes nothing twice."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path

import orthanc
from pacs_killing import STEPS, work_until
from pacs_runs import assert_one_result_each, by_state, clip, finished, push, radiograph, rules_file

from lowlight import Enhancer
from lowlight.services.pacs.queue import Queue
from lowlight.services.pacs.rules import load


def test_a_worker_killed_at_any_step_loses_and_doubles_nothing(tmp_path: Path, enhancer: Enhancer) -> None:
    # Forked from a process that has all libraries and no threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pacs_killing"])
    with orthanc.running(tmp_path) as archive:
        path = rules_file(tmp_path, archive)
        for number, step in enumerate(STEPS):
            # Only what shares a tone with others has one that is kept.
            push(archive, clip(2, number) if step == "tone decided" else [radiograph(number)])
            child = context.Process(target=work_until, args=(step, path))
            child.start()
            child.join(120)
            assert child.exitcode == -signal.SIGKILL, step
        rows = finished(path, enhancer)
        assert by_state(rows)["verified"] == len(STEPS) + 1
        assert_one_result_each(archive, rows, tmp_path)
    queue = Queue(load(path).folder)
    assert queue.check() == "ok"
    queue.close()
