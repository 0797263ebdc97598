"""The meaning of a path that a person has written. Pure: the working directory comes in as a fact."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from dynkv.errors import PreflightRefused
from dynkv.plan.facts import PathFacts

_VARIABLE = re.compile(r"\$\{?[A-Za-z_]\w*\}?", re.ASCII)
_OWN, _HOMES = "${DYNKV_HOME}", ("$HOME", "${HOME}")


def needs_expansion(path: str) -> bool:
    """Whether it must be expanded."""
    return path == "~" or path.startswith("~/") or _VARIABLE.search(path) is not None


def refuse_variables(path: str) -> None:
    """Raise PreflightRefused for a path with a variable that nothing expands."""
    variable = _VARIABLE.search(path.replace(_OWN, ""))
    if variable is not None:
        rest = path.removeprefix(variable[0])
        hint = f"write ~{rest}" if variable[0] in _HOMES and rest != path else "write the full path, starting with /"
        raise PreflightRefused(f"a profile expands {_OWN} and ~, but not {variable[0]}: {path}", hint=hint)


def expand(path: str, home: str, facts: PathFacts) -> str:
    """An absolute path; `${DYNKV_HOME}` is `home`, dynkv's own directory.

    Raises PreflightRefused for a user without a home on this host, and for a relative path if there is no working
    directory.
    """
    text = path.replace(_OWN, home)
    expanded = PurePosixPath(facts.working_directory or "", _from_home(text, facts))
    if not expanded.is_absolute():
        raise PreflightRefused(
            f"there is no working directory that {path} could be relative to",
            hint="write the full path, starting with /",
        )
    return str(expanded)


def user_of(path: str) -> str | None:
    """The user in whose home a path begins: an empty name for the person, None if it does not begin in a home."""
    return path[1:].partition("/")[0] if path.startswith("~") else None


def _from_home(path: str, facts: PathFacts) -> PurePosixPath:
    user = user_of(path)
    if user is None:
        return PurePosixPath(path)
    if user not in facts.homes:
        what = f"there is no user {user} on this host" if user else "the user has no home on this host"
        raise PreflightRefused(f"{what}, but {path} begins in a home", hint="write the full path, starting with /")
    return PurePosixPath(facts.homes[user], path[1 + len(user) :].lstrip("/"))
