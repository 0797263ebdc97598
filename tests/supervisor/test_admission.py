"""The conditions for a unit's start."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from answering import http
from lab import Lab, free_port
from msgspec.structs import replace

from dynkv.plan.model import Condition, Dependency, Role
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


@pytest.mark.parametrize(
    ("state", "pid", "restarts", "beside", "starts"),
    [
        (State.STARTING, 7, 0, True, True),
        (State.STARTING, 7, 0, False, False),
        (State.STARTING, None, 0, True, False),
        (State.STARTING, 7, 1, True, False),
        (State.BACKOFF, None, 0, True, False),
    ],
)
async def test_a_worker_with_parked_imports_starts_beside_its_sidecar(
    tmp_path: Path, state: State, pid: int | None, restarts: int, beside: bool, starts: bool
) -> None:
    """Only beside its first process, which holds nothing that a successor could lose."""
    life = life_of(tmp_path, free_port())
    board = life.shared.board
    board.put(replace(board["lmcache-decode"], state=state, pid=pid, restarts=restarts))
    with anyio.move_on_after(20 if starts else 0.2) as waiting:
        await admission.dependencies(life, beside_sidecar=beside)
    assert waiting.cancelled_caught is not starts
    assert admission.start_cause(life) == f"lmcache-decode is {state}"
    if not starts:
        assert life.status.waiting_for == "lmcache-decode to be ready"


async def test_beside_its_sidecar_it_still_waits_for_what_else_it_needs(tmp_path: Path) -> None:
    life = life_of(tmp_path, free_port())
    board, other = life.shared.board, Lab(tmp_path).unit("decode-0", role=Role.DECODE)
    life.unit = replace(life.unit, depends_on=(*life.unit.depends_on, Dependency(other.name, Condition.READY)))
    Life(other, life.shared)
    board.put(replace(board["lmcache-decode"], state=State.STARTING, pid=7))
    with anyio.move_on_after(0.2) as waiting:
        await admission.dependencies(life, beside_sidecar=True)
    assert waiting.cancelled_caught
    assert life.status.waiting_for == "decode-0 to be ready"
