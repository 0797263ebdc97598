"""The newest snapshots, and waiting for a condition on them."""

from __future__ import annotations

import anyio
import pytest

from dynkv.plan.model import Condition, Dependency
from dynkv.supervisor.board import Board
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus

pytestmark = pytest.mark.anyio


def status(state: State, name: str = "lmcache", *, started: bool = False) -> UnitStatus:
    return UnitStatus(name, "lmcache", state, started=started)


async def test_until_returns_at_once_when_it_holds() -> None:
    board = Board()
    with anyio.fail_after(1):
        await board.until(lambda: True)


async def test_until_is_woken_by_a_change_and_goes_on_waiting_while_it_does_not_hold() -> None:
    board, tried = Board(), 0

    def is_ready() -> bool:
        nonlocal tried
        tried += 1
        return board["lmcache"].state is State.READY

    board.put(status(State.PENDING))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(board.until, is_ready)
            for state in (State.STARTING, State.READY):
                await anyio.wait_all_tasks_blocked()
                board.put(status(state))
    assert tried == 3


async def test_a_unit_has_one_snapshot_the_newest() -> None:
    board = Board()
    board.put(status(State.PENDING))
    board.put(status(State.READY, "frontend"))
    board.put(status(State.STARTING))
    assert [(unit.name, unit.state) for unit in board.units] == [("lmcache", "starting"), ("frontend", "ready")]


@pytest.mark.parametrize(
    ("state", "started", "meets_started", "meets_ready"),
    [
        (State.PENDING, False, False, False),
        (State.STARTING, False, False, False),
        (State.STARTING, True, True, False),
        (State.READY, True, True, True),
        (State.UNREADY, True, True, False),
        (State.RECYCLING, False, False, False),
    ],
)
async def test_conditions(state: State, started: bool, meets_started: bool, meets_ready: bool) -> None:
    board = Board()
    board.put(status(state, started=started))
    by_start, by_ready = (Dependency("lmcache", condition) for condition in (Condition.STARTED, Condition.READY))
    assert board.unmet((by_start,)) == (None if meets_started else by_start)
    assert board.unmet((by_ready,)) == (None if meets_ready else by_ready)


async def test_the_first_unmet_is_named() -> None:
    board = Board()
    board.put(status(State.READY, "a", started=True))
    board.put(status(State.PENDING, "b"))
    board.put(status(State.PENDING, "c"))
    needs = tuple(Dependency(name, Condition.READY) for name in "abc")
    assert board.unmet(needs) == needs[1]
    assert board.unmet(()) is None
