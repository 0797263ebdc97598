"""`scale`: the number of running workers of a role."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from dynkv.cli.completion import role_sizes
from dynkv.cli.deployments import Deployment
from dynkv.cli.options import NameOfOption
from dynkv.cli.poll import NotYet, poll
from dynkv.cli.report import say
from dynkv.cli.streams import persevere
from dynkv.cli.units import PATIENCE_S, TimeoutOption, WaitOption, asking, planned, running, units_of
from dynkv.control.client import SHOWS_UNITS
from dynkv.control.deadline import Deadline
from dynkv.errors import UsageError
from dynkv.plan.model import Role, Unit
from dynkv.supervisor.states import State, has_ended
from dynkv.supervisor.status import UnitStatus

_WORKERS = frozenset(role.value for role in Role if role.is_worker)

_DIGITS = 6


def scale(
    sizes: Annotated[
        list[str],
        typer.Argument(metavar="ROLE=N", help="The number of workers to run.", autocompletion=role_sizes),
    ],
    name: NameOfOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = PATIENCE_S,
) -> None:
    """Run fewer workers of a role, or bring them back up to the planned number: the plan's GPUs are the limit."""
    persevere()
    wanted = [_role_and_number(size) for size in sizes]
    deployment, deadline = running(name), Deadline(timeout)
    if len(wanted) > 1:  # for a single one, the supervisor says what is wrong
        _check(wanted, planned(deployment, deadline))
    for role, replicas in wanted:
        with asking(deployment, deadline) as client:
            client.scale(role, replicas)
        say(f"{role}: {replicas} requested")
    for role, replicas in wanted if wait else []:
        _until_scaled(deployment, role, replicas, deadline)


def _check(wanted: list[tuple[str, int]], units: Sequence[Unit | UnitStatus]) -> None:
    """Raise UsageError unless all of the request is possible."""
    sizes = Counter(unit.role for unit in units if unit.role in _WORKERS)
    for role, replicas in wanted:
        if role not in sizes:
            there = ", ".join(sizes) or "none"
            raise UsageError(f"no workers of role {role!r}; available: {there}", hint=SHOWS_UNITS)
        if not 1 <= replicas <= sizes[role]:
            raise UsageError(f"{role} can be 1 to {sizes[role]}: the plan has no more", hint=SHOWS_UNITS)


def _until_scaled(deployment: Deployment, role: str, replicas: int, deadline: Deadline) -> None:
    """Wait until that many run, whichever they are: the supervisor keeps the healthy ones."""

    def look() -> list[str] | NotYet:
        units = [unit for unit in units_of(deployment, deadline) if unit.role == role]
        ready = [unit.name for unit in units if unit.state is State.READY]
        if len(ready) == replicas and all(has_ended(unit.state) for unit in units if unit.name not in ready):
            return ready
        return NotYet(", ".join(f"{unit.name} is {unit.state}" for unit in units))

    goal, hint = f"{role} was not {replicas}", "`dynkv status` shows what they wait for"
    ready = poll(look, deadline, deployment, goal=goal, hint=hint)
    say(f"{role}: {', '.join(ready)} ready")


def _role_and_number(text: str) -> tuple[str, int]:
    role, _, number = text.partition("=")
    if not (role and number.isdecimal() and len(number) <= _DIGITS):
        raise UsageError(f"{text!r} is not ROLE=N", hint="for example dynkv scale worker=2")
    return role, int(number)
