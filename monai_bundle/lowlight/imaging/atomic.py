"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lowlight.errors import OutputError

_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another folder"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another folder"),
    errno.EFBIG: ("the file would be larger than this disk or account allows", "choose another folder"),
    errno.EACCES: ("the folder may not be written to", "choose another folder or change its permissions"),
    errno.EPERM: ("the folder may not be written to", "choose another folder or change its permissions"),
    errno.EROFS: ("the disk is read-only", "choose another folder"),
    errno.ENOTDIR: ("a part of this path is a file, not a folder", "choose another folder"),
    errno.EEXIST: ("a part of this path is a file, not a folder", "choose another folder"),
    errno.EISDIR: ("is a folder", "choose a file name"),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "choose a shorter one"),
}


def sweep(folder: Path) -> None:
    """Remove the temporary files that processes of this machine left here when they were killed.

    Those of processes that still run stay, and so do those of other machines that share the folder.
    """
    with suppress(OSError):
        for path in list(folder.glob(f".*.{_machine()}-*.part*")):
            owner = path.name.split(".")[2].partition("-")[2]
            if owner.isdigit() and not _is_running(int(owner)):
                with suppress(OSError):
                    path.unlink()


def _machine() -> str:
    """This machine in eight letters; its name itself is nobody's business."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_running(process: int) -> bool:
    if os.name == "nt":
        # There, signal 0 would end it. A file that is in use cannot be removed anyway.
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def atomic_path(
    target: str | Path, source: str | Path | None = None, ready: Callable[[Path], None] | None = None
) -> Iterator[Path]:
    """Write a file so that it appears under its name whole or not at all.

    Yields the path of a hidden temporary file in the folder of ``target`` (created if need be), with the same suffix.
    When the block ends, the temporary file is flushed to disk and renamed to ``target``, replacing an earlier file of
    that name. When the block fails or is interrupted, it is removed and ``target`` is as it was.

    Args:
        target: the file to write.
        source: the input this is made from, which must not be overwritten, be it by another name or link.
        ready: called with the temporary file once it is whole and on disk, just before it gets its name.

    Raises:
        OutputError: ``target`` is the source or a folder, or an `OSError` said that it cannot be written.
    """
    target = Path(target)
    try:
        if target.is_dir():
            raise OutputError(target, "is a folder", "choose a file name")
        if source is not None and is_same_file(target, Path(source)):
            raise OutputError(target, "is the input itself, which is never changed", "choose another name or folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _create_beside(target)
    except OSError as error:
        raise _output_error(target, error) from None
    try:
        yield temporary
        _flush_to_disk(temporary)
        if ready is not None:
            ready(temporary)
        temporary.replace(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise _output_error(target, error if error.errno else _reason(temporary) or error) from error
    finally:
        # Runs for KeyboardInterrupt too. After the rename there is nothing left under this name.
        with suppress(OSError):
            temporary.unlink()


def is_same_file(one: Path, other: Path) -> bool:
    """True if both names lead to one file: by the same path, a symbolic link or a hard link."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _create_beside(target: Path) -> Path:
    # The name is hidden, so that a folder walk leaves it out; the suffix stays last, for writers that look at it. The
    # stem is left out of it, because a name as long as the disk allows has no room for more.
    suffix = "".join(target.suffixes[-2:]) if target.name.lower().endswith(".nii.gz") else target.suffix
    temporary = target.with_name(f".{secrets.token_hex(8)}.{_machine()}-{os.getpid()}.part{suffix}")
    # Not tempfile: its files can be read by their owner alone, and results should follow the umask.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where folders can be flushed (not on Windows, nor on some shares)."""
    if os.name == "nt":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(temporary: Path) -> OSError | None:
    """Why a write fell short: NumPy says how much it wrote, not why it stopped. One more attempt meets the reason."""
    try:
        with temporary.open("ab") as stream:
            stream.write(bytes(2**20))
    except OSError as error:
        return error
    return None


def _output_error(target: Path, error: OSError) -> OutputError:
    fault, remedy = _REMEDIES.get(
        error.errno or 0, (f"cannot be written ({error.strerror or error})", "choose another folder")
    )
    return OutputError(target, fault, remedy)
