"""The private folder through which arrays go, and what is left of those of dead workers."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lowlight.errors import OutputError
from lowlight.services.failures import bad_request

PREFIX = "lowlight-worker-"
_LOCK = "lock"
_YOUNG = 60  # seconds
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


class PrivateFolder:
    """A folder that only this user may look into, locked as long as this process lives.

    Args:
        parent: where it is made; None: where the system keeps temporary files. Folders that workers of this user left
            there when they were killed are removed.

    Attributes:
        path: the folder.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, parent: Path | None = None) -> None:
        base = Path(parent if parent is not None else tempfile.gettempdir())
        try:
            sweep(base)
            self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
            self._lock = (self.path / _LOCK).open("wb")
            _lock(self._lock)
        except OSError as error:
            fault = f"no folder for temporary files can be made here ({error.strerror or error})"
            raise OutputError(base, fault, "free some space, or name another with --temporary") from error
        self._serial = itertools.count(1)

    def take(self, name: str, what: str) -> NDArray[Any]:
        """Read an array that the client left, and remove its file.

        Args:
            name: of the file, without a folder.
            what: the array is called so in messages.

        Raises:
            Failure: not a name, no such file, or not the array that it says to be.
            MemoryError: it does not fit into memory.
        """
        if not _NAME.fullmatch(name) or name == _LOCK:
            raise bad_request(
                f"The {what} is not named as a file in the private folder.", "Name it without a folder, in letters."
            )
        path = self.path / name
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise bad_request(f"The {what} is not a plain file.")
            with path.open("rb") as stream:
                _check_length(stream, status.st_size)
                array = np.load(stream, allow_pickle=False)
        except FileNotFoundError:
            raise bad_request(f"There is no file for the {what} in the private folder.") from None
        except (ValueError, EOFError, TypeError, SyntaxError, OSError):
            raise bad_request(f"The file for the {what} is not a whole .npy file of numbers.") from None
        with suppress(OSError):
            path.unlink()
        return array

    def give(self, array: NDArray[Any], what: str) -> str:
        """Write an array for the client, and return the name of its file.

        Raises:
            OSError: it cannot be written; nothing of it is left.
        """
        name = f"{what}-{next(self._serial)}.npy"
        path = self.path / name
        try:
            with path.open("xb") as stream:
                contiguous = np.ascontiguousarray(array).reshape(array.shape)
                np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(contiguous))
                # Not by NumPy, which does not tell why a write fell short.
                stream.write(contiguous.reshape(-1).view(np.uint8).data)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
        return name

    def discard(self, names: list[str]) -> None:
        """Remove files that were given and are not wanted any more."""
        for name in names:
            with suppress(OSError):
                (self.path / name).unlink()

    def remove(self) -> None:
        """Remove the folder with all that is left in it."""
        with suppress(OSError):
            self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def sweep(base: Path) -> None:
    """Remove the folders of workers of this user that do not run any more."""
    with suppress(OSError):
        for path in list(base.glob(f"{PREFIX}*")):
            with suppress(OSError):
                if _is_abandoned(path):
                    shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: Path) -> bool:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
        return False
    try:
        # Not created here: that would make the folder of another look young.
        with (path / _LOCK).open("rb+") as lock:
            return _lock(lock)
    except FileNotFoundError:
        # Its worker may be about to lock it.
        return time.time() - status.st_mtime > _YOUNG


def _lock(stream: IO[bytes]) -> bool:
    """Lock a file until it is closed, or its process ends in whatever way; False if another process has done so."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _check_length(stream: IO[bytes], size: int) -> None:
    """Refuse a header that speaks of more than there is, before memory is taken for it."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(version)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    count = 1
    for length in shape:
        count *= int(length)
    if dtype.hasobject or min(shape, default=1) < 0 or stream.tell() + count * dtype.itemsize != size:
        raise ValueError(shape)
    stream.seek(0)
