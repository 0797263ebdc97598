"""`restart`, `start` and `stop`: single units of a running deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from dynkv.cli import view
from dynkv.cli.deployments import find
from dynkv.errors import NotRunning

Units = Annotated[list[str], typer.Argument(metavar="UNIT…", help="Names as `dynkv status` shows them.")]
Of = Annotated[str | None, typer.Option("--name", help="The deployment; not needed when there is only one.")]


def restart(units: Units, name: Of = None) -> None:
    """End units and start them again. Example: dynkv restart worker-0"""
    _ask(units, name, "restart")


def start(units: Units, name: Of = None) -> None:
    """Start units that were stopped or have failed. Example: dynkv start worker-0"""
    _ask(units, name, "start")


def stop(units: Units, name: Of = None) -> None:
    """Stop units; they stay stopped until `dynkv start`. Example: dynkv stop worker-0"""
    _ask(units, name, "stop")


def _ask(units: list[str], name: str | None, verb: str) -> None:
    deployment = find(name)
    if not deployment.is_supervised:
        raise NotRunning(deployment.place.name)
    client = deployment.client()
    for unit in units:
        client.ask_unit(unit, verb)
        view.say(f"{unit}: {verb} asked for")
