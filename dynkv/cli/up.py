"""`up`: from a profile to a deployment that answers requests."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import FrameType
from typing import Annotated

import typer

from dynkv.cli.alarm import alarm
from dynkv.cli.attempt import LONGER, NOT_READY, Attempt
from dynkv.cli.deployments import opened
from dynkv.cli.joining import certificates, join
from dynkv.cli.launch import Order, become_supervisor
from dynkv.cli.options import (
    DeviceOption,
    EngineOption,
    GpusOption,
    ModelOption,
    NameOption,
    NoLMCacheOption,
    ProfileArgument,
    SetOption,
    seconds,
)
from dynkv.cli.planned import Planned, locate, make_plan, overrides
from dynkv.cli.prepare import prepare
from dynkv.cli.report import say
from dynkv.cli.started import show_started
from dynkv.cli.streams import persevere
from dynkv.cli.takedown import take_down
from dynkv.cli.takeover import agree_to_end, orphans
from dynkv.control.deadline import Deadline
from dynkv.errors import AlreadyRunning, UnitFailed
from dynkv.home import Place
from dynkv.host.claims import Claims
from dynkv.host.sockets import holders, is_free
from dynkv.locks import planning
from dynkv.plan.environment import kept_secrets
from dynkv.plan.model import Unit
from dynkv.profile.load import LoadedProfile
from dynkv.supervisor.journal import read_journal
from dynkv.supervisor.neighbours import has_supervisor
from dynkv.supervisor.status import DeploymentStatus

_TRIES = 3

ForegroundOption = Annotated[bool, typer.Option("--foreground", help="Stay in the foreground as the supervisor.")]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", parser=seconds, metavar="SECONDS", help="Give up after this long.")
]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Return as soon as the supervisor runs.")]
SkipChecksOption = Annotated[bool, typer.Option("--skip-checks", help="Start anyway when a check finds an error.")]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="End processes without a supervisor instead of taking them over.")
]

NoRollbackOption = Annotated[
    bool, typer.Option("--no-rollback", help="Do not roll back a failed update of a running deployment.")
]


def up(
    profile: ProfileArgument,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    foreground: ForegroundOption = False,
    timeout: TimeoutOption = None,
    no_wait: NoWaitOption = False,
    skip_checks: SkipChecksOption = False,
    replace: ReplaceOption = False,
    no_rollback: NoRollbackOption = False,
) -> None:
    """Start a deployment and wait until it answers requests, or update a running one to match the profile.

    The host is checked first, as by `dynkv doctor`. A start that fails, takes too long or is interrupted with Ctrl-C
    leaves nothing running. Processes without a supervisor are taken over, and keep running even if the start fails. In
    a running deployment only what has changed is restarted, one unit of a role after the other; `dynkv diff` shows it
    beforehand. A failed change is rolled back.
    """
    persevere()
    deadline = Deadline(timeout)
    loaded, where = locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets))
    where.create()
    plan = partial(_order, loaded, where, deadline, skip_checks=skip_checks, replace=replace)
    if foreground:
        with ExitStack() as held:
            become_supervisor(plan(held))
    wait = not no_wait
    if has_supervisor(where) and not replace:
        from dynkv.cli.converge import converge

        planned = _reported(_checked(make_plan(loaded, where), skip_checks=skip_checks))
        join(planned.plan)
        start = partial(_start, partial(plan, shown=planned), where, deadline, wait=wait, takes_back=not no_rollback)
        status = converge(planned, start, deadline, wait=wait, roll_back=not no_rollback)
    else:
        status = _start(plan, where, deadline, wait=wait)
    if status is not None:
        show_started(status, where.directory)


def _start(
    plan: Callable[[ExitStack], Order], where: Place, deadline: Deadline, *, wait: bool, takes_back: bool = False
) -> DeploymentStatus | None:
    """Start, and plan again if another program took a unit's port before it was ready: nobody has been told of it
    yet."""
    for tries_left in reversed(range(_TRIES)):
        with ExitStack() as held:
            order = plan(held)
            signal.signal(signal.SIGTERM, _interrupt)
            attempt = Attempt(order, orphans(where), deadline, takes_back)
            try:
                return attempt.start(held.close, wait=wait)
            except UnitFailed as error:
                lost = "" if attempt.before.processes else _lost_port(order.plan.unit(error.unit))
                if not (lost and tries_left):
                    raise
                say(f"{lost} meanwhile, so it is planned again")
    raise AssertionError("the last try returns or raises")


def _lost_port(unit: Unit) -> str:
    """Which port of an ended unit another program has taken, in words; empty if none."""
    lost = next((port for port in unit.ports.values() if not is_free(port)), None)
    return "" if lost is None else f"port {lost} of {unit.name} was taken by {holders().get(lost, 'another program')}"


def _order(
    loaded: LoadedProfile,
    where: Place,
    deadline: Deadline,
    held: ExitStack,
    *,
    skip_checks: bool,
    replace: bool,
    shown: Planned | None = None,
) -> Order:
    """What the supervisor is to run; nobody else can plan until `held` is closed. Raises TimedOut.

    It is the plan that was `shown`, unless somebody else has claimed one of its ports since.
    """
    claims = held.enter_context(Claims())
    with alarm(deadline, goal=NOT_READY, why="nothing was started yet", hint=LONGER):
        held.enter_context(planning(where.home))
        if has_supervisor(where):
            raise AlreadyRunning(where.name)
        is_free = shown is not None and not claims.hold(shown.plan.ports)
        planned = shown if shown and is_free else _plan(loaded, where, claims, skip_checks=skip_checks)
        replace = replace or _asked_about(planned)
        join(planned.plan)
        prepare(planned.plan.prepare)
    if replace and take_down(opened(where.name), deadline):
        say(f"the earlier processes of {where.name} have ended")
    secrets = {**kept_secrets(loaded.profile, planned.plan), **certificates(planned.plan)}
    return Order(planned.plan, where, secrets, replace, claims.descriptors)


def _plan(loaded: LoadedProfile, where: Place, claims: Claims, *, skip_checks: bool) -> Planned:
    """Plan and report findings. Raises PreflightRefused for the first error."""
    return _reported(_checked(make_plan(loaded, where, claims), skip_checks=skip_checks))


def _reported(planned: Planned) -> Planned:
    if planned.warnings:
        from dynkv.cli.view import show_findings  # with rich

        show_findings(planned.warnings)
    for note in planned.plan.notes:
        say(f"note: {note}")
    return planned


def _checked(planned: Planned, *, skip_checks: bool) -> Planned:
    """The plan, checked. Raises PreflightRefused for the first error."""
    if skip_checks:
        planned = planned.with_errors_as_warnings()
    planned.refuse_errors()
    return planned


def _asked_about(planned: Planned) -> bool:
    """Whether a person has agreed to end processes that no journal explains. Raises NotUnderstood if not."""
    if not orphans(planned.place).processes:
        return False
    from dynkv.supervisor.succession import unclear  # with all that ends processes

    left = unclear(read_journal(planned.place.journal), planned.plan, planned.place)
    if left:
        agree_to_end(left, planned.place.name)
    return bool(left)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
