"""`status`, `wait` and `down`."""

from __future__ import annotations

import os
import signal
import time
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from dynkv.children.signals import open_process, send
from dynkv.cli import view
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.options import JsonOption, NameArgument
from dynkv.control.client import SupervisorGone, SupervisorSilent
from dynkv.errors import JournalLost, NotRunning, TimedOut
from dynkv.home import take_lock
from dynkv.supervisor.journal import JournalFile
from dynkv.supervisor.neighbours import supervisor_of
from dynkv.supervisor.status import DeploymentStatus

_POLL_S = 0.1
_WAIT_POLL_S = 0.2
_STUCK_S = 60.0
"""A supervisor that answers nothing for so long will not: on a host under full load it took 10 s."""


_UNWATCHED = "without a supervisor"


class Goal(StrEnum):
    READY = "ready"
    DOWN = "down"


def status(name: NameArgument = None, as_json: JsonOption = False) -> None:
    """Show how a deployment is. Exit code 3 when nothing runs. Example: dynkv status --json"""
    current = read_status(find(name))
    if as_json:
        print(msgspec.json.encode(current).decode())  # noqa: T201 (one document and nothing else)
    else:
        view.show_status(current)


def read_status(deployment: Deployment) -> DeploymentStatus:
    """From the supervisor, or without it from what still runs; raises NotRunning if nothing does."""
    if deployment.is_supervised:
        return _ask_for_status(deployment)
    from dynkv.supervisor.salvage import orphaned_status, survivors

    journal = deployment.journal
    left = [] if journal is not None and journal.stopped else survivors(journal, deployment.place)
    if not left:
        raise NotRunning(deployment.place.name)
    if journal is None:
        raise JournalLost(deployment.place.name, len(left))
    return orphaned_status(journal, deployment.place)


def _ask_for_status(deployment: Deployment) -> DeploymentStatus:
    journal = deployment.journal
    if journal is None:
        return deployment.client().status()
    from dynkv.supervisor.salvage import orphaned_status

    process = supervisor_of(journal, deployment.place.home)
    if process is not None and process.is_stopped:
        why = f"its supervisor (pid {process.pid}) is stopped by a signal; `kill -CONT {process.pid}` lets it go on"
        return orphaned_status(journal, deployment.place, why)
    try:
        return deployment.client().status()
    except SupervisorSilent as error:
        return orphaned_status(journal, deployment.place, error.what)


def wait(
    name: NameArgument = None,
    goal: Annotated[Goal, typer.Option("--for", help="What to wait for.")] = Goal.READY,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, metavar="SECONDS", help="Give up after this long: exit code 5.")
    ] = None,
) -> None:
    """Return when a deployment is ready, or down. Example: dynkv wait agg --for ready --timeout 600"""
    deployment = find(name)
    deadline = None if timeout is None else time.monotonic() + timeout
    while (state := _state(deployment)) != goal:
        if goal is Goal.READY and state in (_UNWATCHED, Goal.DOWN):
            raise NotRunning(deployment.place.name)
        if deadline is not None and time.monotonic() > deadline:
            raise TimedOut(
                f"{deployment.place.name} is {state}, and was not {goal} after {timeout:g} s",
                hint="`dynkv status` shows what it waits for",
            )
        time.sleep(_WAIT_POLL_S)


def _state(deployment: Deployment) -> str:
    """As `status` has it; `down` where nothing runs."""
    try:
        current = read_status(deployment)
    except SupervisorGone:  # on its way in, or out
        return "not answering"
    except NotRunning:
        return Goal.DOWN
    return current.state if current.supervisor is not None else _UNWATCHED


def down(
    name: NameArgument = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop waiting after this long; it goes on."),
    ] = None,
) -> None:
    """Take a deployment down, and leave nothing behind. Works without its supervisor too. Example: dynkv down agg"""
    deployment = find(name)
    if take_down(deployment, timeout):
        view.say(f"{deployment.place.name} is down")
    else:
        view.say(f"{deployment.place.name} was already down")


def take_down(deployment: Deployment, timeout_s: float | None = None) -> bool:
    """Return when nothing of it runs any more; whether anything did. Raises TimedOut."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    ran = False
    while (lock := take_lock(deployment.place.lock)) is None:
        ran = True
        _ask_supervisor(deployment, deadline)
    try:  # with the lock, so that no new supervisor takes over what is being ended
        return _end_rest(deployment, deployment.fresh_journal()) or ran
    finally:
        os.close(lock)


def _ask_supervisor(deployment: Deployment, deadline: float | None) -> None:
    """Until its lock is free: it keeps that to the end, and a dead one cannot keep it."""
    client = deployment.client()
    with view.progress() as progress:
        asked, answered_at = False, time.monotonic()
        while deployment.is_supervised:
            _rouse(deployment, time.monotonic() - answered_at)
            try:
                if not asked:
                    client.down()
                    asked = True
                progress.update(client.status())
                answered_at = time.monotonic()
            except SupervisorGone:
                pass  # on its way out, or killed: the lock tells
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut(
                    f"{deployment.place.name} is still going down", hint="`dynkv status` shows what takes long"
                )
            time.sleep(_POLL_S)


def _rouse(deployment: Deployment, silent_s: float) -> None:
    """Let a supervisor that is stopped go on, and kill one that is stuck: what it leaves is ended without it."""
    journal = deployment.fresh_journal()
    process = None if journal is None else supervisor_of(journal, deployment.place.home)
    if process is None or not (process.is_stopped or silent_s > _STUCK_S):
        return
    fd = open_process(process.identity)
    if fd is not None:
        send(fd, signal.SIGCONT if process.is_stopped else signal.SIGKILL)
        os.close(fd)


def _end_rest(deployment: Deployment, journal: JournalFile | None) -> bool:
    """What a dead supervisor left; whether there was anything."""
    if journal is not None and journal.stopped:
        return False
    import anyio

    from dynkv.supervisor.salvage import end_survivors

    count = anyio.run(end_survivors, journal, deployment.place)
    if journal is not None:
        deployment.close_journal(journal)
    return count > 0
