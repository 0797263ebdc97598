"""The newest request to a unit takes effect, whenever it is made. Real processes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest
from lab import SERVER, Lab, Life, alive
from msgspec.structs import replace
from processes import is_alive

from dynkv.plan.model import RestartPolicy, Unit
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.states import State, has_ended
from dynkv.supervisor.status import UnitStatus

pytestmark = pytest.mark.anyio
SLOW_TO_END = f"import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\n{SERVER}"
UNTIRING = RestartPolicy(max_restarts=10_000, backoff_initial_s=0.05, backoff_max_s=0.1)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def slow(lab: Lab) -> Unit:
    """A unit that takes its whole deadline to stop."""
    unit = lab.unit(stop_timeout_s=0.5, restart=UNTIRING)
    return replace(unit, argv=(*unit.argv[:3], SLOW_TO_END, *unit.argv[4:]))


async def has_come_again(life: Life, before: UnitStatus) -> UnitStatus:
    return await life.until(lambda status: status.state is State.READY and status.pid != before.pid)


@pytest.mark.parametrize("ask", [Ask.START, Ask.RESTART])
async def test_start_while_it_stops(lab: Lab, ask: Ask) -> None:
    async with alive(lab, slow(lab)) as life:
        before = await life.reaches(State.READY)
        life.runner.ask(Request(Ask.STOP, "test"))
        await life.reaches(State.STOPPING)
        life.runner.ask(Request(ask, "test"))
        await has_come_again(life, before)


async def test_start_right_after_stop(lab: Lab) -> None:
    """Nothing happens in between, and nothing needs to."""
    async with alive(lab, slow(lab)) as life:
        before = await life.reaches(State.READY)
        life.runner.ask(Request(Ask.STOP, "test"))
        life.runner.ask(Request(Ask.START, "test"))
        life.runner.ask(Request(Ask.RESTART, "so that there is something to wait for"))
        await has_come_again(life, before)
        assert "stopping" not in await life.states()


async def test_start_that_takes_back_a_stop_in_the_moment_in_which_it_begins(lab: Lab) -> None:
    """Another task carries out the stop; any later request must find the state that follows."""
    async with alive(lab, slow(lab)) as life:
        await life.reaches(State.READY)
        for turns in range(6):
            life.runner.ask(Request(Ask.STOP, "test"))
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            life.runner.ask(Request(Ask.START, "test"))
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert life.now.state in (State.READY, State.STOPPING)
            await life.reaches(State.READY)


@pytest.mark.parametrize("last", [Ask.START, Ask.STOP, Ask.RESTART])
@pytest.mark.parametrize("first", [Ask.STOP, Ask.RESTART])
async def test_several_while_one_is_being_answered(lab: Lab, first: Ask, last: Ask) -> None:
    async with alive(lab, slow(lab)) as life:
        before = await life.reaches(State.READY)
        life.runner.ask(Request(first, "test"))
        await life.reaches(State.STOPPING if first is Ask.STOP else State.RECYCLING)
        for ask in (Ask.START, Ask.STOP, Ask.RESTART, Ask.STOP, last):
            life.runner.ask(Request(ask, "test"))
        if last is not Ask.STOP:
            await has_come_again(life, before)
            return
        await life.reaches(State.STOPPED)
        assert before.pid is not None
        assert not is_alive(before.pid)


@pytest.mark.parametrize("ask", [Ask.START, Ask.STOP])
async def test_asked_while_a_dead_one_is_cleared_up_behind(lab: Lab, ask: Ask) -> None:
    """Even if no restart is left, in which case the death would have been final."""
    unit = lab.unit(restart=RestartPolicy(max_restarts=0, backoff_initial_s=60, backoff_max_s=60))
    async with alive(lab, unit) as life:
        before = await life.reaches(State.READY)
        os.kill(before.pid or 0, signal.SIGKILL)
        await life.reaches(State.RECYCLING)
        life.runner.ask(Request(ask, "test"))
        if ask is Ask.START:
            await has_come_again(life, before)
        else:
            await life.until(lambda status: has_ended(status.state))


async def test_a_last_stop_outlasts_whatever_is_asked_after_it(lab: Lab) -> None:
    async with alive(lab, slow(lab)) as life:
        await life.reaches(State.READY)
        life.runner.ask(Request(Ask.STOP, "all goes down", final=True))
        life.runner.ask(Request(Ask.START, "test"))
        await life.reaches(State.STOPPED)
        await anyio.wait_all_tasks_blocked()
        assert life.now.state is State.STOPPED


async def test_a_stop_while_nothing_can_be_started_is_answered(lab: Lab) -> None:
    async with alive(lab, lab.unit(argv=(sys.executable, "-c", "raise SystemExit(1)"), restart=UNTIRING)) as life:
        await life.until(lambda status: status.restarts > 1)
        life.runner.ask(Request(Ask.STOP, "test"))
        await life.reaches(State.STOPPED)


async def test_one_that_has_failed_can_be_stopped(lab: Lab) -> None:
    """Nothing runs in either state, and the requested one is shown."""
    never = RestartPolicy(max_restarts=0, backoff_initial_s=0)
    async with alive(lab, lab.unit(argv=(sys.executable, "-c", "raise SystemExit(1)"), restart=never)) as life:
        await life.reaches(State.FAILED)
        life.runner.ask(Request(Ask.STOP, "test"))
        stopped = await life.reaches(State.STOPPED)
        assert stopped.pid is None


async def test_one_that_is_killed_by_a_signal_without_a_name(lab: Lab) -> None:
    async with alive(lab, lab.unit()) as life:
        before = await life.reaches(State.READY)
        os.kill(before.pid or 0, signal.SIGRTMIN + 6)
        again = await has_come_again(life, before)
        assert again.last_exit is not None
        assert (again.last_exit.signal, again.last_exit.reason) == (40, "killed by signal 40")
