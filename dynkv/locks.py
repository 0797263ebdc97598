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
    """A locked descriptor, which ends with the process that holds it; None if another process holds it.

    Raises PreflightRefused where there can be no lock: something else lies there, or the disk knows none.
    """
    fd = _opened(path)
    is_taken = False
    try:
        is_taken = try_lock(fd, path)
    finally:
        if not is_taken:
            os.close(fd)
    return fd if is_taken else None


@contextmanager
def planning(home_dir: Path) -> Iterator[None]:
    """One `up` plans at a time, so that two never choose the same port. Raises PreflightRefused as take_lock() does."""
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
        hint = "remove it: it is made again" if isinstance(error, NotOwn) else ""
        raise PreflightRefused(f"this lock cannot be taken: {error.strerror}", where=str(path), hint=hint) from None


def try_lock(fd: int, path: Path) -> bool:
    """Of a file that was opened for writing, as NFS wants it. Raises PreflightRefused where the disk knows no locks."""
    return _lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, path)


def _lock(fd: int, how: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        return False
    except OSError as error:  # ENOLCK, ENOSYS or EOPNOTSUPP, of some that are reached through a network
        raise PreflightRefused(
            f"no file can be locked on this disk: {error.strerror}",
            where=str(path),
            hint="set DYNKV_HOME to a directory on a disk of this host",
        ) from None
    return True
