"""A process alone, and one that should not be. Several together are tested with the bundle."""

from __future__ import annotations

import pytest
import torch

from lowlight.errors import LowLightError
from lowlight.training.processes import is_first, join_processes, leave_processes, own_device


def test_a_process_alone_reports_and_saves() -> None:
    assert is_first()
    leave_processes()
    assert is_first()


def test_a_process_takes_the_gpu_that_it_was_given_or_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert own_device() == (torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu"))


def test_a_process_that_torchrun_did_not_start_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(LowLightError, match="start it with torchrun"):
        join_processes()
