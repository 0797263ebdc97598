"""A fault in dynkv has the same effect on a unit as a death, and no effect on others."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, Life, alive, living
from msgspec.structs import replace
from processes import is_alive

from dynkv.children.child import Child
from dynkv.host.processes import own_children
from dynkv.plan.model import RestartPolicy
from dynkv.supervisor import admission, incarnation, runner
from dynkv.supervisor.events import Event
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.states import State
from dynkv.supervisor.turns import Turns

pytestmark = pytest.mark.anyio
ONCE_MORE = RestartPolicy(max_restarts=1, window_s=600, backoff_initial_s=0.02, backoff_max_s=0.05)
EPERM = PermissionError(errno.EPERM, "Operation not permitted")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_AFTER_FAULT_S", 0.01)


def failing(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, fault: Exception, times: int = 1) -> None:
    """The next calls of a function raise errors as other hosts do."""
    real: Callable[..., Any] = getattr(module, name)
    left = [fault] * times

    def call(*args: Any, **more: Any) -> Any:
        if left:
            raise left.pop()
        return real(*args, **more)

    monkeypatch.setattr(module, name, call)


async def faults(life: Life) -> list[Event]:
    return [event for event in await life.events() if event.kind == "fault"]


async def test_its_process_is_ended_and_all_that_it_held_is_given_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = lab.unit(gpus=("0",), restart=ONCE_MORE)
    async with alive(lab, unit) as life:
        before = await life.reaches(State.READY)
        scratch = lab.place.scratch(unit.name)
        (scratch / "left").touch()
        failing(monkeypatch, runner, "stop", EPERM)
        life.runner.ask(Request(Ask.RESTART, "test"))
        backoff = await life.reaches(State.BACKOFF)
        assert (backoff.pid, backoff.started, backoff.probe, backoff.ready_after_s) == (None, False, None, None)
        assert before.pid is not None
        assert not is_alive(before.pid)
        assert backoff.last_exit is not None
        assert backoff.last_exit.reason.startswith("a fault in dynkv: PermissionError")
        again = await life.reaches(State.READY)
        assert again.pid != before.pid
        assert not (scratch / "left").exists()
        assert before.pid not in own_children(), "nobody has reaped it"


async def test_one_that_always_comes_again_ends_like_any_death(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """While waiting to start, too, where it would repeat forever, once a second."""
    failing(monkeypatch, admission, "wait_for_memory", OSError("NVML: GPU is lost"), times=1000)
    unit = replace(lab.unit(gpus=("0",), restart=ONCE_MORE), gpu_memory_fraction=0.5)
    async with alive(lab, unit) as life:
        failed = await life.reaches(State.FAILED)
        assert len(await faults(life)) == 2
        assert failed.last_exit is not None
        assert "GPU is lost" in failed.last_exit.reason
        life.runner.ask(Request(Ask.START, "test"))
        await life.reaches(State.BACKOFF)
        await life.reaches(State.FAILED)


async def test_it_holds_no_turn_afterwards(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, admission, "wait_for_memory", OSError("NVML: GPU is lost"), times=1000)
    first = replace(lab.unit("worker-0", gpus=("0",), restart=ONCE_MORE), gpu_memory_fraction=0.5)
    second = lab.unit("worker-1", gpus=("0",))
    shared = lab.shared(lab.plan(first, second))
    async with living(shared, first) as one, living(shared, second) as other:
        await one.reaches(State.FAILED)
        await other.reaches(State.READY)


async def test_a_fault_in_clearing_up_keeps_nothing_from_going_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async with alive(lab, lab.unit(restart=ONCE_MORE)) as life:
        before = await life.reaches(State.READY)
        failing(monkeypatch, runner, "stop", EPERM)
        failing(monkeypatch, runner, "give_back", OSError(errno.EMFILE, "Too many open files"))
        life.runner.ask(Request(Ask.RESTART, "test"))
        again = await life.until(lambda status: status.state is State.READY and status.pid != before.pid)
        assert again.started
        assert len(await faults(life)) == 2


async def test_what_has_been_spawned_is_ended_though_it_could_not_be_recorded(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawned: list[int] = []
    real = Child.spawn

    def spawn(*args: Any, **more: Any) -> Child:
        child = real(*args, **more)
        spawned.append(child.pid)
        return child

    monkeypatch.setattr(Child, "spawn", spawn)
    failing(monkeypatch, incarnation.Incarnation, "introduce", OSError(errno.EIO, "Input/output error"))
    async with alive(lab, lab.unit(restart=ONCE_MORE)) as life:
        ready = await life.reaches(State.READY)
        assert len(spawned) == 2
        assert (ready.pid, is_alive(spawned[0])) == (spawned[1], False)


async def test_asked_to_stop_it_stops_all_the_same(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async with alive(lab, lab.unit()) as life:
        before = await life.reaches(State.READY)
        failing(monkeypatch, runner, "stop", EPERM)
        life.runner.ask(Request(Ask.STOP, "test", final=True))
        await life.reaches(State.STOPPED)
        assert not is_alive(before.pid or os.getpid())


async def test_one_that_is_taken_over_while_it_starts_has_its_turn(lab: Lab) -> None:
    """Otherwise another engine on its GPU would measure its memory while this one's grows."""
    unit = lab.unit(gpus=("0",))
    lab.set_sick(unit.name, True)
    async with alive(lab, unit) as life:
        await life.until(lambda status: status.pid is not None)
        record = life.shared.journal.content.children[unit.name]
        turns = Turns()
        shared = replace(lab.shared(lab.plan(unit)), turns=turns)
        async with living(shared, unit, record) as heir:
            await heir.until(lambda status: status.pid == record.pid)
            assert not turns.take_free(["0"]).is_held
            lab.set_sick(unit.name, False)
            await heir.reaches(State.READY)
            assert turns.take_free(["0"]).is_held
