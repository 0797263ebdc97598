"""What a path means that a person has written. Pure: where the person stands comes in as facts."""

from __future__ import annotations

from pathlib import PurePosixPath

from dynkv.errors import PreflightRefused
from dynkv.plan.facts import PathFacts


def expand(path: str, home: str, facts: PathFacts) -> str:
    """An absolute path; `${DYNKV_HOME}` is `home`, dynkv's own directory.

    Raises PreflightRefused for a user without a home on this host, and for a relative path where there is nothing that
    it could be relative to.
    """
    text = path.replace("${DYNKV_HOME}", home)
    expanded = PurePosixPath(facts.working_directory or "", _from_home(text, facts))
    if not expanded.is_absolute():
        raise PreflightRefused(
            f"there is no working directory that {path} could be relative to", hint="write the whole path, from / on"
        )
    return str(expanded)


def user_of(path: str) -> str | None:
    """In whose home a path begins: an empty name for the person's own, None where it begins in nobody's."""
    return path[1:].partition("/")[0] if path.startswith("~") else None


def _from_home(path: str, facts: PathFacts) -> PurePosixPath:
    user = user_of(path)
    if user is None:
        return PurePosixPath(path)
    if user not in facts.homes:
        what = f"there is no user {user} on this host" if user else "the user has no home on this host"
        raise PreflightRefused(f"{what}, and {path} begins in a home", hint="write the whole path, from / on")
    return PurePosixPath(facts.homes[user], path[1 + len(user) :].lstrip("/"))
