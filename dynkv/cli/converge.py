"""Updating a running deployment: its supervisor releases it, and a new one takes over and restarts what has changed.
A failed update is rolled back."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from msgspec.structs import replace

from dynkv import __version__
from dynkv.children.held import send_to
from dynkv.cli import view
from dynkv.cli.attempt import LONGER, NOT_READY, Attempt, failed
from dynkv.cli.deployments import Deployment, opened
from dynkv.cli.launch import Order
from dynkv.cli.planned import Planned
from dynkv.cli.poll import NotYet, poll
from dynkv.cli.progress import progress
from dynkv.cli.report import say
from dynkv.cli.status import read_status
from dynkv.cli.takedown import see_off
from dynkv.cli.takeover import orphans
from dynkv.control.client import Client
from dynkv.control.deadline import Deadline
from dynkv.doctor.stack import look_into
from dynkv.errors import DynkvError, PreflightRefused, UsageError
from dynkv.home import Place
from dynkv.host.processes import command_line, environment_of
from dynkv.plan.difference import Action, Difference, difference
from dynkv.plan.model import Plan
from dynkv.supervisor.neighbours import supervisor_of
from dynkv.supervisor.states import State, has_ended
from dynkv.supervisor.status import DeploymentState, DeploymentStatus

Start = Callable[[], DeploymentStatus | None]


@dataclass(frozen=True, slots=True)
class _Before:
    """The deployment before the update, and what its supervisor needs to bring it back."""

    place: Place
    plan: Plan
    secrets: dict[str, str] = field(repr=False)


def converge(
    planned: Planned, start: Start, deadline: Deadline, *, wait: bool, roll_back: bool
) -> DeploymentStatus | None:
    """The status once the deployment runs as `planned`. `start` takes over a deployment without a supervisor.

    If the update fails, takes too long or is interrupted, the old plan serves again before the reason is raised. Raises
    PreflightRefused if the supervisor cannot release the deployment.
    """
    deployment = opened(planned.place.name)
    found, before = changes(deployment, planned), _before(deployment)
    if found.is_none:
        say("nothing to change")
        return _answers(deployment, deadline) if wait else None
    view.show_difference(found)
    dropped = [unit.name for unit in found.units if unit.action is Action.STOP]
    try:
        _stop(deployment, dropped, deadline)
        _let_go(deployment, deadline)
    except (DynkvError, KeyboardInterrupt):
        if deployment.is_supervised:
            _start_again(deployment, dropped)
        raise
    try:
        return start()
    except (DynkvError, KeyboardInterrupt):
        if roll_back:
            _bring_back(before)
        raise


def changes(deployment: Deployment, planned: Planned) -> Difference:
    """The differences to `planned`; raises DynkvError if the current plan cannot be read."""
    supervisor = read_status(deployment).supervisor
    if deployment.journal is None or deployment.journal.plan is None:
        raise DynkvError(
            f"the current plan of {deployment.place.name!r} cannot be read", where=str(deployment.place.journal)
        )
    is_same_version = supervisor is not None and supervisor.version == __version__
    running = _with_packages(deployment.journal.plan, planned.plan.python)
    return difference(running, planned.plan, is_same_version=is_same_version)


def _with_packages(plan: Plan, python: str) -> Plan:
    """The plan with the versions of its interpreter's packages, which a journal of before 0.3 lacks. They stay unknown
    if the interpreter is gone, and if it is also `python`, whose packages may have been changed since."""
    if plan.packages or not plan.workers or plan.python == python:
        return plan
    try:
        return replace(plan, packages=look_into(plan.python).packages)
    except PreflightRefused:
        return plan


def _before(deployment: Deployment) -> _Before:
    plan = deployment.journal.plan if deployment.journal else None
    assert plan is not None, "its changes are known"
    supervisor = supervisor_of(deployment.place)
    environ = (environment_of(supervisor.pid) if supervisor else None) or {}
    names = {name for unit in plan.units for name in (*unit.secret_env, *unit.own_secrets.values())}
    names |= {name for hook in plan.hooks for name in (hook.url_in, *hook.secret_env)}
    return _Before(deployment.place, plan, {name: environ[name] for name in names if name in environ})


def _answers(deployment: Deployment, deadline: Deadline) -> DeploymentStatus:
    client = deployment.client(deadline)

    def look() -> DeploymentStatus | NotYet:
        status = client.status()
        show(status)
        return status if status.state is not DeploymentState.STARTING else NotYet(status.detail)

    with progress() as show:
        status = poll(look, deadline, deployment, goal=NOT_READY, hint=LONGER)
    for unit in status.units:
        if status.state is DeploymentState.FAILED and unit.state is State.FAILED and (last := unit.last_exit):
            raise failed(unit, last)
    return status


def _stop(deployment: Deployment, names: list[str], deadline: Deadline) -> None:
    """Stop the units gracefully, while there is a supervisor to do it."""
    client = deployment.client(deadline)
    for name in names:
        client.ask_unit(name, "stop")

    def look() -> bool | NotYet:
        status = client.status()
        show(status)
        living = [unit.name for unit in status.units if unit.name in names and not has_ended(unit.state)]
        return NotYet(f"{', '.join(living)} run") if living else True

    with progress() as show:
        poll(look, deadline, deployment, goal="the dropped units had not stopped", hint=LONGER)


def _start_again(deployment: Deployment, names: list[str]) -> None:
    client = deployment.client()
    for name in names:
        client.ask_unit(name, "start")


def _let_go(deployment: Deployment, deadline: Deadline) -> None:
    name = deployment.place.name
    try:
        see_off(
            deployment,
            deadline,
            partial(_released, deployment.place),
            goal=f"the supervisor of {name} had not released it",
        )
    except DynkvError as error:
        if not deployment.is_supervised:
            return
        raise PreflightRefused(
            f"the supervisor of {name} does not release it: {error.what}",
            hint=f"`dynkv down {name}`, or stop the program that started it, then `dynkv up` again",
        ) from None


def _released(place: Place, client: Client) -> None:
    """Release the deployment. A supervisor before 0.2, which cannot, is killed: its processes are taken over all the
    same.

    One in the foreground is not killed: the program that started it would start it again.
    """
    try:
        client.release()
    except UsageError:
        old = supervisor_of(place)
        if old is None or b"--foreground" in command_line(old.pid):
            raise
        send_to(old.identity, signal.SIGKILL)


def _bring_back(before: _Before) -> None:
    """Return when the old plan serves again; a failure to do so is reported next to the first error."""
    say("rolling the change back")
    deployment, deadline = opened(before.place.name), Deadline()
    try:
        if deployment.is_supervised:
            _let_go(deployment, deadline)
        order = Order(before.plan, before.place, before.secrets)
        Attempt(order, orphans(before.place), deadline).start(lambda: None, wait=True)
    except DynkvError as error:
        say(f"it could not be rolled back: {error.what}")
    else:
        say(f"{before.place.name} serves as before")
