"""Log files that children write to directly, so that a dead supervisor never breaks their output."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dynkv.owned import open_own

_TAIL_BYTES = 64 * 1024


def open_log(path: Path) -> int:
    """A descriptor for a child's stdout and stderr, with O_APPEND, so that truncation from outside is safe.

    If there can be no file of this user, for example on a full disk, the output is dropped: serving matters more than
    logs.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def size_of(path: Path) -> int:
    """Size in bytes; 0 if it does not exist or is not a file."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def rotate(path: Path, max_bytes: int, keep: int) -> bool:
    """Copy the last `max_bytes` of a longer log to `path.1` and truncate it; whether it was longer.

    Older copies move up to `path.<keep>`. Lines written between copy and truncation are lost: the child holds the file
    open, so it cannot be renamed. Raises OSError if the copy fails; the log is truncated anyway, since a full disk
    would end more than a log. A log that may not be truncated is left alone, and so are its copies: PermissionError.
    """
    if size_of(path) <= max_bytes:
        return False
    log = open_own(path, os.O_RDWR)
    try:
        for number in range(_copies(path, keep - 1), 0, -1):
            _copy_of(path, number).replace(_copy_of(path, number + 1))
        if keep > 0:
            _copy_end(log, _copy_of(path, 1), max_bytes)
    finally:
        os.ftruncate(log, 0)
        os.close(log)
    return True


def _copies(path: Path, most: int) -> int:
    """The number of consecutive copies, up to `most`, which may be any number."""
    number = 0
    while number < most and _copy_of(path, number + 1).exists():
        number += 1
    return number


def _copy_end(log: int, copy: Path, max_bytes: int) -> None:
    """Copy as many whole lines as fit, unless they are very long, without passing them through this process."""
    out = open_own(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        end = os.fstat(log).st_size
        at = max(0, end - max_bytes)
        if at > 0:
            at += max(0, os.pread(log, min(_TAIL_BYTES, end - at + 1), at - 1).find(b"\n"))
        while at < end and (sent := os.sendfile(out, log, at, end - at)):
            at += sent
    finally:
        os.close(out)


def _copy_of(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def copies_of(path: Path) -> list[Path]:
    """The copies that rotation has kept of a log, the newest first."""
    found: list[Path] = []
    while os.path.isfile(copy := _copy_of(path, len(found) + 1)):
        found.append(copy)
    return found


def tail(path: Path, lines: int, since_byte: int = 0) -> list[str]:
    """The last lines of a log, from `since_byte` on; empty if there is no such file."""
    try:
        with os.fdopen(open_own(path, os.O_RDONLY), "rb") as log:
            end = log.seek(0, os.SEEK_END)
            start = max(end - _TAIL_BYTES, since_byte if since_byte <= end else 0)
            log.seek(start)
            text = log.read(_TAIL_BYTES).decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]
