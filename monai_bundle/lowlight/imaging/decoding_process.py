"""What runs in the process that `lowlight.imaging.isolation` starts: tasks on stdin, answers on stdout."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import signal
import sys
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from lowlight.errors import InputError
from lowlight.imaging import dicom_decoding
from lowlight.imaging.limits import WAITING, Limits
from lowlight.imaging.packing import packed
from lowlight.imaging.process_limits import limit_crashes, limit_memory, limit_time

_GRACE = 5  # seconds


def main() -> None:
    """Serve until stdin ends."""
    # Whatever a library prints must not get between the answers; what it warns of would name values of the file.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # Ctrl-C reaches the whole group; whoever started this process ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_crashes()
    pickle.dump("ready", answers)
    answers.flush()
    while True:
        try:
            task, path, limits, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        seconds = limits.seconds_for(path)
        if hasattr(signal, "alarm"):
            # Whoever keeps the time may have been killed.
            signal.alarm(WAITING * seconds + _GRACE)
        limit_time(seconds)
        limit_memory(limits.memory)
        _do(answers, task, path, limits, arguments)
        answers.flush()
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def _do(answers: IO[bytes], task: str, path: Path, limits: Limits, arguments: tuple[Any, ...]) -> None:
    try:
        _send(answers, getattr(dicom_decoding, task)(path, limits, *arguments))
    except MemoryError:
        pickle.dump(("memory", None), answers)
    except InputError as error:
        pickle.dump((type(error).__name__, (error.fault, error.remedy)), answers)
    except PermissionError:
        pickle.dump(("InputError", ("may not be read", "check its permissions")), answers)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            pickle.dump(("memory", None), answers)
            return
        pickle.dump(("InputError", (f"cannot be read ({error.strerror})", "check the disk or share")), answers)
    except Exception as error:
        # Parsers raise anything on damaged bytes, and their messages quote the file: only the type is told.
        fault = f"is damaged or incomplete ({type(error).__name__})"
        pickle.dump(("InputError", (fault, "export it again from where it came")), answers)


def _send(answers: IO[bytes], result: Any) -> None:
    if not isinstance(result, dicom_decoding.Decoded):
        pickle.dump(("done", result), answers)
        return
    stored = np.ascontiguousarray(result.stored)
    rest = {"dataset": result.dataset, "quantisation": result.quantisation, "encoded": result.encoded}
    # Whole before any of it is sent: what cannot be packed must not leave half an answer.
    answers.write(packed(("pixels", (stored.dtype.str, stored.shape, rest))))
    answers.write(stored.reshape(-1).view(np.uint8).data)


if __name__ == "__main__":
    main()
