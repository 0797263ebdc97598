"""A unit's state and snapshot, and their only writer: nothing it reports contains the unit's secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from dynkv.cluster.view import ClusterView
from dynkv.home import Place
from dynkv.plan.model import Role, Unit
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
"""A longer wait, in seconds, is recorded as an event."""
_WAITS = (State.PENDING, State.BACKOFF)


class Shared(Struct, frozen=True):
    """What the units of one deployment share."""

    place: Place
    board: Board
    events: EventLog
    journal: Journal
    turns: Turns
    discovery_dir: Path | None = None
    sidecars: tuple[Sidecar, ...] = ()
    standbys: tuple[StandbyRunner, ...] = ()
    cluster: ClusterView | None = None
    """None outside of a cluster."""
    figures: Figures = field(default_factory=Figures)
    """Contents of the units' /metrics, requested once for all who need them."""
    hang_checks: dict[str, int] = field(default_factory=dict)
    """How many times each unit was checked for a hang."""

    def sidecar_of(self, unit: Unit) -> Sidecar | None:
        """The sidecar that a worker starts after."""
        needs = {dependency.unit for dependency in unit.depends_on} if unit.role.is_worker else ()
        return next((sidecar for sidecar in self.sidecars if sidecar.name in needs), None)

    def standby_of(self, unit: Unit) -> StandbyRunner | None:
        """The standby that the unit may start from."""
        return self.standby_for(unit.role, unit.name)

    def standby_for(self, role: Role, name: str) -> StandbyRunner | None:
        """The same for a unit of this role and name."""
        planned = ((standby, standby.planned) for standby in self.standbys)
        return next((it for it, plan in planned if role in plan.roles and name not in plan.others), None)


class Life:
    """One unit's life. Each change is on the board when the call returns; a change of state is also an event."""

    def __init__(self, unit: Unit, shared: Shared, before: Unit | None = None) -> None:
        """`before`: the unit of an earlier plan, if it still runs like that."""
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
        """Change the state. Raises IllegalTransition, and then changes nothing."""
        old = self._status.state
        advance(self.unit.name, old, new)
        if State.COMPLETED in (old, new):
            self.shared.journal.note_completed(self.unit, is_so=new is State.COMPLETED)
        if has_ended(new):  # otherwise the record of its successor replaces its own
            self.shared.journal.forget(self.unit.name)
        self.publish(state=new, waiting_for=self._status.waiting_for if new in _WAITS else None)
        self.event(EventKind.STATE, f"{old} → {new}", cause=cause, duration_s=duration_s, old=old, new=new, **data)

    def part_with_child(self) -> None:
        """Note that nothing of the unit runs any more."""
        gone: dict[str, Any] = dict.fromkeys(("pid", "ready_after_s", "probe", "started_at"))
        self.publish(**gone, started=False, log_start_byte=0, loras=())

    def renew(self) -> None:
        """Note that the next process starts according to the current plan."""
        if self.unit is not self._planned:
            self.unit = self._planned
            self.publish(gpus=self.unit.gpus, ports=self.unit.ports, outdated=False)

    def wait_for(self, what: str | None) -> None:
        """Publish what keeps the unit from starting, in words."""
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
        """The last exit without secrets: reason, hint and last lines come from the unit's log, which may contain
        anything."""
        known = secrets_of(self.unit).values()
        reason, hint, *lines = (masked(hidden(text, known)) for text in (last.reason, last.hint, *last.log_tail))
        return replace(last, reason=reason, hint=hint, log_tail=tuple(lines))


def secrets_of(unit: Unit) -> dict[str, str]:
    """The values of a unit's secrets in this process, by the names under which the unit gets them."""
    kept = {**{name: name for name in unit.secret_env}, **unit.own_secrets}
    return {name: os.environ[by] for name, by in kept.items() if by in os.environ}
