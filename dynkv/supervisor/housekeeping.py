"""Periodic tasks of a deployment: which processes belong to it, rotating logs, and cleaning up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio

from dynkv.children.output import rotate, size_of
from dynkv.children.tree import Host
from dynkv.host.asking import Questions
from dynkv.owned import not_own
from dynkv.plan.model import LogPolicy, Plan
from dynkv.reclaim.sidecar import Registrations
from dynkv.supervisor.aftermath import keeps_memory
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.life import Shared
from dynkv.supervisor.runner import Runner

_CENSUS_PERIOD_S, _LATER_CENSUS_PERIOD_S = 5.0, 20.0
_YOUNG_S = 120.0
"""Age in seconds up to which a child is checked often: processes are mostly started during a start, and looking at
all of /proc takes some 10 ms."""
_ROTATE_PERIOD_S = 2.0
_PATIENCE_S = 300.0
"""Most seconds for a rotation. Copying the largest log takes seconds, but a network disk that is gone may block
forever."""
_REQUESTS = LogPolicy(16 * 1024 * 1024, keep=0)
"""Policy for the requests that a recordable frontend writes: they matter only to a reader that follows along."""
_DISK = Questions()


async def take_census(shared: Shared, runners: Mapping[str, Runner]) -> None:
    """Record which processes belong to each child while their descent still shows it; orphans are recognised later."""
    known, since = shared.board.incarnations, anyio.current_time()
    while True:
        children = [runner.child for runner in runners.values() if runner.child is not None]
        if children:
            host = Host.now()
            for child in children:
                child.tree(host)
        if (current := shared.board.incarnations) != known:
            known, since = current, anyio.current_time()
        is_young = anyio.current_time() < since + _YOUNG_S
        await anyio.sleep(_CENSUS_PERIOD_S if is_young else _LATER_CENSUS_PERIOD_S)


async def rotate_logs(plan: Plan, shared: Shared) -> None:
    """Rotate everything that grows: logs of units, of the supervisor and its helpers, and the events."""
    units = {f"{unit.name}.log": unit.name for unit in plan.units}
    told: dict[Path, str] = {}
    while True:
        for path in (*sorted(shared.place.logs.glob("*.log")), shared.place.events):
            words, stays = await _looked_after(path, plan.logs)
            if words and words != told.get(path):
                shared.events.record(EventKind.LOG, words, unit=units.get(path.name))
            told[path] = words if stays else ""
        await _looked_after(shared.place.requests, _REQUESTS)
        await anyio.sleep(_ROTATE_PERIOD_S)


async def _looked_after(path: Path, policy: LogPolicy) -> tuple[str, bool]:
    """A message about a log, and whether the problem persists: then it is reported once."""
    if problem := not_own(path):
        return f"{path.name} takes no output: {problem}", True
    if size_of(path) <= policy.max_bytes:
        return "", False
    return await _rotated(path, policy), size_of(path) > policy.max_bytes


async def _rotated(path: Path, policy: LogPolicy) -> str:
    """The result for one log, in words."""
    try:
        await _DISK.ask(partial(rotate, path, policy.max_bytes, policy.keep), _PATIENCE_S)
    except TimeoutError:
        return f"{path.name} cannot be emptied: its disk has not answered for {_PATIENCE_S:g} s"
    except OSError as error:
        is_empty = size_of(path) <= policy.max_bytes
        return f"{path.name} {'was emptied without a copy' if is_empty else 'cannot be emptied'}: {error}"
    return f"{path.name} was rotated"


async def release_what_is_left(plan: Plan, shared: Shared, left: Registrations) -> list[str]:
    """Release what ended workers had registered at adopted sidecars; returns the sidecars that keep GPU memory
    anyway."""
    holds_gpu, cause = any(unit.gpu_memory_fraction is not None for unit in plan.workers), "their workers were ended"
    asked = shared.sidecars if left else ()
    return [it.name for it in asked if await keeps_memory(shared, it, left, cause, holds_gpu=holds_gpu)]
