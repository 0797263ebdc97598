"""Every verb that waits keeps to its deadline, even when the supervisor is silent or not there yet."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import NEVER_READY, QUICK, Command, command_in, free_port, until
from msgspec.structs import replace
from played import supervised

from dynkv.cli.attempt import where_to_look
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, UnitStatus

DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(1000)"


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        yield command


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The only error, with the rest of the output."""
    assert done.returncode == code, done.stderr
    assert done.stderr.count("error: ") == 1
    assert "hint: " in done.stderr
    return done.stderr


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class TestUp:
    def test_while_its_supervisor_is_silent(self, dynkv: Command) -> None:
        profile = dynkv.profile(NEVER_READY.format(port=free_port()))
        with dynkv.begun("up", profile, "--timeout", "4") as up:
            until(dynkv.pids)
            os.kill(dynkv.supervisor(), signal.SIGSTOP)
            out, err = up.communicate(timeout=60)
        assert up.returncode == 5, err
        assert "error: not ready after 4 s: its supervisor does not answer" in err
        assert "taking it down again" in out
        assert dynkv.left_running() == []

    def test_while_another_one_plans(self, dynkv: Command) -> None:
        dynkv.home.mkdir()
        with (dynkv.home / "_planning.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            error = refused(dynkv("up", dynkv.profile(QUICK), "--timeout", "0.5"), 5)
        assert "not ready after 0.5 s: nothing was started yet" in error
        assert dynkv.left_running() == []

    def test_while_the_host_is_looked_over(self, dynkv: Command, tmp_path: Path) -> None:
        python = tmp_path / "python"
        python.write_text("#!/bin/sh\nexec sleep 1000\n")
        python.chmod(0o755)
        profile = dynkv.profile(QUICK + f"python: {python}\n")
        assert "nothing was started yet" in refused(dynkv("up", profile, "--timeout", "0.5"), 5)
        assert dynkv.left_running() == []

    def test_no_time_is_time_for_a_look_at_the_host(self, dynkv: Command) -> None:
        assert "nothing was started yet" in refused(dynkv("up", dynkv.profile(QUICK), "--timeout", "0"), 5)
        assert "no profile named" in refused(dynkv("up", "dissag", "--timeout", "0"), 2)
        assert dynkv.left_running() == []

    def test_enough_time_is_enough(self, dynkv: Command) -> None:
        assert dynkv("up", dynkv.profile(QUICK), "--timeout", "60").returncode == 0


class TestWhereToLook:
    """When waiting longer would hardly help."""

    FRONTEND = UnitStatus("frontend", "frontend", State.STARTING, started=True)
    WORKER = UnitStatus("worker-0", "worker", State.READY, uptime_s=60.0, ready_after_s=20.0)

    def hint(self, *units: UnitStatus) -> str:
        return where_to_look(DeploymentStatus("agg", "agg", DeploymentState.STARTING, "", "tiny", "", None, units))

    def test_the_logs_where_the_frontend_does_not_find_the_model(self) -> None:
        hint = self.hint(self.FRONTEND, self.WORKER)
        assert "`dynkv logs frontend` and `dynkv logs worker-0`" in hint

    def test_nowhere_while_something_may_still_come(self) -> None:
        starting = replace(self.FRONTEND, started=False)
        just_now = replace(self.WORKER, ready_after_s=59.0)
        another = replace(self.WORKER, name="worker-1", state=State.STARTING, ready_after_s=None)
        ready = replace(self.FRONTEND, state=State.READY)
        assert self.hint(starting, self.WORKER) == ""
        assert self.hint(self.FRONTEND, just_now) == ""
        assert self.hint(self.FRONTEND, self.WORKER, another) == ""
        assert self.hint(self.FRONTEND) == ""
        assert self.hint(ready, self.WORKER) == ""


class TestASupervisorThatIsStopped:
    @pytest.mark.parametrize(
        "words",
        [
            ("restart", "first", "--timeout", "0.5"),
            ("restart", "first", "--rolling", "--timeout", "0.5"),
            ("start", "first", "--wait", "--timeout", "0.5"),
            ("stop", "first", "--timeout", "0.5"),
            ("scale", "worker=1", "--timeout", "0.5"),
            ("wait", "--timeout", "0.5"),
            ("wait", "--for", "down", "--timeout", "0.5"),
            ("wait", "--timeout", "0"),
        ],
        ids=" ".join,
    )
    def test_costs_no_more_than_the_deadline(self, running: Command, words: tuple[str, ...]) -> None:
        with stopped(running.supervisor()):
            refused(running(*words), 5)

    def test_what_it_was_asked_is_done_when_it_goes_on(self, running: Command) -> None:
        before = running.pids()["second"]
        with stopped(running.supervisor()):
            refused(running("restart", "second", "--timeout", "0.5"), 5)
        until(lambda: running.pids().get("second", before) != before)

    def test_is_let_go_on_by_down(self, dynkv: Command) -> None:
        assert dynkv("up", dynkv.profile(QUICK)).returncode == 0
        os.kill(dynkv.supervisor(), signal.SIGSTOP)
        assert dynkv("down", "--timeout", "60").returncode == 0
        assert dynkv.left_running() == []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """A deployment of two units that is ready."""
    with command_in(tmp_path_factory.mktemp("running")) as command:
        assert command("up", command.profile(QUICK)).returncode == 0
        yield command


class TestOneThatTakesConnectionsAndSaysNothing:
    @pytest.mark.parametrize("words", [("down",), ("wait",), ("restart", "first", "--wait"), ("stop", "first")])
    def test_costs_no_more_than_the_deadline(self, tmp_path: Path, words: tuple[str, ...]) -> None:
        dynkv = Command(tmp_path)
        dynkv.home.mkdir()
        with supervised(dynkv.home, None):
            refused(dynkv(*words, "--timeout", "0.5"), 5)


def test_down_without_a_supervisor_has_a_deadline_too(dynkv: Command) -> None:
    """With a unit that ignores SIGTERM and has a long timeout."""
    unit = f"{{name: deaf, argv: [python3, -c, {DEAF!r}], stop_timeout_s: 600}}"
    assert dynkv("up", dynkv.profile(f"topology: none\nunits:\n  - {unit}\n")).returncode == 0
    until(lambda: "deaf" in (dynkv.place().logs / "deaf.log").read_text())
    dynkv.kill_supervisor()
    pid = dynkv.pids()["deaf"]
    error = refused(dynkv("down", "--timeout", "0.5"), 5)
    assert "what still runs has no supervisor" in error
    os.kill(pid, signal.SIGKILL)
    assert dynkv("down").returncode == 0
    assert dynkv.left_running() == []


def test_units_that_were_asked_are_waited_for(running: Command) -> None:
    before = running.pids()
    assert running("restart", "first", "second", "--wait").returncode == 0
    assert all(running.pids()[unit] != pid for unit, pid in before.items())
    assert running("stop", "second", "--wait").stdout.splitlines() == ["second: stop requested", "second: stopped"]
    assert "second" not in running.pids()
    assert "second: skipped, because it is stopped" in running("restart", "--rolling", "unit").stdout
    assert "second" not in running.pids()
    assert "second: ready" in running("start", "second", "--wait").stdout
    assert running("restart", "--rolling", "unit").returncode == 0
    assert running("wait", "--for", "ready", "--timeout", "60").returncode == 0
