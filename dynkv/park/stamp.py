"""The state of an installation, to see later whether anything has changed it.

pip adds or removes a *.dist-info directory for whatever it does, and single-file modules are files: both are seen in a
few directories. A file that is edited deep within a package, or where an editable installation points, is seen only by
looking at every file that a module was loaded from: 10 ms for the 5,000 of vLLM.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import dynkv
from dynkv.children.standby_parked import Origin
from dynkv.park.lot import Installation

_INSTALLED = (".dist-info", ".egg-info", ".pth", ".egg-link", ".py", ".so")


def installation(python: str, origin: Origin) -> Installation:
    """The state of an interpreter, of the directories of its modules, also that one is missing, and of the files."""
    files = {path: state for path in origin.files if (state := _state(path))}
    return Installation(python, _directories(python, origin.paths), files)


def changed(before: Installation) -> str:
    """What has changed of the interpreter and the directories, in words; empty if nothing has."""
    then = before.directories
    now = _directories(before.python, (path for path in then if path != before.python))
    different = [path for path in then if now.get(path) != then[path]]
    gone = [path for path in different if not os.path.exists(path)]
    if gone:
        return f"{gone[0]} is gone"
    return f"{different[0]} has changed" if different else ""


def changed_file(before: Installation) -> str:
    """The first file that is no longer in its state, in words; empty if there is none."""
    for path, state in before.files.items():
        if (now := _state(path)) != state:
            return f"{path} has changed" if now else f"{path} is gone"
    return ""


def change(before: Installation) -> str:
    """The same of everything."""
    return changed(before) or changed_file(before)


def newer(origin: Origin, since: float) -> str:
    """Something in the directories, or among the files, that is newer than that moment, in seconds since the epoch;
    empty if there is nothing. A file that an import has compiled is new, and no change."""
    entries = (line for path in origin.paths for line in _entries(path))
    sources = (line for path in origin.files if path.endswith(".py") for line in _of_file(path))
    lines = chain(entries, sources)
    return next((_path_in(line) for line in lines if int(line.rpartition(" ")[2]) > since * 1e9), "")


def code() -> str:
    """The state of dynkv itself, as this process has found it, and of its interpreter."""
    package = Path(dynkv.__file__).parent
    files = (line for path in sorted(package.rglob("*.py")) for line in _of_file(str(path)))
    return _digest(
        [dynkv.__version__, sys.version, sys.executable, *_of_file(os.path.realpath(sys.executable)), *files]
    )


def _directories(python: str, paths: Iterable[str]) -> dict[str, str]:
    return {python: _digest(_of_file(os.path.realpath(python))), **{path: _digest(_entries(path)) for path in paths}}


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
    """A file with its state, if there is one."""
    if state := _state(path):
        yield f"{path} {state}"


def _state(path: str) -> str:
    """A file's properties, with the time of its last change as the last one; empty if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 (thousands of them)
    except OSError:
        return ""
    size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    return f"{found.st_ino} {size} {found.st_mtime_ns}"


def _path_in(line: str) -> str:
    return line.rsplit(" ", 3)[0]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
