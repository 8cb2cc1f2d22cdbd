"""As many threads as the user allows, and the same image with any number."""

from __future__ import annotations

import os

import numpy as np
import pytest
from skimage import data

from lowlight import Enhancer
from lowlight.enhance.threads import allowed_threads, named_threads


@pytest.mark.parametrize(("said", "named"), [("3", 3), ("0", None), ("", None), ("two", None), ("-1", None)])
def test_threads_are_those_that_the_environment_names(
    said: str, named: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert named_threads() == named
    assert allowed_threads() == (named or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else named)


@pytest.mark.parametrize("colour", [True, False])
def test_a_blend_is_the_same_in_any_number_of_threads(colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # Large enough to be done in blocks by several.
    image = (data.retina()[:900, :1000] if colour else np.tile(data.camera(), (2, 2))) // 4
    result = Enhancer(device="cpu", size="fast")(image, force=True)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append((result.blend(), result.blend(0.7, 0.4)))
    for one, three in zip(*found, strict=True):
        assert np.array_equal(one, three)
