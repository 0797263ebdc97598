"""`restart`, `start` and `stop`: single units of a running deployment."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from dynkv.cli.deployments import Deployment, find
from dynkv.cli.report import say
from dynkv.control.client import Client
from dynkv.errors import DynkvError, NotRunning, TimedOut, UsageError
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus

Units = Annotated[list[str], typer.Argument(metavar="UNIT…", help="Names as `dynkv status` shows them.")]
Of = Annotated[str | None, typer.Option("--name", help="The deployment; not needed when there is only one.")]
_POLL_S = 0.2


def restart(
    units: Annotated[list[str], typer.Argument(metavar="UNIT…", help="Names; with --rolling also roles.")],
    name: Of = None,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="One after the other, each ready before the next; takes roles too.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when they are ready again.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, metavar="SECONDS", help="How long one may take.")
    ] = 1800.0,
) -> None:
    """End units and start them again. Examples: dynkv restart worker-0 · dynkv restart --rolling worker"""
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


def start(units: Units, name: Of = None) -> None:
    """Start units that were stopped or have failed. Example: dynkv start worker-0"""
    client = _running(name).client()
    for unit in units:
        _ask(client, unit, "start")


def stop(units: Units, name: Of = None) -> None:
    """Stop units; they stay stopped until `dynkv start`. Example: dynkv stop worker-0"""
    client = _running(name).client()
    for unit in units:
        _ask(client, unit, "stop")


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


def _pid(client: Client, name: str) -> int | None:
    return next((unit.pid for unit in client.status().units if unit.name == name), None)


def _wait_until_ready(client: Client, name: str, old_pid: int | None, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        unit = next(unit for unit in client.status().units if unit.name == name)
        if unit.state is State.READY and unit.pid != old_pid:
            say(f"{name}: ready after {unit.ready_after_s:g} s" if unit.ready_after_s else f"{name}: ready")
            return
        if unit.state is State.FAILED:
            raise DynkvError(f"{name} did not come back", where=unit.log, hint="`dynkv status` says why")
        time.sleep(_POLL_S)
    raise TimedOut(f"{name} was not ready again after {timeout_s:g} s", hint="`dynkv status` shows what it waits for")
