"""What imports do to a process: the files they load, and the variables they set. Part of standby.py.

Modules set environment variables for themselves and for what the program starts: vLLM's do so for torch and its
compiler, Dynamo's mocker for Dynamo's runtime (vllm 0.31.0, env_override.py; ai-dynamo 1.6.1, mocker/main.py). A
program that is forked from the imports must find them too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

Changes = dict[str, tuple["str | None", "str | None"]]
"""Variables by name: the value before and after, None where there is none."""


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
    """What has been set, changed or removed."""
    names = before.keys() | after.keys()
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def repeat(made: Changes, standbys: Mapping[str, str]) -> None:
    """Make these changes in this process's environment, which is the program's own now.

    A variable that the program was given and the standby was not stays as given. `standbys` is the standby's original
    environment: a value that names one of its own paths, such as that for temporary files, is not the program's.
    """
    foreign = [path for name, path in standbys.items() if path[:1] == "/" and os.environ.get(name) != path]
    for name, (old, new) in made.items():
        if os.environ.get(name) != old:
            continue
        if new is None:
            os.environ.pop(name, None)
        elif not any(path in new for path in foreign):
            os.environ[name] = new


def list_files(file: BinaryIO) -> None:
    """Write the paths of all files that modules were loaded from, each ended by a zero byte."""
    modules = [*sys.modules.values()]
    found = {path for module in modules if isinstance(path := _dictionary(module).get("__file__"), str)}
    file.writelines(os.fsencode(path) + b"\0" for path in sorted(found) if path.startswith("/"))
    file.flush()


def _dictionary(module: object) -> dict[str, object]:
    """The module's dictionary, read without running code of a lazy module."""
    return getattr(module, "__dict__", {})


def draw_anew() -> None:
    """Seed numpy's global generator, which would give all programs of one standby the same numbers. Python's own is
    seeded at every fork, and torch begins with the same seed always."""
    numbers: Any = sys.modules.get("numpy.random")
    if numbers is not None:
        numbers.seed()
