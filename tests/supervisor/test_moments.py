"""Two things at the same moment, with real processes."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from lab import Lab, Life, alive, living
from msgspec.structs import replace
from processes import is_alive

from dynkv.probes.attempt import Attempt
from dynkv.probes.streak import Verdict
from dynkv.probes.worker import News, Phase
from dynkv.supervisor import incarnation
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.salvage import end_all_but
from dynkv.supervisor.states import State

pytestmark = pytest.mark.anyio
ANSWERED = News(Phase.READINESS, Verdict.PASSED, Attempt(True, 0.0, "ok"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


async def kinds(life: Life) -> list[str]:
    return [event.kind for event in await life.events()]


async def test_one_that_dies_before_it_is_taken_over_leaves_its_turn_to_its_successor(lab: Lab) -> None:
    unit = lab.unit(gpus=("0",))
    shared = lab.shared(lab.plan(unit))
    async with living(shared, unit) as life:
        await life.reaches(State.READY)
        record = shared.journal.content.children[unit.name]
        life.runner.ask(Request(Ask.STOP, "test"))
        await life.reaches(State.STOPPED)
    async with alive(lab, unit, adopted=record) as heir:
        ready = await heir.reaches(State.READY)
        assert ready.pid != record.pid


@pytest.mark.parametrize("second", [Ask.START, Ask.RESTART])
async def test_what_is_asked_while_it_is_on_its_way_restarts_it_once(lab: Lab, second: Ask) -> None:
    async with alive(lab, lab.unit()) as life:
        before = await life.reaches(State.READY)
        life.runner.ask(Request(Ask.RESTART, "test"))
        await life.reaches(State.RECYCLING)
        life.runner.ask(Request(second, "test"))
        again = await life.until(lambda status: status.state is State.READY and status.pid != before.pid)
        await anyio.sleep(0.3)  # as long as a second restart would take to begin
        assert (life.now.pid, life.now.restarts) == (again.pid, 1)


async def test_what_is_to_rest_is_not_started_first(lab: Lab) -> None:
    unit = lab.unit()
    shared = lab.shared(lab.plan(unit))
    async with living(shared, unit, asked=Request(Ask.STOP, "it rested before")) as life:
        await life.reaches(State.STOPPED)
        assert await life.states() == ["pending", "stopping", "stopped"]


@pytest.mark.parametrize("ask", [Ask.STOP, Ask.RESTART])
async def test_an_answer_that_comes_when_it_has_to_go_is_no_fault(lab: Lab, ask: Ask) -> None:
    """A task that already has its answer runs once more, whatever was decided meanwhile."""
    async with alive(lab, lab.unit()) as life:
        await life.reaches(State.READY)
        it = life.runner._incarnation
        assert it is not None
        life.runner.ask(Request(ask, "test"))
        await life.until(lambda status: status.state in (State.STOPPING, State.RECYCLING))
        it._on_readiness(ANSWERED)
        await life.until(lambda status: status.state in (State.STOPPED, State.READY))
        assert "fault" not in await kinds(life)


async def test_a_fault_in_looking_after_it_is_told_and_ends_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*args: object) -> str:
        raise ValueError("x foo")

    monkeypatch.setattr(incarnation, "until_unrouted", fails)
    async with alive(lab, lab.unit()) as life:
        ready = await life.reaches(State.READY)
        assert (await kinds(life)).count("fault") == 1
        assert (life.now.pid, life.now.restarts) == (ready.pid, 0)


@pytest.mark.parametrize(
    "own",
    [Request(Ask.RESTART, "it sees a reason", by_itself=True), Request(Ask.RESTART, "with another", follows=True)],
)
async def test_what_dynkv_wants_gives_way_to_what_a_person_has_asked(lab: Lab, own: Request) -> None:
    async with alive(lab, lab.unit()) as life:
        await life.reaches(State.READY)
        life.runner.ask(Request(Ask.STOP, "a person"))
        life.runner.ask(own)
        await life.reaches(State.STOPPING)
        life.runner.ask(own)
        await life.reaches(State.STOPPED)
        life.runner.ask(own)
        await anyio.wait_all_tasks_blocked()
        assert life.now.state is State.STOPPED


async def test_after_the_last_stop_was_taken_nothing_is_asked_any_more(lab: Lab) -> None:
    async with alive(lab, lab.unit()) as life:
        await life.reaches(State.READY)
        life.runner.ask(Request(Ask.STOP, "all goes down", final=True))
        await life.reaches(State.STOPPING)
        life.runner.ask(Request(Ask.RESTART, "test"))
        await life.reaches(State.STOPPED)
        await anyio.wait_all_tasks_blocked()
        assert life.now.state is State.STOPPED


async def test_a_takeover_spares_what_a_kept_child_starts_meanwhile(lab: Lab) -> None:
    starts = (
        "while True:\n    pid = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '0.02')\n    _, how = os.waitpid(pid, 0)\n"
    )
    program = f"import os, sys\n{starts}    if how: sys.exit(how)\n"
    unit = lab.unit(argv=("python3", "-S", "-c", program))
    shared = lab.shared(lab.plan(unit))
    async with living(shared, replace(unit, env={"PATH": os.environ["PATH"]})) as life:
        await life.until(lambda status: status.pid is not None)
        record = shared.journal.content.children[unit.name]
        for _ in range(40):
            assert await end_all_but([record], shared.journal.content, lab.place) == 0
        assert is_alive(record.pid)
