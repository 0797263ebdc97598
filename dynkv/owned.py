"""Access to files that this user owns, and to no others: where a file is expected, anyone may have put anything.

Opening a FIFO waits for its other end, opening a device may act on it, a link leads elsewhere, and the owner of a file
decides what it says. So the path is checked before it is opened, and again when it is open. Files of root count as
one's own, since root needs no file to do harm; dynkv run by root trusts only root's files.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path

_READ_BYTES = 1024 * 1024
_ASIDE_MAX = 100
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a directory",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


class NotOwn(OSError):
    """The path is not a regular file of this user; `strerror` says what it is."""

    def __init__(self, what: str, path: str) -> None:
        super().__init__(errno.EPERM, what, path)


def is_own_uid(uid: int) -> bool:
    """Whether this user may trust and write to what the uid owns."""
    return uid in (os.geteuid(), 0)


def is_own_peer(connection: socket.socket) -> bool:
    """Whether the peer of a Unix socket is this user or root. Source: unix(7), SO_PEERCRED."""
    credentials = struct.Struct("iII")  # pid, uid, gid
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return is_own_uid(int(credentials.unpack(found)[1]))


def open_own(path: str | os.PathLike[str], flags: int, mode: int = 0o600) -> int:
    """Open a regular file; raises NotOwn for anything else and never blocks. Other failures are OSError.

    O_CREAT makes a missing file. The descriptor closes on exec.
    """
    where = os.fspath(path)
    _check_if_there(where)
    fd = os.open(where, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    try:
        _check(os.fstat(fd), where)
        os.set_blocking(fd, True)  # processes that inherit it expect nothing else
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_own(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """The whole content. Raises NotOwn, and OSError also if it is longer than `max_bytes`, even if it grows
    meanwhile."""
    fd = open_own(path, os.O_RDONLY)
    try:
        parts, left = [], max_bytes + 1
        while left > 0 and (part := os.read(fd, min(left, _READ_BYTES))):
            parts.append(part)
            left -= len(part)
    finally:
        os.close(fd)
    if left <= 0:
        raise OSError(errno.EFBIG, f"it is longer than {max_bytes} bytes", os.fspath(path))
    return b"".join(parts)


def write_whole(path: Path, content: bytes, draft: Path) -> os.stat_result:
    """Replace whatever is at `path` by a new file, so that no reader sees part of it; returns its status.

    `draft` is a path on the same disk; a file there is removed. Raises OSError, also if `path` is a directory.
    """
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        draft.replace(path)
        return os.fstat(fd)
    finally:
        os.close(fd)


def not_own(path: Path) -> str:
    """What is at the path, in words, if not a regular file of this user; empty if it is one, or nothing is there."""
    try:
        _check_if_there(path)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def put_aside(path: Path) -> Path | None:
    """Move anything but a regular file of this user out of the way; returns where to, or None if nothing was to be
    moved. Raises OSError."""
    if not not_own(path):
        return None
    names = (path.with_name(f"{path.name}.aside{number or ''}") for number in range(_ASIDE_MAX))
    free = next((name for name in names if not os.path.lexists(name)), None)
    if free is None:
        raise NotOwn(f"{not_own(path)}, and there are {_ASIDE_MAX} put aside already", str(path))
    path.rename(free)
    return free


def _check_if_there(path: str | os.PathLike[str]) -> None:
    with suppress(FileNotFoundError):
        _check(os.lstat(path), os.fspath(path))


def _check(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotOwn(f"it is {_KINDS.get(stat.S_IFMT(found.st_mode), 'no file')}", path)
    if not is_own_uid(found.st_uid):
        raise NotOwn(f"it belongs to uid {found.st_uid}", path)
