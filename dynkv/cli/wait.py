"""`wait`: until a deployment is ready, or down."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from dynkv.cli.deployments import Deployment, find
from dynkv.cli.options import NameArgument
from dynkv.cli.status import read_status
from dynkv.control.client import SupervisorGone
from dynkv.errors import NotRunning, TimedOut

_WAIT_POLL_S = 0.2
_UNWATCHED = "without a supervisor"


class Goal(StrEnum):
    READY = "ready"
    DOWN = "down"


def wait(
    name: NameArgument = None,
    goal: Annotated[Goal, typer.Option("--for", help="What to wait for.")] = Goal.READY,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, metavar="SECONDS", help="Give up after this long: exit code 5.")
    ] = None,
) -> None:
    """Return when a deployment is ready, or down."""
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
