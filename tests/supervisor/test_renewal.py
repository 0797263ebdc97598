"""Which units that run according to an earlier plan are restarted, and after which failures the rest stays."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from lab import Lab
from msgspec.structs import replace

from dynkv.plan.model import HttpGet, Probe, Role, Unit
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
            await renew(units, board, restart, {})
    assert asked == restarted


@pytest.mark.parametrize(("name_before", "restarted"), [("old", ["a", "b"]), ("new", ["a"])])
async def test_a_frontend_waits_for_no_model_that_only_the_workers_after_it_serve(
    tmp_path: Path, name_before: str, restarted: list[str]
) -> None:
    """Each would wait for the other; under an old name the earlier workers keep serving, so it is waited for."""
    lab, board, asked = Lab(tmp_path), Board(), list[str]()

    def frontend(model: str) -> Unit:
        unit, readiness = lab.unit("a", role=Role.FRONTEND), Probe((HttpGet(1, f"/v1/models/{model}/ready"),))
        return replace(unit, probes=replace(unit.probes, readiness=readiness))

    for name, role in (("a", Role.FRONTEND), ("b", Role.WORKER)):
        board.put(UnitStatus(name, role, State.READY, outdated=True))

    def restart(name: str, cause: str) -> None:
        asked.append(name)
        state = State.STARTING if name == "a" else State.READY
        board.put(replace(board[name], state=state, started=True, outdated=False))

    with anyio.move_on_after(0.2):
        await renew([frontend("new"), lab.unit("b", role=Role.WORKER)], board, restart, {"a": frontend(name_before)})
    assert asked == restarted
