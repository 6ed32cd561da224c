"""What a process uses is held until the process ends, so that pruning passes over it.

A hold is a shared lock of the kernel on one byte of a file, at a place that the name decides: it
goes with its process however that ends, and any number of holds take one open file. It reaches as
far as the file system's record locks do: other machines too on NFS with its lock service, but not
on one that is mounted with `nolock` or `local_lock`.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

_files: dict[Path, int] = {}
"""Closing any descriptor of a file gives up all its locks: a process opens each once, for good."""
_opening = Lock()


def hold(file: Path, name: str) -> None:
    """Hold a name until this process ends; waits while another one removes what it stands for.

    file: where the holds of a home are, one folder below it; where there is no home, and where
    this process may not even read it, there is nothing to hold.
    """
    descriptor = _open(file)
    if descriptor is not None:
        fcntl.lockf(descriptor, fcntl.LOCK_SH, 1, _place(name))


@contextmanager
def seized(file: Path, name: str) -> Iterator[bool]:
    """Whether no other process holds a name; while the body runs, none can begin to.

    Raises OSError where this process may only read.
    """
    descriptor = _open(file)
    if descriptor is None:
        yield True
        return
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(name))
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: POSIX allows both
        yield False
        return
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file)) from error
    try:
        yield True
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _place(name))


def _place(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 2  # fits in an off_t


def _open(file: Path) -> int | None:
    with _opening:
        if (known := _files.get(file)) is not None and os.fstat(known).st_nlink:
            return known
        for mode in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):  # to share it, reading is enough
            try:
                file.parent.mkdir(exist_ok=True)
                _files[file] = os.open(file, mode | os.O_CLOEXEC, 0o666)
            except OSError:
                continue
            return _files[file]
    return None
