"""Giving back what a dead incarnation held: the same after a death, a takeover and a fault."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import anyio

from dynkv.children.child import Child
from dynkv.reclaim.discovery import purge
from dynkv.reclaim.ports import wait_for_ports
from dynkv.reclaim.shared_memory import remove_of
from dynkv.reclaim.sidecar import Outcome, Registrations, Sidecar, release
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.life import Life, Shared
from dynkv.supervisor.moments import seconds_of
from dynkv.supervisor.turns import Turn

Kept = Mapping[str, str]
"""Sidecars that keep a dead worker's GPU memory, with the message for each."""


def bury(life: Life, child: Child, started_at: str) -> None:
    """Let go of a child whose processes are gone, and of the files it left in shared memory."""
    child.reap()
    since = seconds_of(started_at)
    if since is not None and (removed := remove_of(child.pids, since=since)):
        life.event(EventKind.SHARED_MEMORY, f"removed {len(removed)} files that it left in /dev/shm", files=removed)


async def give_back(life: Life, dead: Registrations, *, final: bool = False) -> Kept:
    """Restore what the plan expects for the successor. Returns the sidecars to restart for that, with the reason.

    `dead` are the ids under which the unit had registered itself. With `final` the sidecar ends too.
    """
    life.part_with_child()
    life.shared.place.clear_tmpdir(life.unit.name)
    kept = {} if final else await _release_registrations(life, dead)
    began = anyio.current_time()
    for port, holder in (await wait_for_ports(life.unit.ports)).items():
        took = anyio.current_time() - began
        life.event(EventKind.PORT, f"port {port} is still held by {holder}", duration_s=took)
    return kept


async def _release_registrations(life: Life, dead: Registrations) -> Kept:
    holds_gpu, name = life.unit.gpu_memory_fraction is not None, life.unit.name
    sidecar, cause = life.shared.sidecar_of(life.unit), "the worker died"
    if sidecar is None or not dead:
        return {}
    if await keeps_memory(life.shared, sidecar, dead, cause, holds_gpu=holds_gpu, unit=name):
        return {sidecar.name: f"it does not release {name}'s GPU memory; its L1 is lost"}
    return {}


async def keeps_memory(
    shared: Shared, sidecar: Sidecar, dead: Registrations, cause: str, *, holds_gpu: bool, unit: str | None = None
) -> bool:
    """Have the sidecar release dead workers' registrations; whether it keeps GPU memory anyway."""
    began = anyio.current_time()
    try:
        outcome = await release(sidecar, dead, holds_gpu=holds_gpu)
    except OSError as error:  # the helper cannot be started; only the sidecar's own reaper is left
        shared.events.record(EventKind.SIDECAR, f"still registered: {error}", unit=unit, cause=cause)
        return False
    took = anyio.current_time() - began
    shared.events.record(EventKind.SIDECAR, str(outcome), unit=unit, cause=cause, duration_s=took)
    return outcome is Outcome.KEPT and holds_gpu


def let_go(life: Life, turn: Turn) -> None:
    """Let go of what others wait for before anything else: stop routing to the unit, and release its turn on the
    GPUs."""
    purge_discovery(life)
    turn.release()


def purge_discovery(life: Life) -> None:
    """Remove its discovery entries: as long as they exist, requests are routed to the dead worker."""
    directory = life.shared.discovery_dir
    if directory is None or not (life.unit.role.is_worker or life.unit.role.is_own):
        return
    began = anyio.current_time()
    if gone := purge(directory, partial(life.event, EventKind.DISCOVERY)):
        took = anyio.current_time() - began
        life.event(EventKind.DISCOVERY, f"removed {len(gone)} stale entries", duration_s=took, entries=gone)
