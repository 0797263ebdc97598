"""Locks on files in DYNKV_HOME: each ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dynkv.errors import PreflightRefused
from dynkv.owned import NotOwn, open_own


def take_lock(path: Path) -> int | None:
    """A descriptor with the lock, which lasts until the process ends; None if another process holds the lock.

    Raises PreflightRefused if no lock is possible: the path is not a file of this user, or the disk has no locks.
    """
    fd = _opened(path)
    is_taken = False
    try:
        is_taken = try_lock(fd, path)
    finally:
        if not is_taken:
            os.close(fd)
    return fd if is_taken else None


def is_at(path: Path, lock: int) -> bool:
    """Whether the file that this descriptor locks is still there, so that others find it locked. Raises OSError."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    held = os.fstat(lock)
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


@contextmanager
def planning(home_dir: Path) -> Iterator[None]:
    """Let one `up` plan at a time, so that two never choose the same port. Raises PreflightRefused as take_lock()
    does."""
    path = home_dir / "_planning.lock"
    fd = _opened(path)
    try:
        _lock(fd, fcntl.LOCK_EX, path)
        yield
    finally:
        os.close(fd)


def _opened(path: Path) -> int:
    try:
        return open_own(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        hint = "remove it: dynkv makes a new one" if isinstance(error, NotOwn) else ""
        raise PreflightRefused(f"cannot take this lock: {error.strerror}", where=str(path), hint=hint) from None


def try_lock(fd: int, path: Path) -> bool:
    """Lock a file that was opened for writing, as NFS requires. Raises PreflightRefused if the disk has no locks."""
    return _lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, path)


def _lock(fd: int, how: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        return False
    except OSError as error:  # ENOLCK, ENOSYS or EOPNOTSUPP, from some network file systems
        raise PreflightRefused(
            f"files on this disk cannot be locked: {error.strerror}",
            where=str(path),
            hint="set DYNKV_HOME to a directory on a disk of this host",
        ) from None
    return True
