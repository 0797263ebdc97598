"""Updating units that run according to an earlier plan, one after the other in the order of a start, so that others
of each role keep serving."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import anyio

from dynkv.plan.model import Role, Unit
from dynkv.plan.order import start_stages
from dynkv.supervisor.board import Board
from dynkv.supervisor.states import State, has_ended
from dynkv.supervisor.status import UnitStatus

CAUSE = "its plan has changed"
_TAKEN_OVER_S = 5.0
"""Seconds in which an adopted unit has usually shown that it is well: until then nothing is known to serve
meanwhile."""
_SETTLED_S = 1.0
"""Seconds in which a unit without probes that cannot run as planned has usually died."""
_ON_THE_WAY = (State.PENDING, State.STARTING)


async def renew(
    units: Iterable[Unit], board: Board, restart: Callable[[str, str], object], before: Mapping[str, Unit]
) -> None:
    """Return when no unit is outdated; or when an updated one has died, and the others stay as they are.

    `before`: the outdated units, as they were.
    """
    planned = {unit.name: unit for unit in units}
    with anyio.move_on_after(_TAKEN_OVER_S):
        await board.until(lambda: not any(unit.outdated and unit.state in _ON_THE_WAY for unit in board.units))
    for name in (name for stage in start_stages([*planned.values()]) for name in stage):
        if not board[name].outdated:
            continue
        restart(name, CAUSE)
        await board.until(partial(_is_over, board, name, waits_for_others=_waits_for_others(planned, before, name)))
        if board[name].state is State.READY and not planned[name].probes.readiness.checks:
            await anyio.sleep(_SETTLED_S)
        if _has_died(board[name]):
            return


def _waits_for_others(planned: Mapping[str, Unit], before: Mapping[str, Unit], name: str) -> bool:
    """Whether the unit can only be ready after later ones: a frontend is when it knows the model, and before the
    first new worker nobody serves it under another name."""
    unit, old = planned[name], before.get(name)
    return unit.role is Role.FRONTEND and old is not None and _asked(unit) != _asked(old)


def _asked(unit: Unit) -> list[str]:
    return [check.path for check in unit.probes.readiness.checks]


def _is_over(board: Board, name: str, *, waits_for_others: bool) -> bool:
    """Whether the unit's turn is over, also because somebody has requested something else meanwhile."""
    unit = board[name]
    if unit.outdated:
        return False
    serves = unit.state is State.READY or (waits_for_others and unit.started)
    return serves or has_ended(unit.state) or _has_died(unit)


def _has_died(unit: UnitStatus) -> bool:
    """Whether it has died by itself since it was restarted; a job only for good, since until then it is retried."""
    if unit.role == Role.JOB:
        return unit.state is State.FAILED
    return unit.last_exit is not None and not unit.last_exit.asked


def kept_as_they_were(before: Mapping[str, Unit], units: Iterable[Unit]) -> dict[str, Unit]:
    """Units that are planned differently now, by name and as they were, if they can keep running until it is their
    turn.

    A unit that has other GPUs now cannot: it would keep what another unit may be waiting for.
    """
    planned = {unit.name: unit for unit in units}
    changed = {name: old for name, old in before.items() if name in planned and planned[name].digest() != old.digest()}
    return {name: old for name, old in changed.items() if old.gpus == planned[name].gpus}
