"""A changed state directory: copied, moved, linked, without its lock, or with a false journal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import QUICK, Command, command_in, is_alive, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        command.profile(QUICK)
        yield command


@pytest.fixture
def up(dynkv: Command) -> dict[str, int]:
    """Start two units; their pids."""
    assert dynkv("up", "mine.yaml").returncode == 0
    return dynkv.pids()


def at(home: Path, dynkv: Command) -> Command:
    return Command(dynkv.directory, home)


def rewrite(dynkv: Command, **changes: Any) -> None:
    journal = dynkv.place().journal
    journal.write_text(json.dumps({**json.loads(journal.read_bytes()), **changes}))


def is_down(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 0 and done.stdout.endswith("mine is down\n")


def all_run(pids: dict[str, int]) -> bool:
    return all(map(is_alive, pids.values()))


def none_runs(pids: dict[str, int]) -> bool:
    return not any(map(is_alive, pids.values()))


class TestCopies:
    @pytest.mark.parametrize("supervisor", ["lives", "is dead"])
    def test_of_a_home_end_nobody(self, dynkv: Command, up: dict[str, int], supervisor: str) -> None:
        if supervisor == "is dead":
            dynkv.kill_supervisor()
        copy = at(dynkv.directory / "copy", dynkv)
        shutil.copytree(dynkv.home, copy.home, symlinks=True, ignore=shutil.ignore_patterns("*.sock"))
        assert copy("status", "mine").returncode == 3
        assert "already down" in copy("down", "mine").stdout
        assert copy("doctor", "--clean").returncode == 0
        assert all_run(up)
        assert dynkv("down").returncode == 0
        assert none_runs(up)

    def test_of_a_deployment_beside_it_end_nobody(self, dynkv: Command, up: dict[str, int]) -> None:
        dynkv.kill_supervisor()
        shutil.copytree(
            dynkv.place().directory, dynkv.place("other").directory, ignore=shutil.ignore_patterns("*.sock")
        )
        assert "already down" in dynkv("down", "other").stdout
        assert dynkv("up", "mine.yaml", "--name", "other").returncode == 0
        assert not {*dynkv.pids("other").values()} & {*up.values()}
        assert dynkv("down", "other").returncode == 0
        assert all_run(up)

    def test_that_were_all_that_stayed_are_what_was_moved(self, dynkv: Command, up: dict[str, int]) -> None:
        dynkv.kill_supervisor()
        moved = at(dynkv.directory / "moved", dynkv)
        dynkv.home.rename(moved.home)
        assert moved("status", "mine").returncode == 0
        assert moved("down", "mine").returncode == 0
        assert none_runs(up)


class TestLinks:
    @pytest.mark.parametrize("supervisor", ["lives", "is stopped", "is dead"])
    def test_lead_to_the_same_home(self, dynkv: Command, supervisor: str) -> None:
        linked = at(dynkv.directory / "link", dynkv)
        dynkv.home.mkdir()
        linked.home.symlink_to(dynkv.home)
        assert linked("up", "mine.yaml").returncode == 0
        pids = dynkv.pids()
        if supervisor == "is dead":
            dynkv.kill_supervisor()
        elif supervisor == "is stopped":
            os.kill(dynkv.supervisor(), signal.SIGSTOP)
        assert dynkv("status").returncode == 0
        assert is_down(dynkv("down", "mine"))
        assert none_runs(pids)


class TestALockThatIsRemoved:
    def test_hides_no_supervisor_from_down(self, dynkv: Command, up: dict[str, int]) -> None:
        supervisor = dynkv.supervisor()
        dynkv.place().lock.unlink()
        assert is_down(dynkv("down", "mine"))
        assert none_runs({**up, "supervisor": supervisor})

    @pytest.mark.parametrize("words", [("status",), ("up", "mine.yaml"), ("doctor", "--clean"), ("plan", "mine.yaml")])
    def test_hides_no_supervisor_from_others(self, dynkv: Command, up: dict[str, int], words: tuple[str, ...]) -> None:
        supervisor = dynkv.supervisor()
        for _ in range(3):
            dynkv.place().lock.unlink(missing_ok=True)
            done = dynkv(*words)
            assert done.returncode == 0, done.stderr
        until(lambda: dynkv.place().has_supervisor())
        assert dynkv.supervisor() == supervisor
        assert dynkv.pids() == up
        assert all_run(up)


class TestAJournal:
    def test_that_is_damaged_keeps_no_supervisor_that_is_stopped_from_its_end(
        self, dynkv: Command, up: dict[str, int]
    ) -> None:
        supervisor = dynkv.supervisor()
        os.kill(supervisor, signal.SIGSTOP)
        dynkv.place().journal.write_bytes(b"{}")
        done = dynkv("status", "mine")
        assert done.returncode == 1
        assert f"its supervisor (pid {supervisor}) is suspended by a signal" in done.stderr
        assert is_down(dynkv("down", "mine"))
        assert none_runs({**up, "supervisor": supervisor})

    @pytest.mark.parametrize(
        "changes",
        [
            {"stopped": True},
            {"stopped": True, "children": {}},
            {"boot_id": "another"},
            {"children": "x"},
            {"children": {"../../first": {}}},
            {"plan": {}},
        ],
        ids=str,
    )
    def test_that_cannot_be_true_ends_nobody_and_hides_nobody(
        self, dynkv: Command, up: dict[str, int], changes: dict[str, Any]
    ) -> None:
        dynkv.kill_supervisor()
        rewrite(dynkv, **changes)
        assert dynkv("status", "mine").returncode == 0
        done = dynkv("up", "mine.yaml")
        assert done.returncode == (0 if changes == {"plan": {}} else 4), done.stderr
        assert all_run(up)
        assert is_down(dynkv("down", "mine"))
        assert none_runs(up)

    @pytest.mark.parametrize("supervisor", ["lives", "is dead"])
    def test_whose_socket_is_anothers_ends_nothing_of_that(
        self, dynkv: Command, up: dict[str, int], supervisor: str
    ) -> None:
        assert dynkv("up", "mine.yaml", "--name", "other").returncode == 0
        others = dynkv.pids("other")
        if supervisor == "is dead":
            dynkv.kill_supervisor()
        rewrite(dynkv, socket=str(dynkv.place("other").socket))
        assert dynkv("status", "mine", "--json").returncode == 0
        assert dynkv("down", "mine").returncode == 0
        assert none_runs(up)
        assert all_run(others)


def test_a_socket_that_is_a_link_to_anothers_asks_nothing_of_that(dynkv: Command, up: dict[str, int]) -> None:
    assert dynkv("up", "mine.yaml", "--name", "other").returncode == 0
    others = dynkv.pids("other")
    dynkv.place().socket.unlink()
    dynkv.place().socket.symlink_to(dynkv.place("other").socket)
    assert is_down(dynkv("down", "mine"))
    assert none_runs(up)
    assert all_run(others)


@pytest.mark.parametrize("is_asked", [False, True])
def test_a_home_that_is_moved_while_its_supervisor_lives(dynkv: Command, up: dict[str, int], is_asked: bool) -> None:
    """At first it is the same deployment; later a new one is at the old path, and the moved one is a copy."""
    moved, supervisor = at(dynkv.directory / "moved", dynkv), dynkv.supervisor()
    dynkv.home.rename(moved.home)
    if is_asked:
        assert is_down(moved("down", "mine"))
        assert none_runs({**up, "supervisor": supervisor})
        return
    assert dynkv.supervisor() == supervisor
    until(lambda: not moved.place().has_supervisor())
    assert "already down" in moved("down", "mine").stdout
    assert all_run(up)
    assert is_down(dynkv("down", "mine"))
    assert none_runs(up)


Lie = Callable[[dict[str, Any], int], dict[str, Any]]


@pytest.mark.parametrize(
    "lie",
    [
        lambda record, other: {**record, "pid": other},
        lambda record, other: {**record, "ports": {"http": 70000, "zmq": -1}},
        lambda record, other: {**record, "registrations": ["--evil"]},
    ],
    ids=["a stranger", "ports", "registrations"],
)
def test_a_child_that_can_be_none(dynkv: Command, up: dict[str, int], lie: Lie) -> None:
    """Only processes with the deployment's markers are affected. For pids that exist on every host, see
    test_salvage.py."""
    with dynkv.popen(["sleep", "1000"]) as stranger:
        dynkv.kill_supervisor()
        children = json.loads(dynkv.place().journal.read_bytes())["children"]
        rewrite(dynkv, children={**children, "first": lie(children["first"], stranger.pid)})
        for words in (("status", "mine"), ("doctor", "mine.yaml"), ("plan", "mine.yaml"), ("down", "mine")):
            done = dynkv(*words)
            assert done.returncode == 0, done.stderr
        assert none_runs(up)
        assert stranger.poll() is None
        stranger.kill()
