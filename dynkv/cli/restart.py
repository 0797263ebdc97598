"""`restart`: end units and start them again."""

from __future__ import annotations

from typing import Annotated

import typer

from dynkv.cli.completion import unit_names
from dynkv.cli.deployments import Deployment
from dynkv.cli.options import NameOfOption
from dynkv.cli.report import say
from dynkv.cli.streams import persevere
from dynkv.cli.units import PATIENCE_S, TimeoutOption, WaitOption, ask, running, units_of, until_ready
from dynkv.control.deadline import Deadline
from dynkv.errors import UsageError
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus


def restart(
    units: Annotated[
        list[str], typer.Argument(metavar="UNIT", help="Names; with --rolling also roles.", autocompletion=unit_names)
    ],
    name: NameOfOption = None,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="One after the other, each ready before the next; takes roles too.")
    ] = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = PATIENCE_S,
) -> None:
    """End units and start them again."""
    persevere()
    deployment = running(name)
    if rolling:
        for unit in _resolve(units_of(deployment, Deadline(timeout)), units):
            _roll(deployment, unit, Deadline(timeout), is_named=unit in units)
    else:
        _restart(deployment, units, Deadline(timeout), wait=wait)


def _roll(deployment: Deployment, unit: str, deadline: Deadline, *, is_named: bool) -> None:
    """Restart units one by one. Units that were stopped, even meanwhile, stay stopped unless named explicitly."""
    now = next(it for it in units_of(deployment, deadline) if it.name == unit)
    if now.state is State.STOPPED and not is_named:
        say(f"{unit}: skipped, because it is stopped")
        return
    _restart(deployment, [unit], deadline, wait=True)


def _restart(deployment: Deployment, units: list[str], deadline: Deadline, *, wait: bool) -> None:
    before = {unit.name: unit for unit in units_of(deployment, deadline)} if wait else {}
    ask(deployment, units, "restart", deadline)
    for unit in units if wait else []:
        until_ready(deployment, unit, deadline, before=before[unit])


def _resolve(known: tuple[UnitStatus, ...], wanted: list[str]) -> list[str]:
    """Units by their name or their role, in the given order, each once."""
    found: list[str] = []
    for word in wanted:
        units = [unit.name for unit in known if word in (unit.name, unit.role)]
        if not units:
            names = ", ".join(unit.name for unit in known)
            raise UsageError(f"no unit and no role is named {word!r}", hint=f"available: {names}")
        found += [unit for unit in units if unit not in found]
    return found
