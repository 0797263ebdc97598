"""The conditions for a unit's start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from answering import http
from lab import Lab, free_port, living
from msgspec.structs import replace

from dynkv.plan.model import Condition, Dependency, Role, Standby
from dynkv.reclaim.sidecar import Sidecar
from dynkv.supervisor import admission
from dynkv.supervisor.life import Life
from dynkv.supervisor.states import State

pytestmark = pytest.mark.anyio


def life_of(tmp_path: Path, port: int, role: Role = Role.WORKER) -> Life:
    """The life of a unit that needs the sidecar at `port`, which is ready, but not another one, which does not
    answer."""
    lab = Lab(tmp_path)
    unit = lab.unit("worker-0", role=role, depends_on=(Dependency("lmcache-decode", Condition.READY),))
    sidecar = lab.unit("lmcache-decode", role=Role.LMCACHE)
    sidecars = {"lmcache": free_port(), "lmcache-decode": port}
    shared = replace(
        lab.shared(lab.plan(unit, sidecar)),
        sidecars=tuple(Sidecar(name, "python", {}, 5555, at, 0.0, tmp_path / "log") for name, at in sidecars.items()),
    )
    Life(sidecar, shared)
    shared.board.put(replace(shared.board["lmcache-decode"], state=State.READY))
    return Life(unit, shared)


async def test_a_worker_waits_for_a_sidecar_that_does_not_answer_any_more(tmp_path: Path) -> None:
    port = free_port()
    life, is_over = life_of(tmp_path, port), anyio.Event()

    async def wait() -> None:
        await admission.dependencies(life)
        is_over.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await life.shared.board.until(lambda: life.status.waiting_for == "the sidecar to answer")
            assert not is_over.is_set()
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
            tasks.start_soon(listener.serve, _says_something_unheard_of)
            await is_over.wait()
            tasks.cancel_scope.cancel()
        await listener.aclose()


async def _says_something_unheard_of(stream: anyio.abc.SocketStream) -> None:
    async with stream:
        await stream.receive()
        await stream.send(http(418, b"?"))


async def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_SIDECAR_DEADLINE_S", 0.1)
    with anyio.fail_after(20):
        await admission.dependencies(life_of(tmp_path, free_port()))


async def test_others_do_not_ask_for_it(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        await admission.dependencies(life_of(tmp_path, free_port(), Role.FRONTEND))


@dataclass
class Parked:
    """A standby as far as a start asks it."""

    role: Role
    starts_at_once: bool = True
    launched: int = 1

    @property
    def planned(self) -> Standby:
        return Standby("standby", (), {}, (self.role,), keep=True, memory_bytes=1)

    async def settled(self) -> None:
        """It is parked."""

    async def launch(self, *_: object) -> None:
        """The unit has to start without it, so that the test needs no stack."""


def beside(life: Life, workers: Parked, sidecars: Parked, state: State, pid: int | None) -> Any:
    """The worker's standby, with the sidecar in this state."""
    life.shared = replace(life.shared, standbys=cast("Any", (workers, sidecars)))
    board = life.shared.board
    board.put(replace(board["lmcache-decode"], state=state, pid=pid))
    return workers


@pytest.mark.parametrize(
    ("state", "pid", "workers", "sidecars", "starts"),
    [
        (State.STARTING, 7, {}, {}, True),
        (State.STARTING, 7, {"starts_at_once": False}, {}, False),
        (State.STARTING, 7, {}, {"starts_at_once": False}, False),
        (State.STARTING, 7, {}, {"launched": 0}, False),
        (State.STARTING, 7, {}, {"launched": 2}, False),
        (State.STARTING, None, {}, {"launched": 0}, False),
        (State.BACKOFF, None, {}, {}, False),
    ],
)
async def test_a_worker_starts_beside_its_sidecar_if_the_imports_of_both_are_parked(
    tmp_path: Path, state: State, pid: int | None, workers: dict[str, Any], sidecars: dict[str, Any], starts: bool
) -> None:
    """Only beside its first process: one that was taken over, and counts as starting too, may hang or be dying."""
    life = life_of(tmp_path, free_port())
    standby = beside(life, Parked(Role.WORKER, **workers), Parked(Role.LMCACHE, **sidecars), state, pid)
    with anyio.move_on_after(20 if starts else 0.2) as waiting:
        await admission.dependencies(life, standby)
    assert waiting.cancelled_caught is not starts
    assert admission.start_cause(life) == f"lmcache-decode is {state}"
    if not starts:
        assert life.status.waiting_for == "lmcache-decode to be ready"


async def test_beside_its_sidecar_it_still_waits_for_what_else_it_needs(tmp_path: Path) -> None:
    life = life_of(tmp_path, free_port())
    other = Lab(tmp_path).unit("decode-0", role=Role.DECODE)
    life.unit = replace(life.unit, depends_on=(*life.unit.depends_on, Dependency(other.name, Condition.READY)))
    Life(other, life.shared)
    standby = beside(life, Parked(Role.WORKER), Parked(Role.LMCACHE), State.STARTING, 7)
    with anyio.move_on_after(0.2) as waiting:
        await admission.dependencies(life, standby)
    assert waiting.cancelled_caught
    assert life.status.waiting_for == "decode-0 to be ready"


@pytest.mark.parametrize("is_at_once", [True, False])
async def test_a_unit_asks_the_standby_that_it_starts_from(tmp_path: Path, is_at_once: bool) -> None:
    life = life_of(tmp_path, free_port())
    beside(life, Parked(Role.WORKER, starts_at_once=is_at_once), Parked(Role.LMCACHE), State.STARTING, 7)
    async with living(life.shared, life.unit) as runs:
        if is_at_once:
            await runs.reaches(State.STARTING)
            begins = [event.cause for event in await runs.events() if event.data.get("new") == State.STARTING]
            assert begins == ["lmcache-decode is starting"]
        else:
            await runs.until(lambda status: status.waiting_for == "lmcache-decode to be ready")
