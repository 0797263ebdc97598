"""Units that start from a parked process, with tiny programs instead of vLLM."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from lab import FAST, SERVER, Lab, events_of
from msgspec.structs import replace
from processes import is_alive

from dynkv.children import child as children
from dynkv.children.reaper import become_subreaper
from dynkv.host.memory import memory_available_bytes
from dynkv.host.processes import environment_of
from dynkv.plan.model import RestartPolicy, Role, Standby, Unit
from dynkv.supervisor import importing
from dynkv.supervisor import standby as standby_module
from dynkv.supervisor.events import Event
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.life import Life as UnitLife
from dynkv.supervisor.life import Shared
from dynkv.supervisor.runner import Runner
from dynkv.supervisor.standby import StandbyRunner
from dynkv.supervisor.states import State
from dynkv.supervisor.status import StandbyState, UnitStatus

pytestmark = pytest.mark.anyio
IMPORTS = ("http.server", "json")


@pytest.fixture(autouse=True)
def _subreaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes forked for this one become its children, as for a supervisor; harmless for later tests."""
    become_subreaper()
    monkeypatch.setattr(children, "_orphans_come_to_us", False)
    monkeypatch.setattr(standby_module, "_FIRST_PAUSE_S", 0.02)


@dataclass
class Scene:
    """One worker and a standby."""

    runner: Runner
    standby: StandbyRunner
    shared: Shared
    stop: Callable[[], None]

    @property
    def now(self) -> UnitStatus:
        return self.shared.board[self.runner.unit.name]

    async def until(self, condition: Callable[[UnitStatus], bool]) -> UnitStatus:
        with anyio.fail_after(20):
            await self.shared.board.until(lambda: condition(self.now))
        return self.now

    async def ready_as(self, not_pid: int | None = None) -> UnitStatus:
        return await self.until(lambda unit: unit.state is State.READY and unit.pid != not_pid)

    async def reaches(self, state: StandbyState, not_pid: int | None = None) -> int | None:
        with anyio.fail_after(20):
            while (it := self.standby.status()).state is not state or (not_pid and it.pid == not_pid):  # noqa: ASYNC110
                await anyio.sleep(0.01)
        return it.pid

    async def told(self) -> list[Event]:
        return [event for event in await events_of(self.shared.events) if event.kind == "standby"]

    async def starts_from_it(self) -> int:
        return sum("starts from it" in event.message for event in await self.told())


def worker(lab: Lab, text: str = SERVER, restart: RestartPolicy = FAST) -> Unit:
    program = lab.directory / "server.py"
    program.write_text(text)
    unit = lab.unit(restart=restart)
    return replace(unit, argv=(sys.executable, str(program), *unit.argv[-2:]))


@asynccontextmanager
async def scene(lab: Lab, unit: Unit, *, keep: bool = True, modules: tuple[str, ...] = IMPORTS) -> AsyncIterator[Scene]:
    shared = lab.shared(lab.plan(unit))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(lab.directory)}
    planned = Standby("standby", modules, env, (Role.WORKER,), keep, memory_bytes=1)
    standby = StandbyRunner(planned, sys.executable, lab.place, shared.board, shared.events, at_once=True)
    shared = replace(shared, standbys=(standby,))
    runner = Runner(UnitLife(unit, shared))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run)
        tasks.start_soon(standby.run)
        try:
            yield Scene(runner, standby, shared, tasks.cancel_scope.cancel)
            runner.ask(Request(Ask.STOP, "the test is over", final=True))
            with anyio.fail_after(20):
                await shared.board.until(lambda: shared.board[unit.name].state in (State.STOPPED, State.FAILED))
        finally:
            tasks.cancel_scope.cancel()
            if runner.child is not None:
                os.killpg(runner.child.pid, signal.SIGKILL)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


async def test_after_an_edit_a_worker_starts_with_the_edited_module(lab: Lab) -> None:
    (lab.directory / "package").mkdir()
    (module := lab.directory / "package" / "edited.py").write_text("word = 'before'\n")
    async with scene(lab, worker(lab), modules=(*IMPORTS, "package.edited")) as it:
        first, standby = await it.ready_as(), it.standby.status().pid
        module.write_text("word = 'after it'\n")
        it.runner.ask(Request(Ask.RESTART, "the test asks"))
        await it.ready_as(not_pid=first.pid)
        assert await it.starts_from_it() == 1
        assert any(f"{module} has changed" in event.message + event.cause for event in await it.told())
        await it.reaches(StandbyState.PARKED, not_pid=standby)


async def test_a_worker_starts_from_it_and_so_does_its_successor(lab: Lab) -> None:
    async with scene(lab, worker(lab)) as it:
        first = await it.ready_as()
        assert first.pid is not None
        marks = environment_of(first.pid)
        assert marks is not None
        assert (marks["DYNKV_UNIT"], marks["GIVEN"]) == ("worker-0", "by the plan")
        parked = await it.reaches(StandbyState.PARKED)
        os.kill(first.pid, signal.SIGKILL)
        second = await it.ready_as(not_pid=first.pid)
        assert second.last_exit is not None
        assert (second.last_exit.signal, second.restarts) == (9, 1)
        assert await it.starts_from_it() == 2
        assert await it.reaches(StandbyState.PARKED) == parked, "it is still the same"
    assert not is_alive(second.pid or 0)
    assert parked is not None
    assert not is_alive(parked)


async def test_a_worker_with_other_variables_never_does(lab: Lab) -> None:
    async with scene(lab, worker(lab)) as it:
        it.standby.planned = replace(it.standby.planned, others=("worker-1",))
        assert it.shared.standby_of(lab.unit("worker-0")) is it.standby
        assert it.shared.standby_of(lab.unit("worker-1")) is None


async def test_one_for_the_start_only_ends_when_all_are_ready(lab: Lab) -> None:
    async with scene(lab, worker(lab), keep=False) as it:
        first = await it.ready_as()
        await it.reaches(StandbyState.ENDED)
        assert it.standby.status().pid is None
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        await it.ready_as(not_pid=first.pid)
        assert await it.starts_from_it() == 1, "the successor starts without the standby"


async def test_it_stays_while_a_unit_of_an_earlier_plan_has_yet_to_start_from_it(lab: Lab) -> None:
    async with scene(lab, worker(lab), keep=False) as it:
        other = UnitStatus("worker-1", Role.WORKER, State.READY, outdated=True)
        it.shared.board.put(other)
        await it.ready_as()
        await it.reaches(StandbyState.PARKED)
        with anyio.move_on_after(0.5):
            await it.reaches(StandbyState.ENDED)
        assert it.standby.status().state is StandbyState.PARKED
        it.shared.board.put(replace(other, outdated=False))
        await it.reaches(StandbyState.ENDED)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_one_that_dies_or_is_stopped_is_replaced(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(standby_module, "_PERIOD_S", 0.05)
    async with scene(lab, worker(lab)) as it:
        worker_before = await it.ready_as()
        parked = await it.reaches(StandbyState.PARKED)
        assert parked is not None
        os.kill(parked, number)
        await it.reaches(StandbyState.PARKED, not_pid=parked)
        assert not is_alive(parked)
        assert it.now.pid == worker_before.pid
        assert it.now.restarts == 0


async def test_one_that_grows_is_replaced(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "_PERIOD_S", 0.05)
    (lab.directory / "leaks.py").write_text(
        "import threading, time\n"
        "def grow():\n    time.sleep(1)\n    global held\n    held = b'x' * 100_000_000\n"
        "threading.Thread(target=grow, daemon=True).start()\n"
    )
    async with scene(lab, worker(lab), modules=("leaks",)) as it:
        parked = await it.reaches(StandbyState.PARKED)
        await it.reaches(StandbyState.PARKED, not_pid=parked)
        assert any("has grown" in event.message for event in await it.told())


async def test_with_a_stopped_one_a_worker_starts_the_plain_way(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "_PERIOD_S", 1000.0)
    async with scene(lab, worker(lab)) as it:
        first = await it.ready_as()
        parked = await it.reaches(StandbyState.PARKED)
        assert parked is not None
        assert first.pid is not None
        os.kill(parked, signal.SIGSTOP)
        os.kill(first.pid, signal.SIGKILL)
        await it.ready_as(not_pid=first.pid)
        told = await it.told()
        assert await it.starts_from_it() == 1
        assert any("starts without the standby" in event.message and "stopped" in event.cause for event in told)


async def test_imports_that_fail_cost_no_start(lab: Lab) -> None:
    async with scene(lab, worker(lab), modules=("no_such_module",), keep=False) as it:
        unit = await it.ready_as()
        assert (unit.restarts, unit.last_exit) == (0, None)
        status = it.standby.status()
        assert (status.state, "no_such_module" in status.detail) == (StandbyState.ENDED, True)
        assert await it.starts_from_it() == 0


async def test_imports_that_hang_cost_no_start(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_STALLED_S", 1.0)
    (lab.directory / "hangs.py").write_text("import time\ntime.sleep(1000)\n")
    async with scene(lab, worker(lab), modules=("hangs",), keep=False) as it:
        assert (await it.ready_as()).last_exit is None
        assert "have not moved" in it.standby.status().detail


WILL_NOT_BE_FORKED = "import sys\nif 'runpy' in sys.modules:\n    raise SystemExit('it was not started plainly')\n"


async def test_what_dies_of_being_forked_starts_the_plain_way_and_counts_as_no_death(lab: Lab) -> None:
    async with scene(lab, worker(lab, WILL_NOT_BE_FORKED + SERVER)) as it:
        unit = await it.ready_as()
        assert unit.last_exit is None
        told = await it.told()
        assert any("died before it was ready" in event.message for event in told)
        assert await it.starts_from_it() == 1


async def test_it_is_given_up_when_what_starts_from_it_dies_again_and_again(lab: Lab) -> None:
    async with scene(lab, worker(lab, WILL_NOT_BE_FORKED + SERVER)) as it:
        first = await it.ready_as()
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        await it.ready_as(not_pid=first.pid)
        await it.reaches(StandbyState.ENDED)
        assert "2 times in a row" in it.standby.status().detail


async def test_one_that_waits_for_memory_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "memory_available_bytes", lambda: 0)
    async with scene(lab, worker(lab)) as it:
        await it.ready_as()
        parked = await it.reaches(StandbyState.PARKED)
        assert parked is not None
        os.kill(parked, signal.SIGKILL)
        await it.reaches(StandbyState.WAITING)
        with anyio.fail_after(20):
            while "memory are free" not in it.standby.status().detail:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        monkeypatch.setattr(standby_module, "memory_available_bytes", lambda: 1 << 40)
        await it.reaches(StandbyState.PARKED, not_pid=parked)


def test_free_memory_is_what_the_kernel_says() -> None:
    assert 1 << 20 < memory_available_bytes() < 1 << 50
