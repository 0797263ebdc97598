"""Files that others write, mainly those of /proc: read completely, even by a process with no descriptor left."""

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
"""Where to stop reading: no caller needs more of these files."""
_STANDARD_STREAMS = 2
_TRIES, _PAUSE_S = 20, 0.001


def read_file(path: str, max_bytes: int = _MAX_BYTES) -> bytes:
    """The whole content, or its beginning if it is longer. Raises OSError.

    One read is not enough: for many files in /proc the kernel returns at most a page, whatever the buffer (measured,
    Linux 6.18: of the pids of 1200 children 819). Source: fs/seq_file.c, seq_read_iter.
    """
    return with_descriptor(lambda: _read(path, os.O_RDONLY, max_bytes))


def read_regular_file(path: str, max_bytes: int = _MAX_BYTES) -> bytes:
    """The same as read_file(), except that anything but a file, such as a directory or a FIFO, raises without
    waiting."""
    return with_descriptor(lambda: _read(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, max_bytes))


def names_in(directory: str) -> list[str]:
    """Names of everything in it; empty if it cannot be listed."""
    try:
        return with_descriptor(lambda: os.listdir(directory))  # noqa: PTH208 (names alone)
    except OSError:
        return []


def _read(path: str, flags: int, max_bytes: int) -> bytes:
    """Read with one system call for each step: a large host has thousands, and pathlib takes twice as long."""
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
    """The result of `work`, which needs one descriptor for a moment: a spare one if there is no other.

    A supervisor that can no longer look at its processes would take them for dead.
    """
    try:
        return work()
    except OSError as error:
        if not _is_none_left(error):
            raise
    with _SPARE:
        for _ in range(_TRIES):
            with suppress(_NoneLeft):
                return _tried(work)
            time.sleep(_PAUSE_S)  # another thread has it, also for a moment only
        return work()


class _NoneLeft(Exception):
    """This process, or the host, has as many files open as allowed."""


def _tried(work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        if _is_none_left(error):
            raise _NoneLeft from error
        raise


def _is_none_left(error: OSError) -> bool:
    return error.errno in (errno.EMFILE, errno.ENFILE)


class _Spare:
    """A descriptor kept in reserve; one thread borrows it at a time."""

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
        """Reserve a descriptor, unless another thread has just done so."""
        with suppress(OSError):
            fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            if fd <= _STANDARD_STREAMS:  # a closed standard stream is not ours to use
                low, fd = fd, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _STANDARD_STREAMS + 1)
                os.close(low)
            self._fd = fd


_SPARE = _Spare()
