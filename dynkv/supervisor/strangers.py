"""Whether the unit's own process answers at its ports."""

from __future__ import annotations

from dynkv.children.child import Child
from dynkv.host.sockets import ports_of
from dynkv.plan.model import Unit
from dynkv.reclaim.ports import held_by_others

_SOCKETS_AGE_S = 1.0


async def who_answers_instead(unit: Unit, child: Child) -> str | None:
    """A foreign process that took the ports while the unit was starting, in words."""
    ports = {check.port for check in unit.probes.startup.checks} & {*unit.ports.values()}
    if not ports:
        return None
    for age_s in (_SOCKETS_AGE_S, 0.0):
        if ports <= ports_of((process.pid for process in child.members()), age_s):
            return None  # the usual case; looking at all processes of the host takes a hundred times longer
    return await held_by_others(ports, lambda: [process.pid for process in child.tree()])
