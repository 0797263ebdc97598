"""The board on which runners publish their snapshots and everyone else reads them."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from msgspec.structs import replace

from dynkv.plan.model import Condition, Dependency
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus


class Board:
    """The newest snapshot of every unit, published only by the unit's own runner."""

    def __init__(self) -> None:
        self._units: dict[str, UnitStatus] = {}
        self._changed = anyio.Event()

    def put(self, status: UnitStatus) -> None:
        """Publish a snapshot and notify waiting tasks, unless only a probe's duration has changed, which happens all
        the time."""
        before = self._units.get(status.name)
        self._units[status.name] = status
        if before is not None and _is_same(before, status):
            return
        self._changed.set()
        self._changed = anyio.Event()

    def __getitem__(self, unit: str) -> UnitStatus:
        return self._units[unit]

    @property
    def units(self) -> tuple[UnitStatus, ...]:
        return tuple(self._units.values())

    @property
    def missed(self) -> list[UnitStatus]:
        """Units that are missed: the deployment is not well without them."""
        return [unit for unit in self._units.values() if unit.is_missed]

    @property
    def incarnations(self) -> tuple[int | None, ...]:
        """The pid of each unit's process; changes when a process starts or ends."""
        return tuple(unit.pid for unit in self._units.values())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as `condition` holds; it is checked again whenever a snapshot changes."""
        while not condition():
            await self._changed.wait()

    def unmet(self, dependencies: tuple[Dependency, ...]) -> Dependency | None:
        """The first dependency that is not met at present."""
        return next((d for d in dependencies if not self._holds(d)), None)

    def _holds(self, dependency: Dependency) -> bool:
        status = self._units[dependency.unit]
        match dependency.condition:
            case Condition.READY:
                return status.state is State.READY
            case Condition.COMPLETED:
                return status.state is State.COMPLETED
            case Condition.STARTED:
                return status.started or status.state is State.COMPLETED


def _is_same(before: UnitStatus, now: UnitStatus) -> bool:
    """Whether snapshots are the same except for the probe's duration."""
    if before.probe is None or now.probe is None or now.probe.ok != before.probe.ok:
        return False
    return now.probe.detail == before.probe.detail and replace(now, probe=before.probe) == before
