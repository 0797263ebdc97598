"""The life of one unit, with real processes."""

from __future__ import annotations

import os
import re
import signal
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest
from lab import SERVER, Lab, alive, living
from msgspec.structs import replace
from processes import family, is_alive

from dynkv.children.child import Child
from dynkv.children.marks import MARK_DEPLOYMENT, MARK_HOME, MARK_UNIT
from dynkv.home import is_same
from dynkv.host.processes import environment_of, read_process
from dynkv.plan.model import Condition, Dependency, HttpGet, Liveness, RestartPolicy
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.journal import ChildRecord, read_journal
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus

pytestmark = pytest.mark.anyio
NEVER = RestartPolicy(max_restarts=0, backoff_initial_s=0.02, backoff_max_s=0.02)
PATIENT = RestartPolicy(max_restarts=5, backoff_initial_s=60, backoff_max_s=60)
FORKS = "if os.fork() == 0:\n    os.setsid(); say('grandchild'); wait()\nwait()"
DIES = (sys.executable, "-S", "-c", "print('a last word', flush=True); raise SystemExit(3)")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> None:
    assert pid is not None
    os.kill(pid, number)


def is_ready_again(restarts: int, status: UnitStatus) -> bool:
    return status.state is State.READY and status.restarts == restarts


async def test_it_gets_ready(lab: Lab) -> None:
    async with alive(lab, lab.unit()) as life:
        ready = await life.reaches(State.READY)
        assert await life.states() == ["pending", "starting", "ready"]
        assert ready.pid is not None
        assert is_alive(ready.pid)
        assert ready.ready_after_s is not None
        assert 0 < ready.ready_after_s < 20
        assert ready.probe is not None
        assert (ready.probe.ok, ready.probe.detail) == (True, "ok")
        assert (ready.restarts, ready.last_exit, ready.started) == (0, None, True)


async def test_its_environment_is_the_plans_with_marks_secrets_and_a_tmpdir(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    monkeypatch.setenv("UNRELATED", "x")
    async with alive(lab, lab.unit(secret_env=("HF_TOKEN", "NOT_SET"))) as life:
        ready = await life.reaches(State.READY)
        env = environment_of(ready.pid or 0) or {}
        assert env.pop("DYNKV_INCARNATION")
        assert is_same(Path(env.pop("TMPDIR")), lab.place.scratch("worker-0"))
        assert env == {
            "DYNKV_SHIELD": "1",
            "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
            MARK_HOME: str(lab.directory),
            MARK_DEPLOYMENT: "lab",
            MARK_UNIT: "worker-0",
            "GIVEN": "by the plan",
            "HF_TOKEN": "hf_very_secret",
        }
        assert b"hf_very_secret" not in everything_written(lab)


async def test_the_plan_cannot_forge_its_marks(lab: Lab) -> None:
    """A later supervisor uses these to find what is left of a deployment."""
    forged = dict.fromkeys((MARK_HOME, MARK_DEPLOYMENT, MARK_UNIT, "DYNKV_INCARNATION"), "forged")
    async with alive(lab, replace(lab.unit(), env=forged)) as life:
        ready = await life.reaches(State.READY)
        env = environment_of(ready.pid or 0) or {}
        assert "forged" not in env.values()


def everything_written(lab: Lab) -> bytes:
    return b"".join(path.read_bytes() for path in lab.place.directory.rglob("*") if path.is_file())


async def test_it_is_journalled_for_as_long_as_it_runs(lab: Lab) -> None:
    unit = lab.unit()
    async with alive(lab, unit) as life:
        ready = await life.reaches(State.READY)
        journal = read_journal(lab.place.journal)
        assert journal is not None
        record = journal.children["worker-0"]
        child = life.runner.child
        assert child is not None
        assert (record.pid, record.start_ticks) == (ready.pid, child.root.start_ticks)
        assert (record.incarnation, record.digest) == (child.root.incarnation, unit.digest())
        life.runner.ask(Request(Ask.STOP, "test"))
        await life.reaches(State.STOPPED)
        after = read_journal(lab.place.journal)
        assert after is not None
        assert after.children == {}


async def test_readiness_comes_and_goes_without_a_restart(lab: Lab) -> None:
    async with alive(lab, lab.unit()) as life:
        first = await life.reaches(State.READY)
        lab.set_sick("worker-0", True)
        unready = await life.reaches(State.UNREADY)
        assert unready.probe is not None
        assert (unready.probe.ok, unready.probe.detail) == (False, "it is sick")
        lab.set_sick("worker-0", False)
        again = await life.reaches(State.READY)
        assert (again.pid, again.restarts, again.ready_after_s) == (first.pid, 0, first.ready_after_s)
        assert await life.states() == ["pending", "starting", "ready", "unready", "ready"]


async def test_one_that_dies_is_started_again_after_backoff(lab: Lab) -> None:
    async with alive(lab, lab.unit()) as life:
        first = await life.reaches(State.READY)
        kill(first.pid)
        second = await life.until(partial(is_ready_again, 1))
        assert second.pid != first.pid
        assert second.last_exit is not None
        assert (second.last_exit.code, second.last_exit.signal) == (None, 9)
        assert second.last_exit.reason == "killed by SIGKILL"
        assert second.last_exit.log_tail == ("serving",)
        assert await life.states() == [
            *("pending", "starting", "ready", "recycling", "reclaiming", "backoff"),
            *("pending", "starting", "ready"),
        ]


async def test_a_spent_budget_is_the_end_and_a_request_a_new_beginning(lab: Lab) -> None:
    async with alive(lab, lab.unit(argv=DIES)) as life:
        failed = await life.reaches(State.FAILED)
        assert failed.restarts == 2
        assert failed.last_exit is not None
        assert (failed.last_exit.code, failed.last_exit.log_tail) == (3, ("a last word",))
        assert (await life.states()).count("starting") == 3
        life.runner.ask(Request(Ask.START, "test"))
        await life.until(lambda status: status.state is not State.FAILED)
        await life.reaches(State.FAILED)
        assert (await life.states()).count("starting") == 6


async def test_one_whose_startup_probe_never_passes_is_recycled(lab: Lab) -> None:
    lab.set_sick("worker-0", True)
    async with alive(lab, lab.unit(startup_failures=40, restart=NEVER)) as life:
        failed = await life.reaches(State.FAILED)
        assert failed.last_exit is not None
        assert "its startup probe never passed" in failed.last_exit.reason
        states = await life.states()
        assert states == ["pending", "starting", "recycling", "reclaiming", "backoff", "failed"]


async def test_stop_and_start(lab: Lab) -> None:
    async with alive(lab, lab.unit()) as life:
        first = await life.reaches(State.READY)
        life.runner.ask(Request(Ask.STOP, "asked for by the test"))
        stopped = await life.reaches(State.STOPPED)
        assert read_process(first.pid or 0) is None
        assert (stopped.pid, stopped.started, stopped.probe) == (None, False, None)
        assert stopped.last_exit is not None
        assert (stopped.last_exit.signal, stopped.last_exit.reason) == (15, "asked for by the test")
        life.runner.ask(Request(Ask.STOP, "again"))
        life.runner.ask(Request(Ask.START, "test"))
        again = await life.reaches(State.READY)
        assert (again.pid != first.pid, again.restarts) == (True, 0)
        assert not lab.place.scratch("worker-0").joinpath("left").exists()


async def test_a_restart_that_is_asked_for_neither_waits_nor_costs_budget(lab: Lab) -> None:
    async with alive(lab, lab.unit(restart=replace(PATIENT, max_restarts=0))) as life:
        pids = {(await life.reaches(State.READY)).pid}
        for number in (1, 2, 3):
            life.runner.ask(Request(Ask.RESTART, "test"))
            ready = await life.until(partial(is_ready_again, number))
            pids.add(ready.pid)
        assert len(pids) == 4


async def test_start_of_what_runs_is_nothing(lab: Lab) -> None:
    async with alive(lab, lab.unit()) as life:
        first = await life.reaches(State.READY)
        life.runner.ask(Request(Ask.START, "test"))
        life.runner.ask(Request(Ask.STOP, "test"))
        await life.reaches(State.STOPPED)
        assert first.pid is not None
        assert (await life.states()).count("starting") == 1


async def test_stop_asked_twice_is_stop_asked_once(lab: Lab) -> None:
    async with alive(lab, lab.unit()) as life:
        await life.reaches(State.READY)
        life.runner.ask(Request(Ask.STOP, "once"))
        life.runner.ask(Request(Ask.STOP, "twice"))
        await life.until(lambda status: status.state in (State.STOPPING, State.STOPPED))
        life.runner.ask(Request(Ask.STOP, "thrice"))
        await life.reaches(State.STOPPED)
        await anyio.wait_all_tasks_blocked()
        assert life.now.state is State.STOPPED
        assert (await life.states())[-2:] == ["stopping", "stopped"]


async def test_stop_while_it_waits_for_a_dependency(lab: Lab) -> None:
    sidecar, worker = lab.unit("lmcache", argv=DIES), lab.unit(depends_on=(Dependency("lmcache", Condition.READY),))
    shared = lab.shared(lab.plan(sidecar, worker))
    lab.set_sick("lmcache", True)
    async with living(shared, replace(sidecar, restart=PATIENT)), living(shared, worker) as life:
        waiting = await life.until(lambda status: status.waiting_for is not None)
        assert waiting.waiting_for == "lmcache to be ready"
        life.runner.ask(Request(Ask.STOP, "test"))
        stopped = await life.reaches(State.STOPPED)
        assert stopped.waiting_for is None
        assert await life.states() == ["pending", "stopping", "stopped"]


async def test_stop_while_it_backs_off(lab: Lab) -> None:
    async with alive(lab, lab.unit(argv=DIES, restart=PATIENT)) as life:
        waiting = await life.until(lambda s: s.state is State.BACKOFF and s.waiting_for is not None)
        assert waiting.waiting_for == "backoff of 60 s"
        life.runner.ask(Request(Ask.STOP, "test"))
        await life.reaches(State.STOPPED)


@pytest.mark.parametrize("ask", [Ask.START, Ask.RESTART])
async def test_start_or_restart_cuts_a_backoff_short(lab: Lab, ask: Ask) -> None:
    async with alive(lab, lab.unit(argv=DIES, restart=PATIENT)) as life:
        await life.until(lambda s: s.state is State.BACKOFF and s.waiting_for is not None)
        life.runner.ask(Request(ask, "test"))
        await life.reaches(State.STARTING)


async def test_a_missing_program_fails_in_the_end_and_says_so(lab: Lab) -> None:
    async with alive(lab, lab.unit(argv=("/no/such/python",))) as life:
        failed = await life.reaches(State.FAILED)
        assert failed.last_exit is not None
        assert failed.last_exit.reason == "cannot run /no/such/python: No such file or directory"
        assert failed.restarts == 2
        life.runner.ask(Request(Ask.STOP, "test"))


async def test_what_starting_again_cannot_help_fails_at_once(lab: Lab) -> None:
    argv = (sys.executable, "-S", "-c", "import no_such_module")
    async with alive(lab, lab.unit(argv=argv, restart=PATIENT)) as life:
        failed = await life.reaches(State.FAILED)
        assert failed.restarts == 0
        assert failed.last_exit is not None
        assert failed.last_exit.reason == "a Python module is missing: no_such_module (exited with code 1)"
        assert "doctor" in failed.last_exit.hint


async def test_only_what_ended_it_can_be_beyond_help(lab: Lab) -> None:
    """An import that failed and was caught is in its log, as in every start of vLLM on a CPU."""
    caught = "try: import not_there_at_all\n    except ImportError: traceback.print_exc()"
    tries = f"import traceback\ndef look():\n    {caught}\nlook()\nraise SystemExit(1)"
    async with alive(lab, lab.unit(argv=(sys.executable, "-S", "-c", tries))) as life:
        failed = await life.reaches(State.FAILED)
        assert (failed.restarts, failed.last_exit and failed.last_exit.reason) == (2, "exited with code 1")


async def test_it_starts_when_what_it_depends_on_is_ready(lab: Lab) -> None:
    sidecar, worker = lab.unit("lmcache"), lab.unit(depends_on=(Dependency("lmcache", Condition.READY),))
    shared = lab.shared(lab.plan(sidecar, worker))
    lab.set_sick("lmcache", True)
    async with living(shared, worker) as life, living(shared, sidecar) as other:
        await other.until(lambda status: status.probe is not None and status.probe.detail == "it is sick")
        assert life.now.state is State.PENDING
        lab.set_sick("lmcache", False)
        await life.reaches(State.READY)
        changes = [(event.unit, event.data["new"]) for event in await life.events() if event.kind == "state"]
        assert changes.index(("lmcache", "ready")) < changes.index(("worker-0", "starting"))


async def test_its_leftovers_are_gone_before_the_next_incarnation(lab: Lab) -> None:
    """An orphan that holds the unit's port would make the next incarnation fail."""
    unit = lab.unit()
    script = (
        "import os, signal, sys\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        f"    exec({SERVER!r})\n"
        "while True: signal.pause()\n"
    )
    unit = replace(unit, argv=(*unit.argv[:3], script, *unit.argv[4:]))
    async with alive(lab, unit) as life:
        first = await life.reaches(State.READY)
        assert life.runner.child is not None
        members = {process.pid for process in life.runner.child.tree()}
        assert len(members) == 2
        kill(first.pid)
        await life.until(partial(is_ready_again, 1))
        assert not any(map(is_alive, members))


async def test_a_stranger_that_answers_at_its_port_does_not_make_it_ready(lab: Lab) -> None:
    """It took the port between two incarnations, and the unit did not notice that it could not bind it."""
    unit = lab.unit(restart=NEVER)
    stranger = Child.spawn(unit.argv, {}, lab.place.logs / "stranger.log")
    try:
        deaf = replace(unit, argv=(sys.executable, "-S", "-c", "import signal; signal.pause()"))
        async with alive(lab, deaf) as life:
            failed = await life.reaches(State.FAILED)
            assert failed.last_exit is not None
            assert f"port {unit.ports['system']} is held by pid {stranger.pid} (" in failed.last_exit.reason
            assert "ready" not in await life.states()
        assert is_alive(stranger.pid)
    finally:
        kill(stranger.pid)
        stranger.reap()


async def test_its_tmpdir_is_emptied_behind_it(lab: Lab) -> None:
    async with alive(lab, lab.unit()) as life:
        await life.reaches(State.READY)
        left = lab.place.scratch("worker-0") / "left"
        left.touch()
        life.runner.ask(Request(Ask.RESTART, "test"))
        await life.until(partial(is_ready_again, 1))
        assert left.parent.is_dir()
        assert not left.exists()


async def test_one_that_is_stopped_by_a_signal_counts_as_hung(lab: Lab) -> None:
    unit = lab.unit()
    check = HttpGet(unit.ports["system"], "/metrics")
    liveness = Liveness(check, period_seconds=0.02, timeout_seconds=0.5, failure_threshold=3)
    async with alive(lab, replace(unit, probes=replace(unit.probes, liveness=liveness), stop_timeout_s=0.2)) as life:
        first = await life.reaches(State.READY)
        kill(first.pid, signal.SIGSTOP)
        second = await life.until(partial(is_ready_again, 1))
        assert second.last_exit is not None
        # the second one if the stop came during a sample
        stopped, silent = r"it is stopped \(SIGSTOP\)", r"it has not answered for \d+ s, and does nothing"
        assert re.fullmatch(rf"({stopped}|{silent}) \(killed by SIGKILL\)", second.last_exit.reason)


async def test_without_figures_it_answers_as_long_as_its_readiness_probe_passes(lab: Lab) -> None:
    unit = lab.unit()
    readiness = replace(unit.probes.readiness, period_seconds=0.3)
    probes = replace(unit.probes, readiness=readiness, liveness=Liveness(None, period_seconds=0.5, failure_threshold=3))
    async with alive(lab, replace(unit, probes=probes)) as life:
        first = await life.reaches(State.READY)
        await anyio.sleep(2.5)  # five samples of a healthy unit
        assert life.now.pid == first.pid
        lab.sick_file(unit.name).touch()
        await life.until(lambda status: status.pid != first.pid)
        lab.sick_file(unit.name).unlink()
        second = await life.until(partial(is_ready_again, 1))
        assert second.last_exit is not None
        assert "has not answered for 1 s, and does nothing" in second.last_exit.reason


async def test_one_slow_answer_ends_nobody(lab: Lab) -> None:
    """However often the result of that one attempt is read."""
    unit = lab.unit()
    readiness = replace(unit.probes.readiness, period_seconds=1.0, failure_threshold=3)
    probes = replace(
        unit.probes, readiness=readiness, liveness=Liveness(None, period_seconds=0.05, failure_threshold=3)
    )
    async with alive(lab, replace(unit, probes=probes)) as life:
        first = await life.reaches(State.READY)
        lab.sick_file(unit.name).touch()
        await life.until(lambda status: status.probe is not None and not status.probe.ok)
        lab.sick_file(unit.name).unlink()
        await life.until(lambda status: status.probe is not None and status.probe.ok)
        assert life.now.pid == first.pid


async def test_a_dead_supervisors_child_is_taken_over_and_looked_after(lab: Lab) -> None:
    unit = lab.unit()
    child = Child.spawn(unit.argv, {**unit.env, MARK_UNIT: unit.name}, lab.place.logs / "worker-0.log")
    record = ChildRecord(
        child.pid,
        child.root.start_ticks,
        child.root.incarnation,
        unit.digest(),
        unit.ports,
        "2026-01-01T00:00:00+00:00",
    )
    async with alive(lab, unit, adopted=record) as life:
        taken = await life.reaches(State.READY)
        assert (taken.pid, taken.started_at, taken.restarts) == (child.pid, record.started_at, 0)
        assert life.shared.journal.content.children == {"worker-0": record}
        kill(child.pid)
        await child.watch()
        child.reap()  # as its parent; the runner only adopted it
        second = await life.until(partial(is_ready_again, 1))
        assert second.pid != child.pid
        assert second.last_exit is not None
        assert second.last_exit.reason == "ended (exit status unknown)"


async def test_a_child_that_was_to_be_taken_over_and_has_gone_is_started_anew(lab: Lab) -> None:
    record = ChildRecord(os.getpid(), 1, "0" * 32, lab.unit().digest(), {}, "2026-01-01T00:00:00+00:00")
    async with alive(lab, lab.unit(), adopted=record) as life:
        ready = await life.reaches(State.READY)
        assert ready.pid != os.getpid()
        cleared = ["recycling", "reclaiming", "backoff", "pending"]
        assert (await life.states()) == ["pending", "starting", *cleared, "starting", "ready"]


async def test_what_it_left_goes_before_its_successor_comes(lab: Lab, tmp_path: Path) -> None:
    """Its main process died during the takeover; its engine did not."""
    with family(tmp_path, FORKS, {MARK_UNIT: "worker-0"}) as left:
        engine = left.pid()
        root = left.child.root
        kill(root.pid)
        await left.child.watch()
        left.child.reap()
        unit = lab.unit()
        digest, began = unit.digest(), "2026-01-01T00:00:00+00:00"
        record = ChildRecord(root.pid, root.start_ticks, root.incarnation, digest, {}, began)
        async with alive(lab, unit, adopted=record) as life:
            await life.reaches(State.READY)
            assert not is_alive(engine)


async def test_engines_on_one_gpu_start_one_after_the_other(lab: Lab) -> None:
    first, second = lab.unit("worker-0", gpus=("0",)), lab.unit("worker-1", gpus=("0",))
    shared = lab.shared(lab.plan(first, second))
    lab.set_sick("worker-0", True)
    async with living(shared, first) as one, living(shared, second) as two:
        await one.until(lambda status: status.probe is not None and status.probe.detail == "it is sick")
        assert (two.now.state, two.now.waiting_for) == (State.PENDING, "its turn on the GPU")
        lab.set_sick("worker-0", False)
        await two.reaches(State.READY)
        changes = [(event.unit, event.data["new"]) for event in await one.events() if event.kind == "state"]
        assert ("worker-1", "starting") in changes


async def test_a_turn_is_given_back_by_one_that_dies_while_it_starts(lab: Lab) -> None:
    first, second = lab.unit("worker-0", argv=DIES, restart=NEVER, gpus=("0",)), lab.unit("worker-1", gpus=("0",))
    shared = lab.shared(lab.plan(first, second))
    async with living(shared, first) as one, living(shared, second) as two:
        await one.reaches(State.FAILED)
        await two.reaches(State.READY)


async def test_what_a_killed_engine_left_in_shared_memory_is_removed(lab: Lab) -> None:
    engine = (
        "import os, time\nif os.fork() == 0:\n"
        "    open(f'/dev/shm/torch_{os.getpid()}_1_0', 'w').close(); time.sleep(60)\n"
    )
    unit = lab.unit()
    argv = (*unit.argv[:3], engine + unit.argv[3], *unit.argv[4:])
    async with alive(lab, replace(unit, argv=argv)) as life:
        pid = (await life.reaches(State.READY)).pid
        assert life.runner.child is not None
        left = {Path(f"/dev/shm/torch_{process.pid}_1_0") for process in life.runner.child.tree()}
        kill(pid)
        await life.until(lambda status: status.restarts == 1 and status.state is State.READY)
        found = [event for event in await life.events() if event.kind == "shared-memory"]
        (removed,) = (event.data["files"] for event in found)
        assert len(removed) == 1
        assert Path("/dev/shm") / removed[0] in left
        assert not any(path.exists() for path in left)
        left = {Path(f"/dev/shm/torch_{process.pid}_1_0") for process in life.runner.child.tree()}
    for path in left:
        path.unlink(missing_ok=True)
