"""Free space on disks, and whether a directory can be written to."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from itertools import islice
from pathlib import Path

_LOOKED_AT = 20_000
"""Most files of a directory to measure; one with more is assumed to be in use, and is not judged."""


def free_bytes(path: Path) -> int | None:
    """Free bytes on the disk that `path` is on, or would be; None if unknown."""
    there = next((parent for parent in (path, *path.parents) if os.path.exists(parent)), Path("/"))
    try:
        disk = os.statvfs(there)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def room_bytes(path: Path) -> int | None:
    """Bytes that a directory holds already plus those free on its disk; None if it is too large to measure."""
    free, held = free_bytes(path), held_bytes(path)
    return None if free is None or held is None else free + held


def write_problem(path: Path) -> str | None:
    """Why no file can be made in `path`; directories made to find out are removed again."""
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return None
    except OSError as error:
        return error.strerror or str(error)
    finally:
        for made in (directory for directory in missing if directory.is_dir()):
            with suppress(OSError):  # something else already uses it
                made.rmdir()


def held_bytes(path: Path) -> int | None:
    """Bytes of the files in a directory, 0 if there is none; None if it is too large to measure."""
    files = ((folder, name) for folder, _, names in os.walk(path) for name in names)
    looked_at = list(islice(files, _LOOKED_AT + 1))
    if len(looked_at) > _LOOKED_AT:
        return None
    return sum(_blocks_bytes(os.path.join(folder, name)) for folder, name in looked_at)  # noqa: PTH118


def _blocks_bytes(path: str) -> int:
    """Bytes of a file; 0 if it is gone. Source: stat(2): blocks have 512 bytes."""
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0
