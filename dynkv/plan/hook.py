"""Hooks that report how a deployment is. Planned by hooks.py."""

from __future__ import annotations

from msgspec import Struct

HOOKS = "notify"
"""The name that marks processes of hooks, in place of a unit's, and the name of their log."""


class Hook(Struct, frozen=True):
    """A program to run, or an address to post to, when the deployment is not well or well again."""

    name: str
    """The program or the address's host, in words and without secrets."""
    on: tuple[str, ...]
    """States to report: `degraded`, `failed`, `recovered`."""
    env: dict[str, str]
    argv: tuple[str, ...] = ()
    """Empty for a hook that posts."""
    url_in: str = ""
    """The variable in which the supervisor has the address; each address has another one."""
    url_file: str = ""
    """The file that contains the address."""
    secret_env: tuple[str, ...] = ()
    timeout_s: float = 30.0
    interval_s: float = 10.0
    retries: int = 2
