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

    Raises PreflightRefused where there can be no lock: something else lies there.
    """
    fd = _opened(path)
    if try_lock(fd):
        return fd
    os.close(fd)
    return None


@contextmanager
def planning(home_dir: Path) -> Iterator[None]:
    """One `up` plans at a time, so that two never choose the same port. Raises PreflightRefused as take_lock() does."""
    fd = _opened(home_dir / "_planning.lock")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _opened(path: Path) -> int:
    try:
        return open_own(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        hint = "remove it: it is made again" if isinstance(error, NotOwn) else ""
        raise PreflightRefused(f"this lock cannot be taken: {error.strerror}", where=str(path), hint=hint) from None


def try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
