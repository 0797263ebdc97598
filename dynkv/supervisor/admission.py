"""What a unit needs before it may start: its dependencies, a parked standby, its turn on its GPUs, GPU memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio

from dynkv.plan.model import Dependency, Role
from dynkv.reclaim.gpu import DEADLINE_S, Short, Shortage, Unknown, wait_for_memory
from dynkv.reclaim.sidecar import is_there
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.life import WORTH_TELLING_S, Life
from dynkv.supervisor.peers import Peers
from dynkv.supervisor.standby import StandbyRunner
from dynkv.supervisor.states import State
from dynkv.supervisor.turns import Turn

_IMPORTS_DEADLINE_S = 120.0
"""How long to wait for imports. Measured: 8 to 22 s, on a cold disk too."""
_SIDECAR_DEADLINE_S = 60.0
_PERIOD_S = 0.25
_FREED_WITHIN_S = 0.5
"""How long freed memory may take to show. Measured: 0.1 s after the last process that mapped it has released it
(H100)."""


async def dependencies(life: Life, standby: StandbyRunner | None = None) -> None:
    """Return when all dependencies of the unit are met. A unit that starts from a `standby` that was parked for the
    host need not wait for its sidecar if that does too.

    A sidecar that is ready must also answer right now. A killed one with 20 GiB of pinned memory takes 2.4 s to die and
    counts as ready until then; a worker that starts in that time waits for it in vain.
    """
    board, sidecar = life.shared.board, life.shared.sidecar_of(life.unit)

    def unmet() -> Dependency | None:
        spared = _spared(life, standby)
        return board.unmet(tuple(it for it in life.unit.depends_on if it.unit != spared))

    deadline = anyio.current_time() + _SIDECAR_DEADLINE_S
    while True:
        while (missing := unmet()) is not None:
            life.wait_for(f"{missing.unit} to be {missing.condition}")
            await board.until(partial(_is_other, unmet, missing))
            deadline = anyio.current_time() + _SIDECAR_DEADLINE_S
        if sidecar is None or _spared(life, standby) or anyio.current_time() >= deadline:
            return
        if await is_there(sidecar):
            return
        life.wait_for("the sidecar to answer")
        await anyio.sleep(_PERIOD_S)


def _is_other(now: Callable[[], Dependency | None], before: Dependency) -> bool:
    return now() != before


def _spared(life: Life, standby: StandbyRunner | None) -> str | None:
    """The sidecar that the unit need not wait for, since its first process is starting, and both start from what was
    parked for the host: it is ready within two seconds, before a worker needs it. What a worker sends before it listens
    waits, also for a second process.

    One that was taken over did not start from its standby, and may hang or be dying.
    """
    sidecar = life.shared.sidecar_of(life.unit)
    if sidecar is None or standby is None or not standby.starts_at_once:
        return None
    found, its = life.shared.board[sidecar.name], life.shared.standby_for(Role.LMCACHE, sidecar.name)
    is_first = its is not None and its.starts_at_once and its.launched == 1
    return sidecar.name if is_first and found.state is State.STARTING and found.pid is not None else None


async def imports(life: Life, standby: StandbyRunner) -> bool:
    """Wait for the standby; whether it has settled in time: it is parked, or will not be soon."""
    life.wait_for("the imports that workers share")
    with anyio.move_on_after(_IMPORTS_DEADLINE_S) as waiting:
        await standby.settled()
    if waiting.cancelled_caught:
        life.event(
            EventKind.STANDBY,
            "starts without the standby",
            cause=f"the imports take more than {_IMPORTS_DEADLINE_S:g} s",
        )
    return not waiting.cancelled_caught


async def turn_with_memory(life: Life, peers: Peers) -> Turn:
    """The turn on the unit's GPUs, with the memory that it needs free, or waited for in vain.

    A unit with a turn never waits for another unit, which may need the turn to do what it is waited for.
    """
    began = anyio.current_time()
    turn, short = await _turn_and_shortage(life, _FREED_WITHIN_S)
    if short:
        turn.release()
        if all(_is_mapped(life, peers, shortage) for shortage in short):
            life.wait_for(f"those that map its memory: {short[0]}")
            await peers.restart_mappers(life.unit.name)
        turn, short = await _turn_and_shortage(life, DEADLINE_S)
    _tell_of_wait(life, short, anyio.current_time() - began)
    life.wait_for(None)
    return turn


def _is_mapped(life: Life, peers: Peers, shortage: Shortage | Unknown) -> bool:
    """Whether there would be enough if living units did not map memory of the unit's dead incarnation."""
    return isinstance(shortage, Shortage) and shortage.would_do(
        peers.beyond_share(life.unit.name, dict(shortage.memory.used_by), shortage.memory.total_bytes)
    )


async def _turn_and_shortage(life: Life, deadline_s: float) -> tuple[Turn, Short]:
    """The turn, and the memory still missing at the deadline."""
    life.wait_for("its turn on the GPU" if life.unit.gpus else None)
    turn, fraction = await life.shared.turns.take(life.unit.gpus), life.unit.gpu_memory_fraction
    if fraction is None:
        return turn, []
    try:
        unit = life.unit
        return turn, await wait_for_memory(unit.gpus, fraction, life.wait_for, deadline_s, unit.kv_cache_bytes)
    except BaseException:
        turn.release()
        raise


def _tell_of_wait(life: Life, short: Short, took_s: float) -> None:
    if life.unit.gpu_memory_fraction is None:
        return
    for shortage in short:
        life.event(EventKind.GPU_MEMORY, str(shortage), cause="starting anyway", duration_s=took_s)
    if not short and took_s > WORTH_TELLING_S:
        life.event(EventKind.GPU_MEMORY, "the memory that it needs is free", duration_s=took_s)


def start_cause(life: Life) -> str:
    """Why the unit starts now, in words."""
    board, needs = life.shared.board, life.unit.depends_on
    found = ((it, it.condition if board.unmet((it,)) is None else board[it.unit].state) for it in needs)
    return ", ".join(f"{it.unit} is {state}" for it, state in found) or "depends on nothing"
