"""Which units of a role stay when fewer are wanted, and which start when more are. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus

_KEPT_FIRST = (
    (State.READY,),
    (State.UNREADY, State.STARTING),
    (State.PENDING,),
    (State.RECYCLING, State.RECLAIMING, State.BACKOFF),
    (State.STOPPING,),
    (State.STOPPED, State.COMPLETED),
    (State.FAILED,),
)


def kept(units: Sequence[UnitStatus], replicas: int) -> frozenset[str]:
    """Names of the `replicas` units that should run: healthy ones stay, and among equals the first."""
    rank = {state: number for number, states in enumerate(_KEPT_FIRST) for state in states}
    return frozenset(unit.name for unit in sorted(units, key=lambda unit: rank[unit.state])[:replicas])
