"""A supervisor's process that is started before there is a plan."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import QUICK, UNITS, Command, command_in, is_alive, until
from surrounded import environ, started

from dynkv.cli.ahead import Ahead
from dynkv.host.processes import command_line, pids
from dynkv.park.handover import Becoming, Descriptors

SECRET = UNITS + "  - {name: one, argv: [sleep, '1000'], env: {API_KEY: hidden}}\n"
AHEAD = b"--ahead-fd"


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        yield command


@pytest.fixture
def descriptors() -> Iterator[Descriptors]:
    fds = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]
    plan, notify, log = fds
    yield Descriptors(plan, notify, log, ())
    for fd in fds:
        os.close(fd)


def begun(home: Path) -> list[int]:
    """Processes that were started ahead for this home."""
    return [pid for pid in pids() if AHEAD in (words := command_line(pid).split(b"\0")) and os.fsencode(home) in words]


def ahead(home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Ahead, int]:
    monkeypatch.setenv("DYNKV_HOME", str(home))
    found = Ahead()
    found.begin(["up", "mine.yaml"])
    return found, until(lambda: begun(home))[0]


def test_it_becomes_the_supervisor(dynkv: Command) -> None:
    assert started(dynkv).returncode == 0
    supervisor = dynkv.supervisor()
    assert AHEAD in command_line(supervisor).split(b"\0")
    assert Path(f"/proc/{supervisor}/cwd").resolve() == dynkv.place().directory.resolve()
    assert Path(f"/proc/{supervisor}/fd/2").resolve() == dynkv.place().supervisor_log.resolve()
    assert os.getsid(supervisor) == supervisor
    assert dynkv("status").returncode == 0
    assert dynkv("down").returncode == 0
    assert not is_alive(supervisor)


def test_a_supervisor_that_has_more_in_its_environment_is_begun_with_the_plan(dynkv: Command) -> None:
    assert dynkv("up", dynkv.profile(SECRET)).returncode == 0
    supervisor = dynkv.supervisor()
    assert AHEAD not in command_line(supervisor).split(b"\0")
    assert "hidden" in environ(supervisor).values()
    assert not begun(dynkv.home)


@pytest.mark.parametrize(
    "words", [("up", "nowhere.yaml"), ("up", "wrong.yaml"), ("up", "--help"), ("up", "--odd", "x")]
)
def test_nothing_is_left_of_one_that_nobody_needs(dynkv: Command, words: tuple[str, ...]) -> None:
    dynkv.profile("topology: odd\n", "wrong")
    dynkv(*words)
    assert not begun(dynkv.home)


def test_one_that_runs_already_needs_none(dynkv: Command) -> None:
    profile = dynkv.profile(QUICK)
    assert dynkv("up", profile).returncode == 0
    supervisor = dynkv.supervisor()
    assert "nothing to change" in dynkv("up", profile).stdout
    assert begun(dynkv.home) == [supervisor]


def test_without_its_command_it_ends(dynkv: Command) -> None:
    script = (
        "import os\nfrom dynkv.cli.ahead import Ahead\n"
        "ahead = Ahead()\nahead.begin(['up', 'x'])\nos._exit(0)"  # as if the command had been killed
    )
    subprocess.run([sys.executable, "-c", script], env=dynkv.env, check=True, timeout=30)
    until(lambda: not begun(dynkv.home))


def test_one_that_has_died_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descriptors: Descriptors) -> None:
    found, pid = ahead(tmp_path, monkeypatch)
    os.kill(pid, 9)
    becoming = Becoming((), found.environ, str(tmp_path), "mine")
    assert found.become(becoming, descriptors, 30.0) == (None, "the process that was begun ahead has ended")
    assert not is_alive(pid)


def test_nobody_waits_for_one_longer_than_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descriptors: Descriptors
) -> None:
    found, pid = ahead(tmp_path, monkeypatch)
    os.kill(pid, 19)  # SIGSTOP
    process, why_not = found.become(Becoming((), found.environ, str(tmp_path), "mine"), descriptors, 0.1)
    assert (process, why_not) == (None, "the process that was begun ahead does not answer: timed out")
    assert not is_alive(pid)


def test_a_supervisor_s_log_says_why_it_was_started_anew(dynkv: Command) -> None:
    profile = dynkv.profile(QUICK)
    with dynkv.begun("up", profile) as process:
        os.kill(until(lambda: begun(dynkv.home))[0], 9)
        assert process.wait(30) == 0
    told = dynkv.place().supervisor_log.read_text()
    assert "started anew: the process that was begun ahead has ended" in told


@pytest.mark.parametrize("words", [["status"], [], ["up", "--help"], ["up", "agg", "--foreground"], ["down", "up"]])
def test_it_is_begun_for_what_leaves_a_supervisor_alone(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNKV_HOME", str(tmp_path))
    found = Ahead()
    found.begin(words)
    assert not begun(tmp_path)
