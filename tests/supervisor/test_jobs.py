"""Jobs, which run once; and programs that put themselves into the background, with real processes."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from lab import Lab, alive, living
from msgspec.structs import replace
from processes import is_alive, until

from dynkv.children.child import Child
from dynkv.plan.model import Condition, Dependency, Probe, Probes, Role, Unit
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.journal import ChildRecord, read_journal
from dynkv.supervisor.moments import utc_now
from dynkv.supervisor.salvage import orphaned_status
from dynkv.supervisor.states import State

pytestmark = pytest.mark.anyio
COUNTS = "import sys; open(sys.argv[1], 'a').write('x'); runs = len(open(sys.argv[1]).read())\n"
NEVER_ASKED = Probes(Probe(()), Probe(()))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def own(lab: Lab, code: str, role: Role = Role.JOB) -> Unit:
    """A job, which may record its progress in a file of its own."""
    unit = lab.unit("own", (sys.executable, "-S", "-c", code, str(told(lab))), role=role)
    return replace(unit, probes=NEVER_ASKED)


def told(lab: Lab) -> Path:
    return lab.directory / "told"


async def test_one_that_exits_with_0_is_completed_and_what_it_left_is_ended(lab: Lab) -> None:
    forks = (
        "import os, sys, time\npid = os.fork()\nif pid == 0: time.sleep(1000)\nopen(sys.argv[1], 'w').write(str(pid))"
    )
    async with alive(lab, own(lab, forks)) as life:
        done = await life.reaches(State.COMPLETED)
        assert await life.states() == ["pending", "starting", "recycling", "reclaiming", "completed"]
        assert done.last_exit is not None
        assert (done.last_exit.code, done.last_exit.reason) == (0, "exited with code 0")
        assert (done.pid, done.restarts, done.started) == (None, 0, False)
        assert not is_alive(int(told(lab).read_text()))


async def test_while_it_runs_it_has_started_and_is_not_ready(lab: Lab) -> None:
    job = own(lab, "import time; time.sleep(1000)")
    async with alive(lab, job) as life:
        running = await life.until(lambda status: status.started)
        assert running.state is State.STARTING
        board = life.shared.board
        for condition, holds in ((Condition.STARTED, True), (Condition.READY, False), (Condition.COMPLETED, False)):
            assert (board.unmet((Dependency("own", condition),)) is None) == holds
        life.runner.ask(Request(Ask.STOP, "test"))
        await life.reaches(State.STOPPED)


async def test_one_that_fails_is_tried_again_until_it_is_completed(lab: Lab) -> None:
    async with alive(lab, own(lab, f"{COUNTS}raise SystemExit(runs < 3)")) as life:
        done = await life.reaches(State.COMPLETED)
        assert (told(lab).read_text(), done.restarts) == ("xxx", 2)
        needs = tuple(Dependency("own", condition) for condition in (Condition.STARTED, Condition.COMPLETED))
        assert life.shared.board.unmet(needs) is None


async def test_one_that_fails_too_often_has_failed(lab: Lab) -> None:
    async with alive(lab, own(lab, f"{COUNTS}print('no database'); raise SystemExit(3)")) as life:
        failed = await life.reaches(State.FAILED)
        assert failed.last_exit is not None
        assert (failed.last_exit.code, failed.last_exit.log_tail) == (3, ("no database",))
        assert told(lab).read_text() == "xxx"
        life.runner.ask(Request(Ask.RESTART, "test"))
        await life.until(lambda status: status.state is State.FAILED and len(told(lab).read_text()) == 6)


async def test_asked_for_it_runs_again_and_a_stop_of_what_is_over_changes_nothing(lab: Lab) -> None:
    async with alive(lab, own(lab, COUNTS)) as life:
        await life.reaches(State.COMPLETED)
        life.runner.ask(Request(Ask.STOP, "test"))
        for number, ask in enumerate((Ask.RESTART, Ask.START), start=2):
            life.runner.ask(Request(ask, "test"))
            await life.until(lambda status, runs=number: len(told(lab).read_text()) == runs)  # type: ignore[misc]
            await life.reaches(State.COMPLETED)
        assert "stopped" not in await life.states()


async def test_a_later_supervisor_does_not_run_it_again(lab: Lab) -> None:
    job = own(lab, COUNTS)
    async with alive(lab, job) as life:
        await life.reaches(State.COMPLETED)
        journal = read_journal(lab.place.journal)
        assert journal is not None
        assert journal.completed == {"own": job.digest()}
        assert [unit.state for unit in orphaned_status(journal, lab.place).units] == [State.COMPLETED]
        async with living(life.shared, job) as later:
            assert later.now.state is State.COMPLETED
            later.runner.ask(Request(Ask.RESTART, "test"))
            await later.until(lambda status: told(lab).read_text() == "xx")
            await later.reaches(State.COMPLETED)


async def test_one_whose_end_nobody_saw_is_run_again(lab: Lab) -> None:
    """Only its own parent learns its exit status."""
    job = own(lab, f"{COUNTS}import time; time.sleep(1000 if runs == 1 else 0)")
    child = Child.spawn(job.argv, job.env, lab.place.logs / "own.log")
    root = child.root
    record = ChildRecord(root.pid, root.start_ticks, root.incarnation, job.digest(), {}, utc_now())
    until(lambda: told(lab).exists() and told(lab).read_text() == "x", 20)
    async with alive(lab, job, adopted=record) as life:
        await life.until(lambda status: status.started)
        assert life.runner.child is not None
        life.runner.child.signal(signal.SIGKILL)
        done = await life.reaches(State.COMPLETED)
        assert (told(lab).read_text(), done.restarts) == ("xx", 1)
    child.reap()


# --- programs that put themselves into the background ---

DAEMON = "import os, sys, time\nif os.fork() == 0:\n    {}\n    time.sleep(1000)\nraise SystemExit({})"


@pytest.mark.parametrize("does", ["os.setsid()", "pass"])
async def test_a_program_that_goes_into_the_background_is_told_so(lab: Lab, does: str) -> None:
    async with alive(lab, own(lab, DAEMON.format(does, 0), Role.UNIT)) as life:
        died = await life.until(lambda status: status.last_exit is not None)
        assert died.last_exit is not None
        assert died.last_exit.reason == "it put itself into the background (exited with code 0)"
        assert "--foreground" in died.last_exit.hint


@pytest.mark.parametrize(("does", "code"), [("os._exit(0)", 0), ("os.setsid()", 3)])
async def test_one_that_leaves_nothing_or_has_failed_did_not(lab: Lab, does: str, code: int) -> None:
    async with alive(lab, own(lab, DAEMON.format(does, code), Role.UNIT)) as life:
        died = await life.until(lambda status: status.last_exit is not None)
        assert died.last_exit is not None
        assert (died.last_exit.reason, died.last_exit.hint) == (f"exited with code {code}", "")
