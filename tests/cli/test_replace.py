"""Processes that no journal explains are never ended unasked: `up` refuses or asks, or is told by `--replace`."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import QUICK, Command, command_in, is_alive


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        yield command


@pytest.fixture
def orphaned(dynkv: Command) -> dict[str, int]:
    """Two units whose supervisor was killed; their pids."""
    assert dynkv("up", dynkv.profile(QUICK)).returncode == 0
    pids = dynkv.pids()
    dynkv.kill_supervisor()
    return pids


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "damaged": lambda journal: journal.write_bytes(b'{"version": 1, "boot'),
    "emptied": lambda journal: journal.write_bytes(b""),
    "removed": lambda journal: journal.unlink(),
    "of something else": lambda journal: journal.write_bytes(b'["a list"]'),
}


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
class TestAJournalThatCannotBeUnderstood:
    def test_ends_nothing(self, dynkv: Command, orphaned: dict[str, int], spoil: Callable[[Path], object]) -> None:
        spoil(dynkv.place().journal)
        done = dynkv("up", "mine.yaml")
        assert done.returncode == 4
        first, *named, hint = done.stderr.splitlines()
        assert first == "error: processes of 'mine' run without a supervisor, and its journal cannot be understood"
        assert {int(line.split()[1]) for line in named} == {*orphaned.values()}
        assert all("(sleep 1000" in line for line in named)
        assert hint == "  hint: `dynkv down mine` ends them; `dynkv up … --replace` also starts it again"
        assert all(map(is_alive, orphaned.values()))
        assert not dynkv.place().has_supervisor()

    def test_is_replaced_where_that_is_wished(
        self, dynkv: Command, orphaned: dict[str, int], spoil: Callable[[Path], object]
    ) -> None:
        spoil(dynkv.place().journal)
        done = dynkv("up", "mine.yaml", "--replace")
        assert done.returncode == 0, done.stderr
        assert not any(map(is_alive, orphaned.values()))
        assert dynkv.status()["state"] == "ready"


class TestReplace:
    def test_starts_anew_what_could_be_taken_over(self, dynkv: Command, orphaned: dict[str, int]) -> None:
        done = dynkv("up", "mine.yaml", "--replace")
        assert done.returncode == 0, done.stderr
        assert "the earlier processes of mine have ended" in done.stdout
        assert not any(map(is_alive, orphaned.values()))
        assert dynkv.pids().keys() == orphaned.keys()

    def test_ends_nothing_that_is_supervised(self, dynkv: Command) -> None:
        assert dynkv("up", dynkv.profile(QUICK)).returncode == 0
        before = dynkv.pids()
        assert "already running" in dynkv("up", "mine.yaml", "--replace").stderr
        assert dynkv.pids() == before
        assert all(map(is_alive, before.values()))

    def test_ends_nothing_where_the_new_one_could_not_start(self, dynkv: Command, orphaned: dict[str, int]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            dynkv.profile(QUICK + f"  - {{name: third, argv: [sleep, '1'], ports: {{http: {port}}}}}\n")
            done = dynkv("up", "mine.yaml", "--replace")
        assert done.returncode == 4, done.stderr
        assert all(map(is_alive, orphaned.values()))

    def test_is_nothing_special_where_nothing_runs(self, dynkv: Command) -> None:
        done = dynkv("up", dynkv.profile(QUICK), "--replace")
        assert done.returncode == 0, done.stderr
        assert "has ended" not in done.stdout


def test_a_journal_that_lost_the_socket_hides_no_supervisor(dynkv: Command) -> None:
    assert dynkv("up", dynkv.profile(QUICK)).returncode == 0
    journal = dynkv.place().journal
    parts = {name: part for name, part in json.loads(journal.read_bytes()).items() if name != "socket"}
    journal.write_text(json.dumps(parts))
    assert dynkv.status()["state"] == "ready"
    assert dynkv("down").returncode == 0
    assert dynkv.left_running() == []
