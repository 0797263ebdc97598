"""What `up` does, without typer: from a profile to a deployment that answers requests."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import FrameType

from dynkv.cli.alarm import alarm
from dynkv.cli.attempt import LONGER, NOT_READY, Attempt
from dynkv.cli.inherited import let_signals_come
from dynkv.cli.joining import certificates, join
from dynkv.cli.launch import Order, become_supervisor
from dynkv.cli.planned import Planned, locate, make_plan, overrides
from dynkv.cli.prepare import prepare
from dynkv.cli.report import say
from dynkv.cli.streams import persevere
from dynkv.cli.takeover import Orphans, agree_to_end, orphans
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


def bring_up(
    profile: str,
    gpus: str | None = None,
    model: str | None = None,
    engine: str | None = None,
    device: str | None = None,
    name: str | None = None,
    sets: list[str] | None = None,
    no_lmcache: bool = False,
    foreground: bool = False,
    timeout: float | None = None,
    no_wait: bool = False,
    skip_checks: bool = False,
    replace: bool = False,
    no_rollback: bool = False,
) -> None:
    """Carry out `dynkv up`, whose arguments these are, and report."""
    let_signals_come()
    persevere()
    deadline = Deadline(timeout)
    loaded, where = locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets))
    where.create()
    plan = partial(_order, loaded, where, deadline, skip_checks=skip_checks, replace=replace)
    if foreground:
        with ExitStack() as held:
            become_supervisor(plan(held)[0])
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
        from dynkv.cli.started import show_started  # not needed until now

        show_started(status, where.directory)


def _start(
    plan: Callable[[ExitStack], tuple[Order, Orphans]],
    where: Place,
    deadline: Deadline,
    *,
    wait: bool,
    takes_back: bool = False,
) -> DeploymentStatus | None:
    """Start, and plan again if another program took a unit's port before it was ready: nobody has been told of it
    yet."""
    for tries_left in reversed(range(_TRIES)):
        with ExitStack() as held:
            order, before = plan(held)
            signal.signal(signal.SIGTERM, _interrupt)
            attempt = Attempt(order, before, deadline, takes_back)
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
) -> tuple[Order, Orphans]:
    """What the supervisor is to run, and what runs before it; nobody else can plan until `held` is closed. Raises
    TimedOut.

    It is the plan that was `shown`, unless somebody else has claimed one of its ports since.
    """
    claims = held.enter_context(Claims())
    with alarm(deadline, goal=NOT_READY, why="nothing was started yet", hint=LONGER):
        held.enter_context(planning(where.home))
        if has_supervisor(where):
            raise AlreadyRunning(where.name)
        is_free = shown is not None and not claims.hold(shown.plan.ports)
        planned = shown if shown and is_free else _plan(loaded, where, claims, skip_checks=skip_checks)
        before = orphans(where) if planned is shown else planned.before  # its supervisor has released it since
        replace = replace or _asked_about(planned, before)
        join(planned.plan)
        prepare(planned.plan.prepare)
    if replace:
        _end_earlier(where, deadline)
    if replace or planned.plan.prepare:  # making a model takes long
        before = orphans(where)
    secrets = {**kept_secrets(loaded.profile, planned.plan), **certificates(planned.plan)}
    return Order(planned.plan, where, secrets, replace, claims.descriptors), before


def _end_earlier(where: Place, deadline: Deadline) -> None:
    from dynkv.cli.deployments import opened
    from dynkv.cli.takedown import take_down

    if take_down(opened(where.name), deadline):
        say(f"the earlier processes of {where.name} have ended")


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


def _asked_about(planned: Planned, before: Orphans) -> bool:
    """Whether a person has agreed to end processes that no journal explains. Raises NotUnderstood if not."""
    if not before.processes:
        return False
    from dynkv.supervisor.succession import unclear  # with all that ends processes

    left = unclear(read_journal(planned.place.journal), planned.plan, planned.place)
    if left:
        agree_to_end(left, planned.place.name)
    return bool(left)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
