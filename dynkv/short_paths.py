"""Shortcuts to directories whose paths are too long for sockets; unix(7) allows 107 bytes.

dynkv itself reaches a socket through its opened directory. Other programs use `HOLDER/d`, a symbolic link to the
directory. HOLDER is a directory that only this user can enter, with a random name, in one of the host's temporary
directories, so that nobody can have made it first. The directory itself holds a note of it, so that everyone finds the
same one in every login; missing parts are made again.
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
"""How often to refresh. Cleaners of temporary directories go by age, in days. Source: tmpfiles.d(5), "Age"."""
_OWN_DESCRIPTORS = "/proc/self/fd"
_SHARED, _OTHERS = stat.S_IWGRP | stat.S_IWOTH, stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def address(path: str | os.PathLike[str]) -> Iterator[str]:
    """A path to the same socket that is short enough to bind and connect to while the block lasts. Raises OSError."""
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
    """A path of at most 25 bytes that leads to `directory`, made if missing; None if it cannot be made."""
    holder = holder_of(directory)
    if holder is not None and _is_kept(holder, directory):
        return holder / _LINK
    return _made(directory)


def holder_of(directory: Path) -> Path | None:
    """The noted holder of a shortcut, whether or not it still exists."""
    import re  # compiling a pattern takes longer than all that a quick verb does

    try:
        holder = Path(os.fsdecode(read_own(directory / _NOTE, _NOTE_MAX_BYTES)))
    except OSError:
        return None
    is_likely = str(holder.parent) in _PARENTS and re.fullmatch(_NAME_PATTERN, holder.name) is not None
    return holder if is_likely else None


def is_whole(directory: Path) -> bool:
    """Whether the noted shortcut exists and leads to `directory`."""
    holder = holder_of(directory)
    return holder is not None and _is_own(holder) and _leads_to(holder / _LINK, directory)


def remove_shortcut(directory: Path) -> None:
    """Remove the shortcut and its note, but nothing that has replaced it or belongs to another user."""
    holder = holder_of(directory)
    with suppress(OSError):
        if holder is not None and _is_own(holder) and (is_whole(directory) or not (holder / _LINK).exists()):
            (holder / _LINK).unlink(missing_ok=True)
            holder.rmdir()
    with suppress(OSError):
        (directory / _NOTE).unlink()


def note(holder: Path, directory: Path) -> None:
    """Write the note again, for a shortcut whose note was removed."""
    with suppress(OSError):
        _noted(holder, directory)


def refresh(directory: Path) -> None:
    """Renew the shortcut's timestamps, so that cleaners of old files leave it alone."""
    holder = holder_of(directory)
    with suppress(OSError):
        if holder is not None and time.time() - holder.lstat().st_mtime > _FRESH_S:
            os.utime(holder / _LINK, follow_symlinks=False)
            os.utime(holder)


def _noted(holder: Path, directory: Path) -> None:
    """Write the note, as a file: a link would lead back here in a circle."""
    write_whole(directory / _NOTE, os.fsencode(holder), directory / f"{_NOTE}.tmp")


def _is_kept(holder: Path, directory: Path) -> bool:
    """Make missing parts of the shortcut again; returns whether it leads to `directory`, as someone may have taken
    the name."""
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
    """Whether this is a directory, not a link to one, that only this user may enter."""
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
    """Whether only this user and the system's owner can rename or remove what this user makes there."""
    try:
        found, system = parent.stat(), Path("/").stat()
    except OSError:
        return False
    is_kept_apart = bool(found.st_mode & stat.S_ISVTX) or not found.st_mode & _SHARED
    return stat.S_ISDIR(found.st_mode) and found.st_uid in (0, os.geteuid(), system.st_uid) and is_kept_apart
