"""All units of a deployment together."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from lab import Lab, events_of
from msgspec.structs import replace
from processes import is_alive

from dynkv.host.gpus import GpuMemory
from dynkv.plan.model import Condition, Dependency, Role, Unit
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.life import Shared
from dynkv.supervisor.stack import Stack
from dynkv.supervisor.states import State

pytestmark = pytest.mark.anyio


@dataclass
class Running:
    stack: Stack
    shared: Shared
    over: anyio.Event

    async def until(self, state: str) -> None:
        with anyio.fail_after(20):
            # answering a request changes no unit's snapshot
            while self.stack.state != state:  # noqa: ASYNC110
                await anyio.sleep(0.01)

    @property
    def pids(self) -> set[int]:
        return {unit.pid for unit in self.shared.board.units if unit.pid is not None}

    async def changes(self) -> list[tuple[str | None, str]]:
        events = await events_of(self.shared.events)
        return [(event.unit, event.data["new"]) for event in events if event.kind == "state"]


@asynccontextmanager
async def deployment(lab: Lab, *units: Unit, resting: dict[str, bool] | None = None) -> AsyncIterator[Running]:
    """A deployment of these units, or of a frontend and a worker that waits for it; taken down at the end."""
    frontend = lab.unit("frontend", role=Role.FRONTEND)
    worker = lab.unit("worker-0", depends_on=(Dependency("frontend", Condition.READY),))
    plan = lab.plan(*(units or (worker, frontend)))
    shared = lab.shared(plan)
    running = Running(Stack(plan, shared, os.getpid(), resting=resting), shared, anyio.Event())

    async def run() -> None:
        await running.stack.run()
        running.over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            yield running
        finally:
            running.stack.take_down("the test is over")
            with anyio.fail_after(20, shield=True):
                await running.over.wait()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


async def test_it_starts_in_order_and_answers(lab: Lab) -> None:
    async with deployment(lab) as it:
        await it.until("ready")
        assert await it.changes() == [
            ("frontend", "starting"),
            ("frontend", "ready"),
            ("worker-0", "starting"),
            ("worker-0", "ready"),
        ]
        messages = [event.message for event in await events_of(it.shared.events)]
        assert messages[0] == "starting lab"
        assert "lab answers requests" in messages


async def test_it_stops_frontend_first_and_leaves_nothing(lab: Lab) -> None:
    async with deployment(lab) as it:
        await it.until("ready")
        pids = it.pids
        assert len(pids) == 2
        it.stack.take_down("once")
        it.stack.take_down("twice")
        assert it.stack.state == "stopping"
        assert not it.stack.ask("worker-0", Ask.RESTART, "too late")
        with anyio.fail_after(20):
            await it.over.wait()
    assert it.stack.state == "stopped"
    assert (await it.changes())[4:] == [
        ("frontend", "stopping"),
        ("frontend", "stopped"),
        ("worker-0", "stopping"),
        ("worker-0", "stopped"),
    ]
    assert not any(map(is_alive, pids))
    asked = [event.cause for event in await events_of(it.shared.events) if event.message == "taking lab down"]
    assert asked == ["once"]
    assert it.shared.journal.content.children == {}


async def test_a_worker_that_takes_its_time_keeps_no_drained_deployment_waiting(lab: Lab) -> None:
    frontend, server = lab.unit("frontend", role=Role.FRONTEND), lab.unit("worker-0", stop_timeout_s=60)
    deaf = server.argv[3].replace("import ", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nimport ", 1)
    worker = replace(server, argv=(*server.argv[:3], deaf, *server.argv[4:]))
    async with deployment(lab, worker, frontend) as it:
        await it.until("ready")
        it.stack.take_down("once")
        with anyio.fail_after(20):  # a third of the worker's deadline
            await it.over.wait()
    ends = {
        event.unit: event.cause for event in await events_of(it.shared.events) if event.message.endswith("→ stopped")
    }
    assert ends == {"frontend": "ended in time", "worker-0": "was killed: it had nothing left to do"}


async def test_its_status(lab: Lab) -> None:
    async with deployment(lab) as it:
        await it.until("ready")
        it.stack.note_kv({"hit_rate": 0.5})
        status = it.stack.status()
        assert (status.name, status.profile, status.state, status.model) == ("lab", "agg", "ready", "org/tiny")
        assert status.endpoint == f"http://127.0.0.1:{status.units[1].ports['system']}"
        assert (status.kv, status.detail) == ({"hit_rate": 0.5}, "")
        assert status.supervisor is not None
        assert status.supervisor.pid == os.getpid()
        assert [unit.name for unit in status.units] == ["worker-0", "frontend"]
        for unit in status.units:
            assert (unit.state, unit.restarts) == (State.READY, 0)
            assert unit.pid in it.pids
            assert unit.uptime_s is not None
            assert unit.rss_bytes is not None
            assert unit.rss_bytes > 1 << 20
            assert unit.log == str(lab.place.logs / f"{unit.name}.log")


async def test_one_unit_that_is_not_well_makes_it_degraded_and_is_named(lab: Lab) -> None:
    async with deployment(lab) as it:
        await it.until("ready")
        lab.set_sick("worker-0", True)
        await it.until("degraded")
        assert it.stack.status().detail == "worker-0 is unready"
        lab.set_sick("worker-0", False)
        await it.until("ready")


async def test_a_request_reaches_the_unit_that_it_names_and_no_other(lab: Lab) -> None:
    async with deployment(lab) as it:
        await it.until("ready")
        frontend, worker = it.shared.board["frontend"].pid, it.shared.board["worker-0"].pid
        assert not it.stack.ask("worker-7", Ask.RESTART, "test")
        assert it.stack.ask("worker-0", Ask.RESTART, "test")
        with anyio.fail_after(20):
            await it.shared.board.until(lambda: it.shared.board["worker-0"].restarts == 1)
            await it.shared.board.until(lambda: it.shared.board["worker-0"].state is State.READY)
        assert it.shared.board["frontend"].pid == frontend
        assert it.shared.board["worker-0"].pid != worker


async def test_taken_down_before_anything_was_ready(lab: Lab) -> None:
    lab.set_sick("frontend", True)
    async with deployment(lab) as it:
        with anyio.fail_after(20):
            await it.shared.board.until(lambda: it.shared.board["worker-0"].waiting_for is not None)
        assert it.stack.state == "starting"
        it.stack.take_down("test")
        with anyio.fail_after(20):
            await it.over.wait()
    assert it.stack.state == "stopped"
    assert it.pids == set()


async def test_what_cannot_be_written_is_told(lab: Lab) -> None:
    async with deployment(lab) as it:
        await it.until("ready")
        lab.place.events.unlink()
        lab.place.events.mkdir()
        it.shared.events.record(EventKind.LOG, "b")
        assert it.stack.status().detail.startswith(f"cannot write to {lab.place.directory}: ")


async def test_a_unit_is_restarted_with_the_one_that_it_names_and_that_is_all(lab: Lab) -> None:
    """Each names the other, which must not cause an endless series of restarts."""
    decode = replace(lab.unit("decode-0", role=Role.DECODE), restart_with=("prefill-0",))
    prefill = replace(lab.unit("prefill-0", role=Role.PREFILL), restart_with=("decode-0",))
    frontend = lab.unit("frontend", role=Role.FRONTEND)
    async with deployment(lab, decode, prefill, frontend) as it:
        await it.until("ready")
        prefills_pid = it.shared.board["prefill-0"].pid
        assert prefills_pid is not None
        os.kill(prefills_pid, signal.SIGKILL)
        with anyio.fail_after(20):
            await it.shared.board.until(
                lambda: all(
                    (unit.state, unit.restarts) == (State.READY, 1)
                    for unit in (it.shared.board["decode-0"], it.shared.board["prefill-0"])
                )
            )
        exits = {unit.name: unit.last_exit for unit in it.shared.board.units}
        assert exits["frontend"] is None
        assert exits["decode-0"] is not None
        assert exits["decode-0"].reason == "it is restarted with prefill-0"
        await anyio.sleep(0.2)  # long enough for another round to begin
        assert [it.shared.board[name].restarts for name in ("decode-0", "prefill-0")] == [1, 1]


class MappedGpu:
    """A GPU whose memory becomes free when no process that maps it is alive."""

    def __init__(self) -> None:
        self.mappers: set[int] = set()
        self.holder = False
        self.is_counted_as_theirs = False
        """As on a GPU on which a process that maps memory also computes (NVML, H200)."""

    def memory(self, gpu: str) -> GpuMemory:
        used = any(is_alive(pid) for pid in self.mappers)
        free = 20 if used else 100
        if self.holder:
            return GpuMemory(100, free, ("pid 1 (a stranger, 70 MiB)",), ((1, 70),))
        if self.is_counted_as_theirs:
            return GpuMemory(100, free, ("pid 2 (python, root, 90 MiB)",), tuple((pid, 45) for pid in self.mappers))
        return GpuMemory(100, free, (), unexplained_bytes=80)


def disagg(lab: Lab, decode: int, prefill: int) -> list[Unit]:
    readers = [lab.unit(f"decode-{i}", role=Role.DECODE, gpus=(f"{i}",)) for i in range(decode)]
    mapped_by = tuple(unit.name for unit in readers)
    return readers + [
        replace(
            lab.unit(f"prefill-{i}", role=Role.PREFILL, gpus=(f"{decode + i}",)),
            gpu_memory_fraction=0.85,
            mapped_by=mapped_by,
        )
        for i in range(prefill)
    ]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> MappedGpu:
    gpu = MappedGpu()
    monkeypatch.setattr("dynkv.reclaim.gpu.gpu_memory", gpu.memory)
    monkeypatch.setattr("dynkv.supervisor.admission._FREED_WITHIN_S", 0.1)
    return gpu


async def kill(running: Running, name: str) -> None:
    pid = running.shared.board[name].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await running.shared.board.until(lambda: running.shared.board[name].pid != pid)


async def test_who_maps_the_memory_of_a_dead_unit_is_restarted(lab: Lab, gpu: MappedGpu) -> None:
    async with deployment(lab, *disagg(lab, 2, 1)) as running:
        await running.until("ready")
        board = running.shared.board
        gpu.mappers = {board["decode-0"].pid or 0, board["decode-1"].pid or 0}
        await kill(running, "prefill-0")
        await running.until("ready")
        assert [board[name].restarts for name in ("decode-0", "decode-1", "prefill-0")] == [1, 1, 1]
        assert not gpu.mappers & running.pids


async def test_without_a_grace_period_where_their_requests_go_on_elsewhere(lab: Lab, gpu: MappedGpu) -> None:
    async with deployment(lab, *_stubborn(disagg(lab, 2, 2), 600.0)) as running:
        await running.until("ready")
        _migrate(running)
        board = running.shared.board
        gpu.mappers = {board["decode-0"].pid or 0, board["decode-1"].pid or 0}
        await kill(running, "prefill-0")
        await running.until("ready")
        assert [board[name].restarts for name in ("decode-0", "decode-1")] == [1, 1]
        ends = [it.cause for it in await events_of(running.shared.events) if it.message.endswith("→ reclaiming")]
        assert ends.count("was killed: it had nothing left to do") == 2


async def test_with_a_grace_period_where_all_that_requests_could_go_on_at_ends_too(lab: Lab, gpu: MappedGpu) -> None:
    async with deployment(lab, *_stubborn(disagg(lab, 2, 1), 0.5)) as running:
        await running.until("ready")
        _migrate(running)
        asked, board = list[bool](), running.shared.board
        for name in ("decode-0", "decode-1"):
            runner = running.stack._runners[name]
            runner.ask = _noting(runner.ask, asked)  # type: ignore[assignment, method-assign]
        gpu.mappers = {board["decode-0"].pid or 0, board["decode-1"].pid or 0}
        await kill(running, "prefill-0")
        await running.until("ready")
        assert asked[:2] == [False, False]


def _noting(ask: Callable[[Request], None], drained: list[bool]) -> Callable[[Request], None]:
    def noted(request: Request) -> None:
        drained.append(request.drained)
        ask(request)

    return noted


def _stubborn(units: list[Unit], stop_timeout_s: float) -> list[Unit]:
    """Decode workers that ignore SIGTERM."""
    return [
        replace(unit, argv=_deaf(unit.argv), stop_timeout_s=stop_timeout_s) if unit.role is Role.DECODE else unit
        for unit in units
    ]


def _migrate(running: Running) -> None:
    plan = running.stack.plan
    assert plan.frontend is not None
    running.stack.plan = replace(plan, frontend=replace(plan.frontend, migration_limit=3))


def _deaf(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The same program, ignoring SIGTERM."""
    *before, text, port, sick_file = argv
    return (*before, f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{text}", port, sick_file)


async def test_they_are_restarted_one_by_one_while_another_serves(lab: Lab, gpu: MappedGpu) -> None:
    async with deployment(lab, *disagg(lab, 2, 2)) as running:
        await running.until("ready")
        board = running.shared.board
        gpu.mappers = {board["decode-0"].pid or 0, board["decode-1"].pid or 0}
        await kill(running, "prefill-1")
        await running.until("ready")
        changes = [change for change in await running.changes() if change[0] in ("decode-0", "decode-1")]
        assert changes.index(("decode-0", "ready"), 4) < changes.index(("decode-1", "recycling"))


async def test_on_shared_gpus_nobody_waits_for_one_that_waits_for_its_turn(lab: Lab, gpu: MappedGpu) -> None:
    """A dead prefill worker that has the turn on its GPU must not wait for the decode worker that shares it."""
    units = [replace(unit, gpus=(unit.name[-1],)) for unit in disagg(lab, 2, 2)]
    async with deployment(lab, *units) as running:
        await running.until("ready")
        board = running.shared.board
        gpu.mappers = {board["decode-0"].pid or 0, board["decode-1"].pid or 0}
        await kill(running, "prefill-1")
        await running.until("ready")
        assert [board[name].restarts for name in ("decode-0", "decode-1", "prefill-0", "prefill-1")] == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("fraction", "kv_cache_bytes", "restarts"),
    [(0.1, 0, [1, 1]), (0.45, 0, [0, 0]), (0.1, 45, [0, 0])],
    ids=["beyond it", "within it", "within a KV cache of a size of its own"],
)
async def test_who_maps_it_on_the_same_gpu_is_known_by_what_it_uses_beyond_its_share(
    lab: Lab, gpu: MappedGpu, fraction: float, kv_cache_bytes: int, restarts: list[int]
) -> None:
    gpu.is_counted_as_theirs = True
    units = [
        replace(unit, gpus=("0",), gpu_memory_fraction=0.85)
        if unit.role is Role.PREFILL
        else replace(unit, gpus=("0",), gpu_memory_fraction=fraction, kv_cache_bytes=kv_cache_bytes)
        for unit in disagg(lab, 2, 1)
    ]
    async with deployment(lab, *units) as running:
        await running.until("ready")
        board = running.shared.board
        gpu.mappers = {board["decode-0"].pid or 0, board["decode-1"].pid or 0}
        await kill(running, "prefill-0")
        await board.until(lambda: board["prefill-0"].restarts == 1)
        if any(restarts):
            await running.until("ready")
        else:
            await board.until(lambda: "GPU" in (board["prefill-0"].waiting_for or ""))
            await anyio.sleep(0.5)
        assert [board[name].restarts for name in ("decode-0", "decode-1")] == restarts


async def test_nobody_is_restarted_for_memory_that_another_process_holds(lab: Lab, gpu: MappedGpu) -> None:
    async with deployment(lab, *disagg(lab, 1, 1)) as running:
        await running.until("ready")
        board = running.shared.board
        gpu.mappers, gpu.holder = {os.getpid()}, True
        await kill(running, "prefill-0")
        await board.until(lambda: "GPU" in (board["prefill-0"].waiting_for or ""))
        await anyio.sleep(0.5)
        assert board["decode-0"].restarts == 0
        assert "a stranger" in (board["prefill-0"].waiting_for or "")


async def test_nobody_is_restarted_for_memory_of_a_unit_that_never_ran(lab: Lab, gpu: MappedGpu) -> None:
    gpu.mappers = {os.getpid()}
    async with deployment(lab, *disagg(lab, 1, 1)) as running:
        board = running.shared.board
        await board.until(lambda: board["decode-0"].state is State.READY)
        await board.until(lambda: "GPU" in (board["prefill-0"].waiting_for or ""))
        await anyio.sleep(0.5)
        assert board["decode-0"].restarts == 0


async def test_fewer_of_a_role_is_no_fault(lab: Lab) -> None:
    frontend = lab.unit("frontend", role=Role.FRONTEND)
    workers = [lab.unit(f"worker-{i}") for i in range(3)]
    async with deployment(lab, frontend, *workers) as running:
        board, stack = running.shared.board, running.stack
        await running.until("ready")
        stack.scale("worker", 1)
        stack.scale("worker", 2)
        stack.scale("worker", 1)
        await board.until(lambda: [board[f"worker-{i}"].state for i in range(3)] == ["ready", "stopped", "stopped"])
        assert (stack.state, [unit.wanted for unit in stack.status().units]) == ("ready", [True, True, False, False])
        stack.scale("worker", 2)
        await board.until(lambda: board["worker-1"].state is State.READY)
        assert (stack.state, board["worker-2"].state) == ("ready", "stopped")
        stack.ask("worker-1", Ask.STOP, "a person said so")
        await board.until(lambda: board["worker-1"].state is State.STOPPED)
        assert stack.state == "degraded", "what was stopped by name is missed"
        stack.scale("worker", 3)
        await running.until("ready")


async def test_more_are_wanted_while_fewer_are_on_their_way(lab: Lab) -> None:
    """One after the other, as fast as possible."""
    frontend = lab.unit("frontend", role=Role.FRONTEND)
    async with deployment(lab, frontend, *(lab.unit(f"worker-{i}") for i in range(3))) as running:
        await running.until("ready")
        board, stack = running.shared.board, running.stack
        for _ in range(2):
            stack.scale("worker", 1)
            await board.until(lambda: board["worker-1"].state is not State.READY)
            stack.scale("worker", 3)
        await board.until(lambda: all(unit.state is State.READY and unit.wanted for unit in board.units))
        await running.until("ready")


async def test_what_is_healthy_stays_when_fewer_are_wanted(lab: Lab) -> None:
    frontend = lab.unit("frontend", role=Role.FRONTEND)
    dies = replace(lab.unit("worker-0"), argv=(sys.executable, "-c", "raise SystemExit(1)"))
    async with deployment(lab, frontend, dies, lab.unit("worker-1")) as running:
        board, stack = running.shared.board, running.stack
        await board.until(lambda: board["worker-0"].state is State.FAILED and board["worker-1"].state is State.READY)
        pid = board["worker-1"].pid
        stack.scale("worker", 1)
        await running.until("ready")
        assert (board["worker-1"].pid, board["worker-1"].state, board["worker-0"].wanted) == (pid, "ready", False)


async def test_what_was_asked_is_remembered_for_a_later_supervisor(lab: Lab) -> None:
    frontend = lab.unit("frontend", role=Role.FRONTEND)
    async with deployment(lab, frontend, *(lab.unit(f"worker-{i}") for i in range(3))) as running:
        await running.until("ready")
        stack, journal = running.stack, running.shared.journal
        stack.scale("worker", 2)
        stack.ask("worker-0", Ask.STOP, "test")
        assert journal.content.resting == {"worker-2": True, "worker-0": False}
        stack.ask("worker-0", Ask.RESTART, "test")
        stack.scale("worker", 3)
        assert journal.content.resting == {}


async def test_one_that_rested_before_goes_on_resting(lab: Lab) -> None:
    frontend = lab.unit("frontend", role=Role.FRONTEND)
    units = (frontend, lab.unit("worker-0"), lab.unit("worker-1"), lab.unit("worker-2"))
    resting = {"worker-1": False, "worker-2": True, "gone": True}
    async with deployment(lab, *units, resting=resting) as running:
        board = running.shared.board
        await running.until("degraded")
        assert [board[unit.name].state for unit in units] == ["ready", "ready", "stopped", "stopped"]
        running.stack.ask("worker-1", Ask.START, "test")
        await running.until("ready")


@pytest.mark.parametrize(
    ("role", "replicas", "message"),
    [
        ("worker", 2, "worker can be 1 to 1: the plan has no more"),
        ("worker", 0, "worker can be 1 to 1: the plan has no more"),
        ("decode", 1, "no workers of role 'decode'; available: worker"),
        ("frontend", 1, "no workers of role 'frontend'; available: worker"),
    ],
)
async def test_what_cannot_be_scaled(lab: Lab, role: str, replicas: int, message: str) -> None:
    async with deployment(lab) as running:
        with pytest.raises(ValueError, match=re.escape(message)):
            running.stack.scale(role, replicas)
