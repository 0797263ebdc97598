"""Files of this user's own, and no others: what lies where one is expected may be anything, and may be anybody's.

Opening a FIFO waits for its other end, a device may act on it, a link leads elsewhere; and whoever owns a file decides
what it says. So it is looked at before it is opened, and once more when it is open. Root's files count as one's own:
root needs no file to harm anybody; root's own dynkv believes root's files alone.
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
    """What lies there is no regular file of this user's; its `strerror` says what it is."""

    def __init__(self, what: str, path: str) -> None:
        super().__init__(errno.EPERM, what, path)


def is_own_uid(uid: int) -> bool:
    """Whether what belongs to this user may be believed, and written."""
    return uid in (os.geteuid(), 0)


def is_own_peer(connection: socket.socket) -> bool:
    """Whether whoever is at the other end of a Unix socket is this user, or root. Source: unix(7), SO_PEERCRED."""
    credentials = struct.Struct("iII")  # pid, uid, gid
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return is_own_uid(int(credentials.unpack(found)[1]))


def open_own(path: str | os.PathLike[str], flags: int, mode: int = 0o600) -> int:
    """A descriptor of a regular file; raises NotOwn for anything else, and never waits. Other failures are OSError.

    With O_CREAT what is not there is made. The descriptor closes on exec.
    """
    where = os.fspath(path)
    _check_if_there(where)
    fd = os.open(where, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    try:
        _check(os.fstat(fd), where)
        os.set_blocking(fd, True)  # whoever inherits it expects no other
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_own(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """All of it; raises NotOwn, and OSError also where it is longer than that, however fast it grows."""
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
    """Put a new file in the place of whatever lies there, so that no reader sees a part of it; how it is then.

    `draft` is a path on the same disk, and what lies there is removed. Raises OSError, for a directory too.
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
    """What lies there, in words, if that is no regular file of this user's; empty if it is, or there is nothing."""
    try:
        _check_if_there(path)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def put_aside(path: Path) -> Path | None:
    """Move what is no regular file of this user's out of the way, whatever it is: where to, or None where there was
    nothing of the kind. Raises OSError."""
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
