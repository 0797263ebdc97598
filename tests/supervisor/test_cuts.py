"""Requests cut by an end, as the units count them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from hosts import host, plan
from msgspec.structs import replace

from dynkv.supervisor.board import Board
from dynkv.supervisor.cuts import Cuts
from dynkv.supervisor.life import Shared
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus

pytestmark = pytest.mark.anyio


class Stack:
    """A frontend and a worker with scripted counters; `told` are the recorded cuts."""

    def __init__(self) -> None:
        self.counted, self.asked, self.told = 0, 0, list[int]()
        self.at_each_look: list[int] = []
        self.plan, self.board = plan("agg", host(1)), Board()
        for number, unit in enumerate(self.plan.units, 1):
            self.board.put(UnitStatus(unit.name, unit.role, State.READY, pid=number))

    async def of(self, units: Collection[str], **_: float) -> dict[str, str]:
        self.asked += 1
        self.counted = self.at_each_look.pop(0) if self.at_each_look else self.counted
        await anyio.lowlevel.checkpoint()
        text = f'dynamo_component_errors_total{{error_type="publish_response"}} {self.counted}\n'
        return {name: text for name in units if name.startswith("worker")}

    def record(self, *_: object, requests: int, **__: object) -> None:
        self.told.append(requests)

    def end_frontend(self) -> None:
        self.board.put(replace(self.board["frontend"], state=State.RECYCLING, pid=None))

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[None]:
        """Ends are observed until the block ends; it begins when the earlier counts are known."""
        events = SimpleNamespace(record=self.record)
        fake: Any = SimpleNamespace(board=self.board, figures=SimpleNamespace(of=self.of), events=events)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(Cuts(self.plan, cast(Shared, fake)).run)
                await until(lambda: self.asked >= 2)
                yield
                tasks.cancel_scope.cancel()


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110
        await anyio.sleep(0.001)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr("dynkv.supervisor.cuts._NOTED_EVERY_S", 0.01)
    monkeypatch.setattr("dynkv.supervisor.cuts._SETTLED_S", 0.0)
    return Stack()


async def test_clients_that_hung_up_before_are_not_cut_by_a_frontends_end(stack: Stack) -> None:
    async with stack.counting():
        stack.counted, before = 10, stack.asked
        await until(lambda: stack.asked >= before + 2)
        stack.end_frontend()
        stack.counted = 15
        await until(lambda: bool(stack.told))
    assert stack.told == [5]


async def test_what_a_worker_notices_late_belongs_to_the_same_end(stack: Stack) -> None:
    """Four tokens in flight are missed by the first look; one request waits for its next token."""
    async with stack.counting():
        stack.end_frontend()
        stack.at_each_look = [0, 4, 5, 5, 5]
        await until(lambda: bool(stack.told))
    assert stack.told == [5]
