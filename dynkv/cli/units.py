"""`restart`, `start`, `stop` and `scale`: single units of a running deployment."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from dynkv.cli.completion import role_sizes, unit_names
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.options import NameOfOption
from dynkv.cli.report import say
from dynkv.control.client import Client
from dynkv.errors import DynkvError, NotRunning, TimedOut, UsageError
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus

Units = Annotated[
    list[str], typer.Argument(metavar="UNIT", help="Names as `dynkv status` shows them.", autocompletion=unit_names)
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Return when they are there, or gone.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0, metavar="SECONDS", help="How long one may take.")]
_POLL_S = 0.2
_PATIENCE_S = 1800.0


def restart(
    units: Annotated[
        list[str], typer.Argument(metavar="UNIT", help="Names; with --rolling also roles.", autocompletion=unit_names)
    ],
    name: NameOfOption = None,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="One after the other, each ready before the next; takes roles too.")
    ] = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = _PATIENCE_S,
) -> None:
    """End units and start them again."""
    deployment = _running(name)
    client = deployment.client()
    if rolling:
        for unit in _resolve(client.status().units, units):
            before = _pid(client, unit)
            _ask(client, unit, "restart")
            _wait_until_ready(client, unit, before, timeout)
        return
    before_all = {unit: _pid(client, unit) for unit in units}
    for unit in units:
        _ask(client, unit, "restart")
    for unit in units if wait else []:
        _wait_until_ready(client, unit, before_all[unit], timeout)


def start(
    units: Units, name: NameOfOption = None, wait: WaitOption = False, timeout: TimeoutOption = _PATIENCE_S
) -> None:
    """Start units that were stopped or have failed."""
    client = _running(name).client()
    for unit in units:
        _ask(client, unit, "start")
    for unit in units if wait else []:
        _wait_until_ready(client, unit, None, timeout)


def stop(
    units: Units, name: NameOfOption = None, wait: WaitOption = False, timeout: TimeoutOption = _PATIENCE_S
) -> None:
    """Stop units; they stay stopped until `dynkv start`."""
    client = _running(name).client()
    for unit in units:
        _ask(client, unit, "stop")
    for unit in units if wait else []:
        _wait_until_stopped(client, unit, timeout)


def scale(
    sizes: Annotated[
        list[str],
        typer.Argument(metavar="ROLE=N", help="How many workers of a role are to run.", autocompletion=role_sizes),
    ],
    name: NameOfOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = _PATIENCE_S,
) -> None:
    """Run fewer workers of a role, or as many as were planned again: the plan's GPUs are the limit."""
    wanted = [_role_and_number(size) for size in sizes]
    client = _running(name).client()
    for role, replicas in wanted:
        client.scale(role, replicas)
        say(f"{role}: {replicas} asked for")
    for role, replicas in wanted if wait else []:
        units = [unit.name for unit in client.status().units if unit.role == role]
        for unit in units[:replicas]:
            _wait_until_ready(client, unit, None, timeout)
        for unit in units[replicas:]:
            _wait_until_stopped(client, unit, timeout)


def _role_and_number(text: str) -> tuple[str, int]:
    role, _, number = text.partition("=")
    if not (role and number.isdecimal()):
        raise UsageError(f"{text!r} is not ROLE=N", hint="for example dynkv scale worker=2")
    return role, int(number)


def _running(name: str | None) -> Deployment:
    deployment = find(name)
    if not deployment.is_supervised:
        raise NotRunning(deployment.place.name)
    return deployment


def _ask(client: Client, unit: str, verb: str) -> None:
    client.ask_unit(unit, verb)
    say(f"{unit}: {verb} asked for")


def _resolve(known: tuple[UnitStatus, ...], wanted: list[str]) -> list[str]:
    """Units by their own name or by their role, in the order given, each once."""
    found: list[str] = []
    for word in wanted:
        units = [unit.name for unit in known if word in (unit.name, unit.role)]
        if not units:
            names = ", ".join(unit.name for unit in known)
            raise UsageError(f"no unit and no role is named {word!r}", hint=f"there is {names}")
        found += [unit for unit in units if unit not in found]
    return found


def _unit(client: Client, name: str) -> UnitStatus:
    return next(unit for unit in client.status().units if unit.name == name)


def _pid(client: Client, name: str) -> int | None:
    return next((unit.pid for unit in client.status().units if unit.name == name), None)


def _wait_until_stopped(client: Client, name: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if _unit(client, name).state in (State.STOPPED, State.FAILED):
            say(f"{name}: stopped")
            return
        time.sleep(_POLL_S)
    raise TimedOut(f"{name} had not stopped after {timeout_s:g} s", hint="`dynkv events` shows what it does")


def _wait_until_ready(client: Client, name: str, old_pid: int | None, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        unit = _unit(client, name)
        if unit.state is State.READY and unit.pid != old_pid:
            say(f"{name}: ready after {unit.ready_after_s:g} s" if unit.ready_after_s else f"{name}: ready")
            return
        if unit.state is State.FAILED:
            raise DynkvError(f"{name} did not come back", where=unit.log, hint="`dynkv status` says why")
        time.sleep(_POLL_S)
    raise TimedOut(f"{name} was not ready again after {timeout_s:g} s", hint="`dynkv status` shows what it waits for")
