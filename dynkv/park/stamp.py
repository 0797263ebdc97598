"""The state of an installation, to see later whether anything has changed it.

pip adds or removes a *.dist-info directory for whatever it does, and single-file modules are files; an edit of a file
deep within a package is not noticed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import dynkv

_INSTALLED = (".dist-info", ".egg-info", ".pth", ".egg-link", ".py", ".so")


def stamp(python: str, paths: Iterable[str]) -> dict[str, str]:
    """The state of an interpreter and of the directories of its modules; also that one is missing."""
    return {python: _digest(_of_file(os.path.realpath(python))), **{path: _digest(_entries(path)) for path in paths}}


def changed(before: dict[str, str], python: str) -> str:
    """What has changed, in words; empty if nothing has."""
    now = stamp(python, (path for path in before if path != python))
    different = [path for path in before if now.get(path) != before[path]]
    gone = [path for path in different if not os.path.exists(path)]
    if gone:
        return f"{gone[0]} is gone"
    return f"{different[0]} has changed" if different else ""


def is_newer(paths: Iterable[str], since: float) -> bool:
    """Whether anything there is newer than that moment, in seconds since the epoch."""
    times = (int(line.rpartition(" ")[2]) for path in paths for line in _entries(path))
    return any(time_ns > since * 1e9 for time_ns in times)


def code() -> str:
    """The state of dynkv itself, as this process has found it, and of its interpreter."""
    package = Path(dynkv.__file__).parent
    files = (line for path in sorted(package.rglob("*.py")) for line in _of_file(str(path)))
    return _digest(
        [dynkv.__version__, sys.version, sys.executable, *_of_file(os.path.realpath(sys.executable)), *files]
    )


def _entries(path: str) -> Iterator[str]:
    """Entries of a directory; of a zip file, the file itself. Cache directories come and go, and change the
    directory's own time."""
    try:
        names = sorted(entry.name for entry in Path(path).iterdir() if entry.name.endswith(_INSTALLED))
    except NotADirectoryError:
        yield from _of_file(path)
        return
    except OSError:
        return
    for name in names:
        yield from _of_file(f"{path}/{name}")


def _of_file(path: str) -> Iterator[str]:
    """A file's properties, with the time of its last change as the last one."""
    try:
        found = Path(path).stat()
    except OSError:
        return
    size = 0 if os.path.isdir(path) else found.st_size
    yield f"{path} {found.st_ino} {size} {found.st_mtime_ns}"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
