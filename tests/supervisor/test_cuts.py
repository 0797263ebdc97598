"""Requests that an end has cut, as units count them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from hosts import host, plan

from dynkv.supervisor.board import Board
from dynkv.supervisor.cuts import Cuts
from dynkv.supervisor.life import Shared
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus

pytestmark = pytest.mark.anyio


async def test_clients_that_hung_up_before_are_not_cut_by_a_frontends_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynkv.supervisor.cuts._NOTED_EVERY_S", 0.01)
    monkeypatch.setattr("dynkv.supervisor.cuts._SETTLED_S", 0.0)
    counted, told, asked = [0], list[int](), [0]

    async def of(units: Collection[str], **_: float) -> dict[str, str]:
        asked[0] += 1
        await anyio.lowlevel.checkpoint()
        text = f'dynamo_component_errors_total{{error_type="publish_response"}} {counted[0]}\n'
        return {name: text for name in units if name.startswith("worker")}

    def record(*_: object, requests: int, **__: object) -> None:
        told.append(requests)

    made = plan("agg", host(1))
    board = Board()
    for number, unit in enumerate(made.units, 1):
        board.put(UnitStatus(unit.name, unit.role, State.READY, pid=number))
    fake: Any = SimpleNamespace(board=board, figures=SimpleNamespace(of=of), events=SimpleNamespace(record=record))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Cuts(made, cast(Shared, fake)).run)
            while asked[0] < 2:  # noqa: ASYNC110
                await anyio.sleep(0.001)
            counted[0], before = 10, asked[0]
            while asked[0] < before + 2:  # noqa: ASYNC110
                await anyio.sleep(0.001)
            board.put(replace(board["frontend"], state=State.RECYCLING, pid=None))
            counted[0] = 15
            while not told:  # noqa: ASYNC110
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
    assert told == [5]
