"""How an installation is just now, to see later whether somebody has touched it.

pip adds or removes a *.dist-info directory for whatever it does, and files stand for modules of one file; a file that
is edited deep within a package is not noticed.
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
    """Of an interpreter and the directories that its modules come from; of what is not there, that it is not."""
    return {python: _digest(_of_file(os.path.realpath(python))), **{path: _digest(_entries(path)) for path in paths}}


def changed(before: dict[str, str], python: str) -> str:
    """What of it is not as it was, in words; empty if all is."""
    now = stamp(python, (path for path in before if path != python))
    different = [path for path in before if now.get(path) != before[path]]
    gone = [path for path in different if not os.path.exists(path)]
    if gone:
        return f"{gone[0]} is gone"
    return f"{different[0]} has changed" if different else ""


def is_newer(paths: Iterable[str], since: float) -> bool:
    """Whether anything there was put there after that moment, in seconds of the epoch."""
    times = (int(line.rpartition(" ")[2]) for path in paths for line in _entries(path))
    return any(time_ns > since * 1e9 for time_ns in times)


def code() -> str:
    """Of dynkv itself, as this process has found it, and of its interpreter."""
    package = Path(dynkv.__file__).parent
    files = (line for path in sorted(package.rglob("*.py")) for line in _of_file(str(path)))
    return _digest(
        [dynkv.__version__, sys.version, sys.executable, *_of_file(os.path.realpath(sys.executable)), *files]
    )


def _entries(path: str) -> Iterator[str]:
    """A zip file's is its own. Directories of caches come and go by themselves, and change the directory's own time."""
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
    """With the time of its last change as the last word."""
    try:
        found = Path(path).stat()
    except OSError:
        return
    size = 0 if os.path.isdir(path) else found.st_size
    yield f"{path} {found.st_ino} {size} {found.st_mtime_ns}"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
