"""The order of start and stop, derived from the graph of dependencies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import TopologicalSorter

from dynkv.plan.model import Condition, Dependency, Role, Unit

_STOP_ORDER = ((Role.FRONTEND,), (Role.PREFILL, Role.DECODE, Role.WORKER, Role.LMCACHE))


def start_stages(units: Sequence[Unit]) -> list[list[str]]:
    """Units that may start side by side, stage by stage. Raises graphlib.CycleError for circular dependencies."""
    sorter = TopologicalSorter({u.name: [d.unit for d in u.depends_on] for u in units})
    sorter.prepare()
    stages: list[list[str]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        stages.append(ready)
        sorter.done(*ready)
    return stages


def stop_stages(units: Sequence[Unit]) -> list[list[str]]:
    """Custom units first, since they use the stack; then the frontend drains, so that no request meets a dead
    worker; then nothing is in progress any more, and everything else ends side by side."""
    own = {u.name for u in units if u.role.is_own}
    stages = [[name for name in stage if name in own] for stage in reversed(start_stages(units))]
    stages += [[u.name for role in roles for u in units if u.role is role] for roles in _STOP_ORDER]
    return [stage for stage in stages if stage]


def worker_dependencies(
    role: Role, *, frontend: bool, sidecar: str | None, decode: Sequence[str]
) -> tuple[Dependency, ...]:
    """A worker sets up its connector with a healthy sidecar; prefill starts when every decode worker is ready."""
    first = [Dependency("frontend", Condition.STARTED)] if frontend else []
    if sidecar is not None:
        first.append(Dependency(sidecar, Condition.READY))
    if role is Role.PREFILL:
        first += [Dependency(name, Condition.READY) for name in decode]
    return tuple(first)
