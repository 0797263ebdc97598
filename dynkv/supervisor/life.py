"""A unit's state and snapshot, and their only writer: what it tells holds none of the unit's secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dynkv.cluster.view import ClusterView
from dynkv.home import Place
from dynkv.plan.model import Unit
from dynkv.probes.scrape import Figures
from dynkv.reclaim.sidecar import Sidecar
from dynkv.secrets import hidden, masked
from dynkv.supervisor.board import Board
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.journal import Journal
from dynkv.supervisor.standby import StandbyRunner
from dynkv.supervisor.states import State, advance, has_ended
from dynkv.supervisor.status import LastExit, UnitStatus
from dynkv.supervisor.turns import Turns

WORTH_TELLING_S = 0.5
"""A wait that took longer is an event."""
_WAITS = (State.PENDING, State.BACKOFF)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the units of one deployment have in common."""

    place: Place
    board: Board
    events: EventLog
    journal: Journal
    turns: Turns
    discovery_dir: Path | None = None
    sidecars: tuple[Sidecar, ...] = ()
    standbys: tuple[StandbyRunner, ...] = ()
    cluster: ClusterView | None = None
    """None on a machine of its own."""
    figures: Figures = field(default_factory=Figures)
    """What units say at their /metrics: asked for once, for all who want to know."""
    hang_checks: dict[str, int] = field(default_factory=dict)
    """How often each unit was looked at, whether it makes progress."""

    def sidecar_of(self, unit: Unit) -> Sidecar | None:
        """The one that a worker starts after."""
        needs = {dependency.unit for dependency in unit.depends_on} if unit.role.is_worker else ()
        return next((sidecar for sidecar in self.sidecars if sidecar.name in needs), None)

    def standby_of(self, unit: Unit) -> StandbyRunner | None:
        """The one that the unit may start from."""
        planned = ((standby, standby.planned) for standby in self.standbys)
        return next((it for it, plan in planned if unit.role in plan.roles and unit.name not in plan.others), None)


class Life:
    """Every change is on the board when the call returns; a change of state is an event, too."""

    def __init__(self, unit: Unit, shared: Shared, before: Unit | None = None) -> None:
        """`before`: as an earlier plan had it, where it still runs so."""
        state = State.COMPLETED if unit.name in shared.journal.content.completed else State.PENDING
        self.unit = before or unit
        self._planned = unit
        self.shared = shared
        self.log = shared.place.logs / f"{unit.name}.log"
        self._status = UnitStatus(
            name=unit.name, role=unit.role, state=state, gpus=unit.gpus, ports=unit.ports, log=str(self.log)
        )
        self.publish(gpus=self.unit.gpus, ports=self.unit.ports, outdated=before is not None)

    @property
    def state(self) -> State:
        return self._status.state

    @property
    def status(self) -> UnitStatus:
        return self._status

    def publish(self, **changes: Any) -> None:
        """Change these fields of the snapshot, all at once."""
        if (last := changes.get("last_exit")) is not None:
            changes["last_exit"] = self._without_secrets(last)
        self._status = replace(self._status, **changes)
        self.shared.board.put(self._status)

    def go(self, new: State, cause: str, *, duration_s: float | None = None, **data: object) -> None:
        """Raises IllegalTransition, and has changed nothing then."""
        old = self._status.state
        advance(self.unit.name, old, new)
        if State.COMPLETED in (old, new):
            self.shared.journal.note_completed(self.unit, is_so=new is State.COMPLETED)
        if has_ended(new):  # until then, the record of its successor takes the place of its own
            self.shared.journal.forget(self.unit.name)
        self.publish(state=new, waiting_for=self._status.waiting_for if new in _WAITS else None)
        self.event(EventKind.STATE, f"{old} → {new}", cause=cause, duration_s=duration_s, old=old, new=new, **data)

    def part_with_child(self) -> None:
        """Nothing of it runs any more."""
        gone: dict[str, Any] = dict.fromkeys(("pid", "ready_after_s", "probe", "started_at"))
        self.publish(**gone, started=False, log_start_byte=0, loras=())

    def renew(self) -> None:
        """What starts from now on is as it is planned now."""
        if self.unit is not self._planned:
            self.unit = self._planned
            self.publish(gpus=self.unit.gpus, ports=self.unit.ports, outdated=False)

    def wait_for(self, what: str | None) -> None:
        """What keeps it from starting, in words."""
        if what != self._status.waiting_for:
            self.publish(waiting_for=what)

    def note_hang_check(self) -> None:
        checks = self.shared.hang_checks
        checks[self.unit.name] = checks.get(self.unit.name, 0) + 1

    def event(
        self, kind: EventKind, message: str, *, cause: str = "", duration_s: float | None = None, **data: object
    ) -> None:
        message, cause = (hidden(text, secrets_of(self.unit).values()) for text in (message, cause))
        self.shared.events.record(kind, message, unit=self.unit.name, cause=cause, duration_s=duration_s, **data)

    def _without_secrets(self, last: LastExit) -> LastExit:
        """Reason, hint and last lines come from the unit's log, where it may have written anything."""
        known = secrets_of(self.unit).values()
        reason, hint, *lines = (masked(hidden(text, known)) for text in (last.reason, last.hint, *last.log_tail))
        return replace(last, reason=reason, hint=hint, log_tail=tuple(lines))


def secrets_of(unit: Unit) -> dict[str, str]:
    """What this process has for it, by the names by which it is given them."""
    kept = {**{name: name for name in unit.secret_env}, **unit.own_secrets}
    return {name: os.environ[by] for name, by in kept.items() if by in os.environ}
