"""`wait`: until a deployment is ready, or down."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from dynkv.cli.deployments import Deployment, find
from dynkv.cli.options import NameArgument, seconds
from dynkv.cli.poll import SILENT, NotYet, poll
from dynkv.cli.status import read_status
from dynkv.control.client import SupervisorGone
from dynkv.control.deadline import Deadline
from dynkv.errors import NotRunning


class Goal(StrEnum):
    READY = "ready"
    DOWN = "down"


def wait(
    name: NameArgument = None,
    goal: Annotated[Goal, typer.Option("--for", help="What to wait for.")] = Goal.READY,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", parser=seconds, metavar="SECONDS", help="Give up after this long: exit code 5."),
    ] = None,
) -> None:
    """Wait until a deployment is ready, or down."""
    deployment, deadline = find(name), Deadline(timeout)
    hint = "`dynkv status` shows what it waits for"
    what = f"{deployment.place.name} was not {goal}"
    poll(partial(_reached, deployment, goal, deadline), deadline, deployment, goal=what, hint=hint)


def _reached(deployment: Deployment, goal: Goal, deadline: Deadline) -> bool | NotYet:
    """Whether the goal is reached. Raises NotRunning if no supervisor is left to make it ready."""
    try:
        current = read_status(deployment, deadline)
    except SupervisorGone:  # coming up, or exiting
        return NotYet(SILENT)
    except NotRunning:
        if goal is Goal.READY:
            raise
        return True
    if current.supervisor is not None:
        return True if current.state.value == goal.value else NotYet(f"it is {current.state}")
    if goal is Goal.READY and not deployment.is_supervised:
        raise NotRunning(deployment.place.name)
    return NotYet(current.detail)
