"""`up`: from a profile to a deployment that answers requests."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from types import FrameType
from typing import Annotated

import typer

from dynkv.cli import view
from dynkv.cli.alarm import alarm
from dynkv.cli.deployments import Deployment, find, opened
from dynkv.cli.launch import become_supervisor, launch
from dynkv.cli.options import (
    DeviceOption,
    EngineOption,
    GpusOption,
    ModelOption,
    NameOption,
    NoLMCacheOption,
    ProfileArgument,
    SetOption,
)
from dynkv.cli.planned import Planned, locate, make_plan, overrides
from dynkv.cli.poll import NotYet, poll
from dynkv.cli.prepare import prepare
from dynkv.cli.progress import progress
from dynkv.cli.report import say
from dynkv.cli.streams import persevere
from dynkv.cli.takedown import take_down
from dynkv.cli.units import in_words
from dynkv.control.deadline import Deadline
from dynkv.errors import AlreadyRunning, DynkvError, TimedOut, UnitFailed
from dynkv.home import Place
from dynkv.locks import planning
from dynkv.profile.load import LoadedProfile
from dynkv.profile.secrets import only_secrets
from dynkv.supervisor.status import DeploymentState, DeploymentStatus

_GOAL, _HINT = "not ready", "give it longer with --timeout"
_INTERRUPTED = 130


def up(
    profile: ProfileArgument,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, and be the supervisor.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, metavar="SECONDS", help="Give up after this long.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return as soon as the supervisor runs.")] = False,
    skip_checks: Annotated[
        bool, typer.Option("--skip-checks", help="Start all the same when a check finds an error.")
    ] = False,
) -> None:
    """Start a deployment and wait until it answers requests.

    The host is checked first, as by `dynkv doctor`. A start that fails, takes too long or is interrupted with Ctrl-C
    leaves nothing running. Where a supervisor has died, what still runs is taken over.
    """
    persevere()
    deadline = Deadline(timeout)
    loaded, where = locate(profile, name, overrides(gpus, model, engine, device, no_lmcache, sets))
    where.create()
    with ExitStack() as held:
        with alarm(deadline, goal=_GOAL, why="nothing was started yet", hint=_HINT):
            held.enter_context(planning(where.home))
            planned = _plan(loaded, where, skip_checks=skip_checks)
            prepare(planned.plan.prepare)
        secrets = only_secrets(loaded.profile.env)
        if foreground:
            become_supervisor(planned.plan, where, secrets)
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            launch(planned.plan, where, secrets, deadline)
        except (KeyboardInterrupt, TimedOut) as error:
            take_down(opened(where.name))
            if isinstance(error, TimedOut):
                raise
            raise typer.Exit(_INTERRUPTED) from None
    if not no_wait:
        _wait_or_take_down(where, deadline)


def _plan(loaded: LoadedProfile, where: Place, *, skip_checks: bool) -> Planned:
    """Raises PreflightRefused for what speaks against it, and tells of the rest."""
    if where.has_supervisor():
        raise AlreadyRunning(where.name)
    planned = make_plan(loaded, where)
    if skip_checks:
        planned = planned.with_errors_as_warnings()
    planned.refuse_errors()
    view.show_findings(planned.warnings)
    for note in planned.plan.notes:
        say(f"note: {note}")
    return planned


def _wait_or_take_down(where: Place, deadline: Deadline) -> None:
    """A start that fails, takes too long or is interrupted leaves nothing running."""
    deployment = find(where.name)
    try:
        status = _wait(deployment, deadline)
    except (DynkvError, KeyboardInterrupt) as error:
        say("taking it down again")
        take_down(deployment)
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(_INTERRUPTED) from None
        raise
    view.show_started(status, where.directory)


def _wait(deployment: Deployment, deadline: Deadline) -> DeploymentStatus:
    client = deployment.client(deadline)

    def look() -> DeploymentStatus | NotYet:
        status = client.status()
        show(status)
        if status.state is DeploymentState.READY:
            return status
        _raise_if_dead(status)
        return NotYet(status.detail or "; ".join(in_words(unit) for unit in status.units if unit.state != "ready"))

    with progress() as show:
        return poll(look, deadline, deployment, goal=_GOAL, hint=_HINT)


def _raise_if_dead(status: DeploymentStatus) -> None:
    for unit in status.units:
        if unit.last_exit is not None:
            last = unit.last_exit
            raise UnitFailed(unit.name, last.reason, log=unit.log, tail="\n".join(last.log_tail), hint=last.hint)
    if status.state in (DeploymentState.STOPPING, DeploymentState.STOPPED):
        raise DynkvError(f"{status.name} was taken down while it started", hint="see `dynkv events`")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
