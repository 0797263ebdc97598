"""`up` on a running deployment: only what has changed is restarted, and a failed change is rolled back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from command import QUICK, UNITS, Command, command_in, is_alive, until

from dynkv.cli.bringup import _order
from dynkv.cli.converge import _let_go
from dynkv.cli.deployments import opened
from dynkv.cli.planned import locate, make_plan
from dynkv.control.client import Client
from dynkv.control.deadline import Deadline
from dynkv.errors import UsageError
from dynkv.host.claims import Claims
from dynkv.host.processes import environment_of

SLEEPS = "  - {{name: {}, argv: [sleep, '{}']}}\n"


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        yield command


@pytest.fixture
def running(dynkv: Command) -> dict[str, int]:
    """The pids of two units."""
    done = dynkv("up", dynkv.profile(QUICK))
    assert done.returncode == 0, done.stderr
    return dynkv.pids()


def units(**seconds: str) -> str:
    return UNITS + "".join(SLEEPS.format(name, value) for name, value in seconds.items())


def test_with_nothing_to_change_nothing_is_done(dynkv: Command, running: dict[str, int]) -> None:
    supervisor = dynkv.supervisor()
    done = dynkv("up", "mine.yaml")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "nothing to change"), done.stderr
    assert (dynkv.pids(), dynkv.supervisor()) == (running, supervisor)


def test_only_what_has_changed_is_restarted(dynkv: Command, running: dict[str, int]) -> None:
    done = dynkv("up", dynkv.profile(units(first="1000", second="1001")))
    assert done.returncode == 0, done.stderr
    assert "first: keep\nsecond: restart: arguments: 1000 → 1001\n" in done.stdout
    after = dynkv.pids()
    assert after["first"] == running["first"]
    assert not is_alive(running["second"])
    status = {unit["name"]: unit for unit in dynkv.status()["units"]}
    assert (status["second"]["last_exit"]["reason"], status["second"]["outdated"]) == ("its plan has changed", False)
    assert "let go" in dynkv("events").stdout


def test_what_is_new_starts_and_what_is_dropped_stops(dynkv: Command, running: dict[str, int]) -> None:
    done = dynkv("up", dynkv.profile(units(first="1000", third="1000")))
    assert done.returncode == 0, done.stderr
    assert dynkv.pids().keys() == {"first", "third"}
    assert dynkv.pids()["first"] == running["first"]
    assert not is_alive(running["second"])
    assert "second: ready → stopping" in dynkv("events").stdout, "in order, before its supervisor went"


def test_settings_of_the_supervisor_change_without_a_restart(dynkv: Command, running: dict[str, int]) -> None:
    done = dynkv("up", "mine.yaml", "--set", "logs.keep=7", "--set", "restart.max_restarts=9")
    assert done.returncode == 0, done.stderr
    assert "first: keep: restart policy\n" in done.stdout
    assert "without a restart: rotation of logs\n" in done.stdout
    assert dynkv.pids() == running


def test_one_after_the_other_in_the_order_of_a_start(dynkv: Command) -> None:
    later, sooner = dynkv.server("later"), dynkv.server("sooner")
    profile = UNITS + later.replace("ports:", "depends_on: [sooner], ports:") + sooner
    assert dynkv("up", dynkv.profile(profile)).returncode == 0
    done = dynkv("up", dynkv.profile(profile.replace("go]", "go, more]")))
    assert done.returncode == 0, done.stderr
    steps = [line.split(" ", 1)[1].split(" (")[0] for line in dynkv("events").stdout.splitlines()]
    steps = steps[max(number for number, step in enumerate(steps) if "let go" in step) :]
    told = [step.split(" in ")[0] for step in steps if step.endswith("→ recycling") or "starting → ready" in step]
    assert told[2:] == [
        "sooner: ready → recycling",
        "sooner: starting → ready",
        "later: ready → recycling",
        "later: starting → ready",
    ]


class TestAChangeThatFails:
    def test_is_taken_back(self, dynkv: Command, running: dict[str, int]) -> None:
        done = dynkv("up", dynkv.profile(units(first="no", second="1001")))
        assert done.returncode == 1
        assert "rolling the change back\n" in done.stdout
        assert "mine serves as before\n" in done.stdout
        assert done.stderr.startswith("error: first died during start")
        after = dynkv.pids()
        assert after["second"] == running["second"], "its turn had not come"
        argv = Path(f"/proc/{after['first']}/cmdline").read_bytes().split(b"\0")
        assert argv[:2] == [b"sleep", b"1000"]
        assert dynkv.status()["state"] == "ready"

    def test_stays_where_that_is_wished(self, dynkv: Command, running: dict[str, int]) -> None:
        done = dynkv("up", dynkv.profile(units(first="no", second="1000")), "--no-rollback")
        assert done.returncode == 1
        assert "rolling the change back" not in done.stdout
        assert dynkv.pids()["second"] == running["second"]

    def test_brings_back_what_was_dropped(self, dynkv: Command, running: dict[str, int]) -> None:
        done = dynkv("up", dynkv.profile(units(first="no")))
        assert done.returncode == 1
        assert dynkv.pids().keys() == running.keys()
        assert dynkv.status()["state"] == "ready"

    def test_keeps_the_secrets_of_before(self, dynkv: Command) -> None:
        """They are in no file; the supervisor that released the deployment had them."""
        secret = "env: {DB_PASSWORD: of-before}\n"
        assert dynkv("up", dynkv.profile(secret + QUICK)).returncode == 0
        failing = units(first="no", second="1000").replace("'no']", "'no'], env: {A: b}")
        assert dynkv("up", dynkv.profile(failing)).returncode == 1
        given = environment_of(dynkv.pids()["first"])
        assert given is not None
        assert given["DB_PASSWORD"] == "of-before"

    def test_so_is_one_that_takes_too_long(self, dynkv: Command) -> None:
        assert dynkv("up", dynkv.profile(UNITS + dynkv.server("one"))).returncode == 0
        never = (dynkv.directory / "mine.yaml").read_text().replace("one.go", "never.go")
        done = dynkv("up", dynkv.profile(never), "--timeout", "2")
        assert done.returncode == 5
        assert "mine serves as before\n" in done.stdout
        assert dynkv.status()["state"] == "ready"

    def test_and_one_that_is_interrupted(self, dynkv: Command) -> None:
        assert dynkv("up", dynkv.profile(UNITS + dynkv.server("one"))).returncode == 0
        first = dynkv.pids()["one"]
        never = (dynkv.directory / "mine.yaml").read_text().replace("one.go", "never.go")
        with dynkv.begun("up", dynkv.profile(never)) as up:
            until(lambda: dynkv.pids().get("one", first) != first)
            up.send_signal(signal.SIGINT)
            out, _ = up.communicate(timeout=60)
        assert (up.returncode, "mine serves as before" in out) == (130, True)


def test_a_change_that_the_host_refuses_ends_nothing(dynkv: Command, running: dict[str, int]) -> None:
    supervisor = dynkv.supervisor()
    done = dynkv("up", dynkv.profile(UNITS + "  - {name: first, argv: [sleep, '1'], depends_on: [nobody]}\n"))
    assert done.returncode == 2
    assert (dynkv.pids(), dynkv.supervisor()) == (running, supervisor)


def test_the_plan_that_was_shown_is_carried_out_unless_one_of_its_ports_is_gone(
    dynkv: Command, running: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNKV_HOME", str(dynkv.home))
    loaded, where = locate(str(dynkv.directory / dynkv.profile(QUICK, "other")), None, [])
    where.create()
    shown = make_plan(loaded, where)
    order = partial(_order, loaded, where, Deadline(20.0), skip_checks=False, replace=False, shown=shown)
    with ExitStack() as held:
        assert order(held)[0].plan is shown.plan
    with Claims() as somebody_else, ExitStack() as held:
        assert somebody_else.hold(shown.plan.ports) == frozenset()
        assert shown.plan.ports
        assert not {*order(held)[0].plan.ports} & {*shown.plan.ports}


def test_what_was_stopped_rests_on(dynkv: Command, running: dict[str, int]) -> None:
    assert dynkv("stop", "second", "--wait").returncode == 0
    done = dynkv("up", dynkv.profile(units(first="1001", second="1000")))
    assert done.returncode == 0, done.stderr
    assert dynkv.pids().keys() == {"first"}


def test_a_supervisor_lets_go_and_another_takes_over(dynkv: Command, running: dict[str, int]) -> None:
    pid = dynkv.supervisor()
    Client(dynkv.place().socket).release()
    until(lambda: not is_alive(pid))
    assert all(map(is_alive, running.values()))
    assert dynkv.status()["supervisor"] is None
    assert dynkv("up", "mine.yaml").returncode == 0
    assert dynkv.pids() == running


def test_one_in_the_foreground_does_not(dynkv: Command) -> None:
    """A service manager would end what its service leaves."""
    with dynkv.begun("up", dynkv.profile(QUICK), "--foreground") as foreground:
        until(lambda: dynkv.pids().keys() == {"first", "second"})
        done = dynkv("up", dynkv.profile(units(first="1001", second="1000")))
        assert done.returncode == 4
        assert "runs in the foreground" in done.stderr
        assert dynkv("up", dynkv.profile(units(first="1000"))).returncode == 4
        until(lambda: dynkv.pids().keys() == {"first", "second"})
        os.kill(foreground.pid, signal.SIGTERM)
        assert foreground.wait(30) == 0


def test_a_supervisor_that_cannot_let_go_yet_is_killed_and_nothing_else(
    dynkv: Command, running: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers like a version from before that request existed."""

    def release(client: Client) -> None:
        raise UsageError("there is no POST /v1/release")

    monkeypatch.setattr(Client, "release", release)
    monkeypatch.setenv("DYNKV_HOME", str(dynkv.home))
    _let_go(opened("mine"), Deadline(20.0))
    assert not opened("mine").is_supervised
    assert all(map(is_alive, running.values()))
    assert dynkv("up", "mine.yaml").returncode == 0
    assert dynkv.pids() == running
