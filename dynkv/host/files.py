"""Files that others write, those of /proc first: read to their end, also by a process with no descriptor left."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import TypeVar

T = TypeVar("T")
_PIECE_BYTES = 64 * 1024
_MAX_BYTES = 64 * 1024**2
"""Where reading stops: of what the files here tell, no more is wanted."""
_STANDARD_STREAMS = 2
_TRIES, _PAUSE_S = 20, 0.001


def read_file(path: str, max_bytes: int = _MAX_BYTES) -> bytes:
    """All of it, or its beginning where it is longer; raises OSError.

    One read is not enough: of many files in /proc the kernel gives a page at most, whatever the reader has room for
    (measured, Linux 6.18: of the pids of 1200 children 819). Source: fs/seq_file.c, seq_read_iter.
    """
    return with_descriptor(lambda: _read(path, os.O_RDONLY, max_bytes))


def read_regular_file(path: str, max_bytes: int = _MAX_BYTES) -> bytes:
    """As read_file(); but what is there instead of a file, as a directory or a FIFO, raises and is not waited for."""
    return with_descriptor(lambda: _read(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, max_bytes))


def names_in(directory: str) -> list[str]:
    """Of all that is in it; empty where it cannot be listed."""
    try:
        return with_descriptor(lambda: os.listdir(directory))  # noqa: PTH208 (names alone)
    except OSError:
        return []


def _read(path: str, flags: int, max_bytes: int) -> bytes:
    """With one system call for each step: thousands are read on a large host, and pathlib takes twice as long."""
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        if flags & os.O_NONBLOCK and not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        parts, left = [], max_bytes
        while left > 0 and (part := os.read(fd, min(left, _PIECE_BYTES))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def with_descriptor(work: Callable[[], T]) -> T:
    """What `work` returns, which needs one descriptor for a moment: the spare one where there is no other.

    A supervisor that cannot look at its processes any more would take them for dead.
    """
    with suppress(_NoneLeft):
        return _tried(work)
    with _SPARE:
        for _ in range(_TRIES):
            with suppress(_NoneLeft):
                return _tried(work)
            time.sleep(_PAUSE_S)  # another thread has it, for a moment as well
        return work()


class _NoneLeft(Exception):
    """This process, or the host, has as many files open as it may."""


def _tried(work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise _NoneLeft from error
        raise


class _Spare:
    """A descriptor that is kept for when there is no other; one borrows it at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._fd: int | None = None
        self._keep()

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __exit__(self, *_: object) -> None:
        self._keep()
        self._lock.release()

    def _keep(self) -> None:
        """Nothing where somebody was faster: whoever borrows next finds what has become free meanwhile."""
        with suppress(OSError):
            fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            if fd <= _STANDARD_STREAMS:  # one that is closed is no room of ours
                low, fd = fd, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _STANDARD_STREAMS + 1)
                os.close(low)
            self._fd = fd


_SPARE = _Spare()
