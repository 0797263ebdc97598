"""Who is told of how a deployment is. Planned by hooks."""

from __future__ import annotations

from dataclasses import dataclass

HOOKS = "notify"
"""By what processes of hooks are known, in the place of a unit's name; and what their log is called."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A program that is run, or an address that is posted to, when the deployment is not well or well again."""

    name: str
    """In words, without secrets: the program, or the address's host."""
    on: tuple[str, ...]
    """`degraded`, `failed`, `recovered`."""
    env: dict[str, str]
    argv: tuple[str, ...] = ()
    """Empty where something is posted."""
    url_in: str = ""
    """The variable in which the supervisor has the address; another one for another address."""
    url_file: str = ""
    """The file that holds the address."""
    secret_env: tuple[str, ...] = ()
    timeout_s: float = 30.0
    interval_s: float = 10.0
    retries: int = 2
