"""Which of the units that run as an earlier plan had them are restarted, and after which of them the rest stays."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from lab import Lab
from msgspec.structs import replace

from dynkv.plan.model import Role
from dynkv.supervisor.board import Board
from dynkv.supervisor.renewal import renew
from dynkv.supervisor.states import State
from dynkv.supervisor.status import LastExit, UnitStatus

pytestmark = pytest.mark.anyio
NAMES = ("a", "b")


@pytest.mark.parametrize(
    ("role", "becomes", "code", "restarted"),
    [
        (Role.UNIT, [State.READY], None, ["a", "b"]),
        (Role.UNIT, [State.BACKOFF], 3, ["a"]),
        (Role.JOB, [State.COMPLETED], 0, ["a", "b"]),
        (Role.JOB, [State.BACKOFF, State.STARTING, State.COMPLETED], 3, ["a", "b"]),
        (Role.JOB, [State.BACKOFF, State.FAILED], 3, ["a"]),
    ],
)
async def test_the_rest_stays_when_one_has_come_to_nothing(
    tmp_path: Path, role: Role, becomes: list[State], code: int | None, restarted: list[str]
) -> None:
    lab, board, asked = Lab(tmp_path), Board(), list[str]()
    units = [lab.unit(name, role=role) for name in NAMES]
    for name in NAMES:
        board.put(UnitStatus(name, role, State.READY, outdated=True))
    last = None if code is None else LastExit(code, None, "it ended", "", "")

    async def follow(name: str) -> None:
        for state in becomes:
            board.put(replace(board[name], state=state, last_exit=last, outdated=False))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:

        def restart(name: str, cause: str) -> None:
            asked.append(name)
            tasks.start_soon(follow, name)

        with anyio.fail_after(10):
            await renew(units, board, restart)
    assert asked == restarted
