"""What verbs on single units share: sending a request, and waiting until it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from dynkv.cli.completion import unit_names
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.options import seconds
from dynkv.cli.poll import NotYet, poll
from dynkv.cli.report import say
from dynkv.cli.status_text import in_words
from dynkv.control.client import SHOWS_UNITS, Client, SupervisorSilent
from dynkv.control.deadline import Deadline
from dynkv.errors import DynkvError, NotRunning, TimedOut, UsageError
from dynkv.plan.model import Unit
from dynkv.supervisor.states import State, has_ended, is_well
from dynkv.supervisor.status import UnitStatus

Units = Annotated[
    list[str], typer.Argument(metavar="UNIT", help="Names as `dynkv status` shows them.", autocompletion=unit_names)
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until they are running, or gone.")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", parser=seconds, metavar="SECONDS", help="How long each may take.")
]
PATIENCE_S = 1800.0


def running(name: str | None) -> Deployment:
    """The deployment. Raises NotRunning if it has no supervisor to ask."""
    deployment = find(name)
    if not deployment.is_supervised:
        raise NotRunning(deployment.place.name)
    return deployment


@contextmanager
def asking(deployment: Deployment, deadline: Deadline) -> Iterator[Client]:
    """A client; requests are sent only once, since an unanswered one may still be carried out. Raises TimedOut."""
    try:
        yield deployment.client(deadline)
    except SupervisorSilent as error:
        if not deadline.is_past:
            raise
        raise TimedOut(error.what, where=error.where, hint="`dynkv status` shows what is wrong with it") from None


def ask(deployment: Deployment, units: list[str], verb: str, deadline: Deadline) -> None:
    """Request start, stop or restart (`verb`). Raises TimedOut; UsageError for an unknown unit, and then nothing is
    done."""
    known = [unit.name for unit in planned(deployment, deadline)]
    if unknown := [repr(unit) for unit in dict.fromkeys(units) if unit not in known]:
        named = f"unit{'s' if len(unknown) > 1 else ''} named {', '.join(unknown)}"
        raise UsageError(f"no {named}; available: {', '.join(known)}", hint=SHOWS_UNITS)
    for unit in units:
        with asking(deployment, deadline) as client:
            client.ask_unit(unit, verb)
        say(f"{unit}: {verb} requested")


def planned(deployment: Deployment, deadline: Deadline) -> Sequence[Unit | UnitStatus]:
    """All units, even while the supervisor is too busy to answer: it will carry out requests later."""
    return (deployment.journal.units if deployment.journal else ()) or units_of(deployment, deadline)


def units_of(deployment: Deployment, deadline: Deadline) -> tuple[UnitStatus, ...]:
    """The current status of all units. Raises TimedOut."""
    with asking(deployment, deadline) as client:
        return client.status().units


def until_ready(deployment: Deployment, name: str, deadline: Deadline, *, before: UnitStatus | None = None) -> None:
    """Return when the unit is ready, or completed, with another process than it had `before`.

    Raises TimedOut; DynkvError if it fails.
    """
    old = before and (before.pid, before.last_exit)

    def look() -> UnitStatus | NotYet:
        unit = _unit(deployment, name, deadline)
        if unit.state is State.FAILED:
            raise DynkvError(f"{name} did not come back", where=unit.log, hint="`dynkv status` shows why")
        if is_well(unit.state) and (unit.pid, unit.last_exit) != old:
            return unit
        return NotYet(in_words(unit))

    hint = "`dynkv status` shows what it waits for"
    unit = poll(look, deadline, deployment, goal=f"{name} was not ready again", hint=hint)
    say(f"{name}: ready after {unit.ready_after_s:g} s" if unit.ready_after_s else f"{name}: {unit.state}")


def until_stopped(deployment: Deployment, name: str, deadline: Deadline) -> None:
    """Return when nothing of the unit runs. Raises TimedOut."""

    def look() -> UnitStatus | NotYet:
        unit = _unit(deployment, name, deadline)
        return unit if has_ended(unit.state) else NotYet(in_words(unit))

    poll(look, deadline, deployment, goal=f"{name} had not stopped", hint="`dynkv events` shows what it is doing")
    say(f"{name}: stopped")


def _unit(deployment: Deployment, name: str, deadline: Deadline) -> UnitStatus:
    return next(unit for unit in deployment.client(deadline).status().units if unit.name == name)
