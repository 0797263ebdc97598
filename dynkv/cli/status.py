"""`status`: the state of a deployment."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Annotated, Never

import typer

from dynkv.cli.at_rest import not_running
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.ink import Ink
from dynkv.cli.options import JsonOption, NameArgument
from dynkv.cli.status_text import status_text
from dynkv.control.client import Client, SupervisorSilent
from dynkv.control.deadline import Deadline
from dynkv.documents import encoded
from dynkv.errors import DynkvError, JournalLost
from dynkv.supervisor.neighbours import supervisor_of
from dynkv.supervisor.status import DeploymentStatus

_WATCH_PERIOD_S = 2.0


def status(
    name: NameArgument = None,
    as_json: JsonOption = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help=f"Refresh every {_WATCH_PERIOD_S:g} s, until Ctrl-C.")
    ] = False,
) -> None:
    """Show the state of a deployment: its units, GPUs and KV caches.

    With --watch, a terminal shows it live, and a pipe gets one status after another; with --json, one per line.
    """
    deployment = find(name)
    if watch:
        _watch(deployment, as_json=as_json)
    print(_shown(read_status(deployment), as_json))  # noqa: T201


def _shown(current: DeploymentStatus, as_json: bool) -> str:
    return encoded(current).decode() if as_json else status_text(current, Ink(sys.stdout))


def _watch(deployment: Deployment, *, as_json: bool) -> Never:
    current = read_status(deployment)  # before rich is imported, and before the screen is taken
    if as_json or not Ink(sys.stdout).is_terminal:
        end = "\n" if as_json else "\n\n"
        live: AbstractContextManager[Callable[[str], None]] = nullcontext(partial(print, end=end, flush=True))
    else:
        from dynkv.cli.view import live_text

        live = live_text()
    with live as show:
        while True:
            show(_shown(current, as_json))
            time.sleep(_WATCH_PERIOD_S)
            current = read_status(deployment)


def read_status(deployment: Deployment, deadline: Deadline | None = None) -> DeploymentStatus:
    """The status from the supervisor, or without one from what still runs. Raises NotRunning if nothing does."""
    if deployment.is_supervised:
        return _ask_for_status(deployment, deployment.client(deadline))
    from dynkv.supervisor.salvage import orphaned_status
    from dynkv.supervisor.survivors import survivors

    journal = deployment.journal
    left = survivors(journal, deployment.place)
    if not left:
        raise not_running(deployment.place.name)
    if journal is None:
        raise JournalLost(deployment.place.name, len(left))
    return orphaned_status(journal, deployment.place)


def _ask_for_status(deployment: Deployment, client: Client) -> DeploymentStatus:
    journal = deployment.journal
    process = supervisor_of(deployment.place)
    if process is not None and process.is_stopped:
        why = f"its supervisor (pid {process.pid}) is suspended by a signal"
        hint = f"`kill -CONT {process.pid}` resumes it"
        if journal is None:
            raise DynkvError(f"{why}, and its journal cannot be read", hint=hint)
        from dynkv.supervisor.salvage import orphaned_status

        return orphaned_status(journal, deployment.place, f"{why}; {hint}")
    if journal is None:
        return client.status()
    from dynkv.supervisor.salvage import orphaned_status

    try:
        return client.status()
    except SupervisorSilent as error:
        return orphaned_status(journal, deployment.place, error.what)
