"""Short ways to a directory whose path is too long for sockets, of which unix(7) takes 107 bytes.

One's own programs reach a socket through its opened directory. For others there is `HOLDER/d`, a symbolic link to the
directory. HOLDER is a directory of this user's alone, with a random name in one of the host's temporary directories:
nobody can have made it first. It is noted in the directory itself, so that everybody finds the same one, whatever their
login; and what somebody has removed of it is made again.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dynkv.owned import read_own, write_whole

ADDRESS_MAX = 107
_PARENTS = ("/tmp", "/var/tmp", "/dev/shm")
_PREFIX, _LINK, _NOTE = "dynkv-", "d", "shortcut"
_NOTE_MAX_BYTES = 100
_NAME_PATTERN = rf"{_PREFIX}[a-z0-9_]{{8}}"
_FRESH_S = 3600.0
"""Cleaners of temporary directories go by age, and count in days. Source: tmpfiles.d(5), "Age"."""
_OWN_DESCRIPTORS = "/proc/self/fd"
_SHARED, _OTHERS = stat.S_IWGRP | stat.S_IWOTH, stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def address(path: str | os.PathLike[str]) -> Iterator[str]:
    """The same socket by a path that can be bound and connected to, for as long as the block lasts. Raises OSError."""
    whole = os.fspath(path)
    if len(os.fsencode(whole)) <= ADDRESS_MAX:
        yield whole
        return
    directory, _, name = whole.rpartition("/")
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"{_OWN_DESCRIPTORS}/{fd}/{name}"
    finally:
        os.close(fd)


def shortcut(directory: Path) -> Path | None:
    """A path of at most 25 bytes that leads to `directory`, made where there is none; None where there can be none."""
    holder = holder_of(directory)
    if holder is not None and _is_kept(holder, directory):
        return holder / _LINK
    return _made(directory)


def holder_of(directory: Path) -> Path | None:
    """What is noted of a shortcut that was made, whatever became of it."""
    import re  # compiling a pattern takes longer than all that a quick verb does

    try:
        holder = Path(os.fsdecode(read_own(directory / _NOTE, _NOTE_MAX_BYTES)))
    except OSError:
        return None
    is_likely = str(holder.parent) in _PARENTS and re.fullmatch(_NAME_PATTERN, holder.name) is not None
    return holder if is_likely else None


def is_whole(directory: Path) -> bool:
    """Whether the shortcut that is noted is there, and leads to `directory`."""
    holder = holder_of(directory)
    return holder is not None and _is_own(holder) and _leads_to(holder / _LINK, directory)


def remove_shortcut(directory: Path) -> None:
    """With the note of it; what is there instead, and another's, stays."""
    holder = holder_of(directory)
    with suppress(OSError):
        if holder is not None and _is_own(holder) and (is_whole(directory) or not (holder / _LINK).exists()):
            (holder / _LINK).unlink(missing_ok=True)
            holder.rmdir()
    with suppress(OSError):
        (directory / _NOTE).unlink()


def note(holder: Path, directory: Path) -> None:
    """Once more, where the note was removed and the shortcut was not."""
    with suppress(OSError):
        _noted(holder, directory)


def refresh(directory: Path) -> None:
    """As if the shortcut had just been made, to whoever removes what is old."""
    holder = holder_of(directory)
    with suppress(OSError):
        if holder is not None and time.time() - holder.lstat().st_mtime > _FRESH_S:
            os.utime(holder / _LINK, follow_symlinks=False)
            os.utime(holder)


def _noted(holder: Path, directory: Path) -> None:
    """No link, which would lead back here in a circle."""
    write_whole(directory / _NOTE, os.fsencode(holder), directory / f"{_NOTE}.tmp")


def _is_kept(holder: Path, directory: Path) -> bool:
    """What was removed is made again, unless somebody has taken the name meanwhile."""
    link = holder / _LINK
    try:
        if not os.path.lexists(holder) and _is_safe(holder.parent):
            holder.mkdir(mode=stat.S_IRWXU)
        if not _is_own(holder):
            return False
        if link.is_symlink() and not link.exists():
            link.unlink()  # the directory was moved
        if not os.path.lexists(link):
            link.symlink_to(directory)
    except OSError:
        return False
    return _leads_to(link, directory)


def _made(directory: Path) -> Path | None:
    import tempfile

    for parent in filter(_is_safe, map(Path, _PARENTS)):
        try:
            holder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        except OSError:
            continue
        try:
            (holder / _LINK).symlink_to(directory)
            _noted(holder, directory)
        except OSError:
            (holder / _LINK).unlink(missing_ok=True)
            holder.rmdir()
            continue
        return holder / _LINK
    return None


def _is_own(holder: Path) -> bool:
    """A directory of this user's alone, and no link to one."""
    try:
        found = holder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & _OTHERS


def _leads_to(link: Path, directory: Path) -> bool:
    try:
        return link.is_symlink() and link.samefile(directory)
    except OSError:
        return False


def _is_safe(parent: Path) -> bool:
    """Whether nobody but the system's owner and this user can rename or remove what this user makes there."""
    try:
        found, system = parent.stat(), Path("/").stat()
    except OSError:
        return False
    is_kept_apart = bool(found.st_mode & stat.S_ISVTX) or not found.st_mode & _SHARED
    return stat.S_ISDIR(found.st_mode) and found.st_uid in (0, os.geteuid(), system.st_uid) and is_kept_apart
