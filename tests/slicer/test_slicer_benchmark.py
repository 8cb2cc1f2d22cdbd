"""benchmarks/slicer_time.py says of its figures what they are worth, and fails where a bound is missed widely."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "slicer_time.py"


@pytest.fixture(scope="module")
def benchmark():
    path = list(sys.path)
    # As it is when the script is run: its folder comes first.
    sys.path.insert(0, str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("slicer_time", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["slicer_time"] = module
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


@pytest.mark.parametrize(
    ("value", "ends", "says"),
    [
        (60, 0, "kept"),
        (61, 0, "missed: "),
        (120, 0, "missed: "),
        (121, 1, "missed by a wide margin"),
        (float("nan"), 1, "missed by a wide margin"),
    ],
)
def test_a_bound_that_is_missed_by_twice_ends_the_run_with_one(benchmark, capsys, value, ends, says):
    figures = [benchmark.Figure("slider", value, 60, "ms"), benchmark.Figure("cancel", 0.2, 1, "s")]
    assert benchmark.verdict(figures) == ends
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(says)
    assert told[1] == "kept: cancel: 0.2 s, at most 1"


@pytest.mark.parametrize(("worked", "ends"), [(46, 0), (61, 1)])
def test_waiting_for_a_processor_that_others_hold_is_not_the_modules_fault(benchmark, capsys, worked, ends):
    assert benchmark.verdict([benchmark.Figure("slider", 188, 60, "ms", worked)]) == ends
    told = capsys.readouterr().out
    assert ("of it 46 ms work" in told) == (ends == 0)
