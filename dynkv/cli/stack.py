"""`stack`: the packages that serve, in an environment of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from dynkv.cli.deployments import opened
from dynkv.cli.manual import below_options
from dynkv.cli.options import JsonOption
from dynkv.cli.report import say
from dynkv.errors import PreflightRefused
from dynkv.home import deployments, home
from dynkv.host.gpus import look
from dynkv.stacks.choice import Kind
from dynkv.stacks.install import install
from dynkv.stacks.places import StackPlace, State, own_place

_TRIES = {
    Kind.CPU: "dynkv up agg --device cpu --model tiny",
    Kind.GPU: "dynkv up agg",
    Kind.MOCKER: "dynkv up agg --engine mocker --model tiny --no-lmcache",
}

KindArgument = Annotated[Kind, typer.Argument(metavar="cpu|gpu|mocker", help="Which stack.")]

stack = typer.Typer(help="Install, list or remove the packages that serve, each stack in its own environment.")


@stack.callback(invoke_without_command=True)
def list_stacks(context: typer.Context, as_json: JsonOption = False) -> None:
    """Install, list or remove the packages that serve, each stack in its own environment."""
    if context.invoked_subcommand is not None:
        return
    found = [place for kind in Kind if (place := own_place(home(), kind)).state is not State.ABSENT]
    if as_json:
        rows = [{"kind": place.kind, "state": place.state, "python": str(place.python)} for place in found]
        print(json.dumps(rows))  # noqa: T201
        return
    for place in found:
        say(f"{place.kind}: {place.state}  {place.directory}")
    if not found:
        say("no stack is installed here: dynkv stack install cpu, gpu or mocker")


@stack.command("install", epilog=below_options("stack install"))
def install_stack(
    kind: Annotated[
        Kind | None,
        typer.Argument(metavar="cpu|gpu|mocker", help="Which stack; the one that suits this host if omitted."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="The directory, instead of DYNKV_HOME; it may exist.")
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", metavar="PYTHON", help="The interpreter to create it with.")
    ] = None,
) -> None:
    """Install a stack in exactly the versions that dynkv was tested with, where `up` finds it.

    `gpu` and `cpu` are Dynamo, vLLM, LMCache and NIXL, several gigabytes; `mocker` is Dynamo alone.
    """
    kind = kind or (Kind.GPU if look()[0] else Kind.CPU)
    place = own_place(home(), kind) if into is None else StackPlace(kind, into.expanduser().absolute())
    if place.state is State.CURRENT:
        say(f"the {kind} stack is already in {place.directory}")
    else:
        _refuse_in_use(place)
        install(place, python, say)
    found_by = "" if into is None else f" --set python={place.python}"
    say(f"to try it: {_TRIES[kind]}{found_by}")


@stack.command("remove", epilog=below_options("stack remove"))
def remove_stack(kind: KindArgument) -> None:
    """Remove a stack that `stack install` put into DYNKV_HOME."""
    place = own_place(home(), kind)
    if place.state is State.ABSENT:
        say(f"no {kind} stack is installed here")
        return
    _refuse_in_use(place)
    place.mark.unlink(missing_ok=True)  # from now on nothing can be started from it
    shutil.rmtree(place.directory)
    if not any(place.directory.parent.iterdir()):
        place.directory.parent.rmdir()
    say(f"removed {place.directory}")


def _refuse_in_use(place: StackPlace) -> None:
    """Raise PreflightRefused if a running deployment uses the stack: at its next start the files would be gone."""
    for name in deployments(home()):
        journal = opened(name).journal
        if journal is None or journal.stopped or journal.plan is None:
            continue
        if Path(journal.plan.python).is_relative_to(place.directory):
            raise PreflightRefused(f"{name} runs from {place.directory}", hint=f"dynkv down {name}")
