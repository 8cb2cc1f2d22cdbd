"""Several processes that train one network together, one a GPU (or on CPUs), as torchrun starts them."""

from __future__ import annotations

import logging
import os

import ignite.distributed
import torch
from torch import distributed

from lowlight.errors import LowLightError


def own_device() -> torch.device:
    """The GPU that torchrun gave to this process, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def is_first() -> bool:
    """Whether this is the process that reports and saves; a process alone is."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def join_processes() -> None:
    """Form the group of the processes that torchrun started; every one of them calls this before anything else.

    Only the first process keeps logging what is not a warning.

    Raises:
        LowLightError: this process was not started by torchrun.
    """
    if not distributed.is_initialized():
        if "RANK" not in os.environ:
            raise LowLightError("multi_gpu_train.yaml: this process is alone; start it with torchrun, or leave it out")
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(own_device())
    # ignite asks all processes about the group when it first meets it. Asked on one alone (in a handler that only saves
    # there, say), that one would wait for the others for ever.
    ignite.distributed.get_world_size()
    if not is_first():
        logging.disable(logging.INFO)


def leave_processes() -> None:
    """Dissolve the group at the end of the run, when the last of its processes has come to it."""
    if distributed.is_initialized():
        # One that goes while the first still saves pulls its connections away from under the other's threads.
        distributed.barrier()
        distributed.destroy_process_group()
