"""One attempt to start a deployment: launch it, wait for it, and undo it if it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from msgspec import Struct

from dynkv.cli.launch import NeverCameUp, Order, launch
from dynkv.cli.report import say
from dynkv.cli.status_text import in_words
from dynkv.cli.takeover import Orphans
from dynkv.control.deadline import Deadline
from dynkv.errors import DynkvError, PreflightRefused, UnitFailed
from dynkv.plan.model import Role
from dynkv.supervisor.journal import JournalFile
from dynkv.supervisor.moments import seconds_of
from dynkv.supervisor.states import State, is_well
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, LastExit, UnitStatus

if TYPE_CHECKING:
    from dynkv.cli.poll import NotYet

NOT_READY, LONGER = "not ready", "increase --timeout"
_SETTLED_S, _CHANGED_S = 0.05, 0.95
"""Time in which a misconfigured program has usually failed; the second value if something ran before."""

_FOUND_S = 10.0
"""Ample time for a frontend to find a ready worker, in seconds."""
_SHORTLY_S = 0.001
"""The least to wait, in seconds."""


class _TakenDown(DynkvError):
    """Somebody took the deployment down meanwhile."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was taken down while it started", hint="see `dynkv events`")


class Attempt(Struct, frozen=True):
    order: Order
    before: Orphans
    """What ran before this attempt, and is not ended by it."""
    deadline: Deadline
    takes_back: bool = False
    """Whether the caller looks after what a failed attempt leaves."""

    def start(self, launched: Callable[[], None], *, wait: bool) -> DeploymentStatus | None:
        """The status once the deployment answers requests. `launched` is called as soon as there is a supervisor.

        An attempt that fails, takes too long or is interrupted leaves nothing running except what it took over.
        """
        try:
            launch(self.order, self.deadline, spare=bool(self.before.processes))
            launched()
            return self._answered() if wait else None
        except (PreflightRefused, NeverCameUp, _TakenDown):
            raise
        except (DynkvError, KeyboardInterrupt):
            if not self.takes_back:
                self._undo()
            raise

    def _answered(self) -> DeploymentStatus:
        # while the supervisor starts the units there is time for it
        from dynkv.cli.deployments import opened
        from dynkv.cli.poll import NotYet, poll
        from dynkv.cli.progress import progress

        deployment = opened(self.order.place.name)
        client = deployment.client(self.deadline)
        taken_over = self.before.units_taken_over(deployment.journal) - self._outdated(deployment.journal)
        since: dict[tuple[str, int], float] = {}

        def look() -> DeploymentStatus | NotYet:
            status = client.status()
            show(status)
            _raise_if_dead(status, taken_over)  # also one that runs again: it may be about to die again
            is_new = not any(unit.outdated for unit in status.units)
            if (status.state is DeploymentState.READY or _only_rests(status)) and is_new:
                now = time.monotonic()
                seen_s = [now - since.setdefault((it.name, it.pid or 0), now) for it in status.units]
                settled_in_s = max(map(self._settled_in_s, status.units, seen_s), default=0.0)
                return NotYet("it has just begun", again_s=settled_in_s) if settled_in_s else status
            missing = "; ".join(in_words(it) for it in status.units if not _is_well(it))
            return NotYet(status.detail or missing, hint=where_to_look(status))

        with progress() as show:
            return poll(look, self.deadline, deployment, goal=NOT_READY, hint=LONGER)

    def _settled_in_s(self, unit: UnitStatus, seen_s: float) -> float:
        """Until a unit without probes, seen in one process for `seen_s`, is not about to die of a wrong argument: it
        counts as ready as soon as it runs."""
        if unit.pid is None or self.order.plan.unit(unit.name).probes.readiness.checks:
            return 0.0
        settled_s = _CHANGED_S if self.before.processes else _SETTLED_S
        since = None if unit.started_at is None else seconds_of(unit.started_at)
        ran_s = seen_s if since is None else max(time.time() - since, seen_s)
        return 0.0 if ran_s >= settled_s else max(settled_s - ran_s, _SHORTLY_S)

    def _outdated(self, journal: JournalFile | None) -> frozenset[str]:
        """Units that still run as an earlier plan had them, until they are restarted."""
        planned = {unit.name: unit.digest() for unit in self.order.plan.units}
        children = journal.children if journal else {}
        return frozenset(name for name, child in children.items() if child.digest != planned.get(name))

    def _undo(self) -> None:
        from dynkv.cli.deployments import opened
        from dynkv.cli.takedown import take_down

        deployment = opened(self.order.place.name)
        name = deployment.place.name
        if self.before.were_taken_over(deployment.journal):
            say(f"{name} took over the processes that ran before, and leaves them running; `dynkv down {name}` ends it")
            return
        say("taking it down again")
        take_down(deployment)


def where_to_look(status: DeploymentStatus) -> str:
    """A hint where waiting longer hardly helps: the frontend does not find workers that have been ready for a while."""
    workers = [unit for unit in status.units if Role(unit.role).is_worker]
    late = [unit for unit in status.units if not _is_well(unit)]
    is_alone = [(unit.role, unit.started) for unit in late] == [(Role.FRONTEND, True)]
    if not is_alone or not workers or any(_ready_s(worker) < _FOUND_S for worker in workers):
        return ""
    logs = f"`dynkv logs {late[0].name}` and `dynkv logs {workers[0].name}`"
    return f"the workers are ready, but the frontend does not find the model: {logs} may say why"


def _ready_s(unit: UnitStatus) -> float:
    """For how long it has been ready."""
    return 0.0 if unit.uptime_s is None or unit.ready_after_s is None else unit.uptime_s - unit.ready_after_s


def _is_well(unit: UnitStatus) -> bool:
    return is_well(unit.state) and not unit.outdated


def _only_rests(status: DeploymentStatus) -> bool:
    """Whether it answers requests, and all units that do not run were stopped on purpose under an earlier
    supervisor."""
    if status.state is not DeploymentState.DEGRADED:
        return False
    return all(is_well(unit.state) or unit.state is State.STOPPED for unit in status.units if unit.is_missed)


def failed(unit: UnitStatus, last: LastExit) -> UnitFailed:
    """The error for a unit that died, with the last lines of its log."""
    return UnitFailed(unit.name, last.reason, log=unit.log, tail="\n".join(last.log_tail), hint=last.hint)


def _raise_if_dead(status: DeploymentStatus, taken_over: Collection[str]) -> None:
    """Raise for a dead unit. Units that were taken over have served: they are restarted, and only their last death
    counts."""
    for unit in status.units:
        may_go_on = unit.name in taken_over or unit.role == Role.JOB  # a job is tried again
        is_over = unit.state is State.FAILED or not may_go_on
        if unit.last_exit is not None and is_over and not unit.last_exit.asked:
            raise failed(unit, unit.last_exit)
    if status.state in (DeploymentState.STOPPING, DeploymentState.STOPPED):
        raise _TakenDown(status.name)
