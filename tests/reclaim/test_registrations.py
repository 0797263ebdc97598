"""Reading a worker's registrations from its log, even after rotation."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dynkv.children.output import rotate
from dynkv.reclaim.registrations import registrations_in

NOISE = "x" * 99 + "\n"
NOW = time.time()
HOUR = 3600.0


def created(id: int, at: float = NOW) -> str:
    """A line of lmcache 0.5.6 in a process of vllm 0.31.0."""
    stamp = datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
    head = f"(Worker_TP0 pid=113) \x1b[32;20m[{stamp}] LMCache INFO:\x1b[0m LMCache MP worker adapter created with"
    return f"{head} instance_id={id} \x1b[3m(vllm_multi_process_adapter.py:1137:lmcache.integration)\x1b[0m\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker-0.log"


def test_a_log_names_those_of_its_incarnation(log: Path) -> None:
    old = created(1)
    log.write_text(old + created(22) + NOISE + "adapter created with instance_id=33\n")
    for started_at in (None, NOW - 1):
        assert registrations_in(log, len(old), started_at) == {"22", "33"}
    assert registrations_in(log, log.stat().st_size) == frozenset()


def test_where_there_is_no_log_there_are_none(tmp_path: Path) -> None:
    assert registrations_in(tmp_path / "none", 0) == frozenset()
    assert registrations_in(tmp_path / "none", 100, NOW) == frozenset()
    (tmp_path / "directory").mkdir()
    assert registrations_in(tmp_path / "directory", 0) == frozenset()


def test_a_long_log_is_read_to_its_end(log: Path) -> None:
    log.write_text(created(1) + NOISE * 100_000 + created(2))
    assert registrations_in(log, 0) == {"1", "2"}


@pytest.mark.parametrize("before", range(0, 300, 7))
def test_where_pieces_meet_nothing_is_lost_and_no_id_is_cut(log: Path, before: int) -> None:
    log.write_bytes(b"y" * (1024**2 - before - 1) + b"\n" + created(123456789).encode())
    assert registrations_in(log, 0) == {"123456789"}


def test_a_line_that_is_just_being_written_counts_when_it_is_whole(log: Path) -> None:
    log.write_text(created(1) + "adapter created with instance_id=27047")
    assert registrations_in(log, 0) == {"1"}


def test_endless_lines_do_no_harm(log: Path) -> None:
    log.write_bytes(b"z" * 5 * 1024**2 + b"\n" + created(5).encode())
    assert registrations_in(log, 0) == {"5"}


class TestRotated:
    """The incarnation began at some byte of a log that was rotated after it had registered."""

    def began(self, log: Path) -> int:
        log.write_text(NOISE + created(1, NOW - HOUR) + NOISE * 20)
        return log.stat().st_size

    def writes(self, log: Path, *lines: str) -> None:
        with log.open("a") as file:
            file.writelines(lines)

    def rotated(self, log: Path) -> str:
        """Rotate; returns the content of the newest copy: all but the first line."""
        assert rotate(log, log.stat().st_size - 1, keep=5)
        return log.with_name(f"{log.name}.1").read_text()

    @pytest.mark.parametrize("started_at", [None, NOW - 10])
    def test_a_log_that_was_emptied(self, log: Path, started_at: float | None) -> None:
        since = self.began(log)
        self.writes(log, created(22), created(33), *[NOISE] * 20)
        assert rotate(log, 3000, keep=5)
        assert registrations_in(log, since, started_at) == {"22", "33"}
        self.writes(log, NOISE)
        assert registrations_in(log, since, started_at) == {"22", "33"}

    def test_what_was_there_before_it_began_is_anothers(self, log: Path) -> None:
        since = self.began(log)
        self.writes(log, created(22), "adapter created with instance_id=33\n")
        assert "instance_id=1 " in self.rotated(log)
        assert registrations_in(log, since, NOW - 10) == {"22", "33"}

    @pytest.mark.parametrize("started_at", [None, NOW - 10])
    def test_in_an_older_copy(self, log: Path, started_at: float | None) -> None:
        self.began(log)
        self.rotated(log)
        since = log.stat().st_size
        self.writes(log, NOISE, created(22))
        for _ in range(3):
            self.rotated(log)
            self.writes(log, NOISE, NOISE)
        assert registrations_in(log, since + 10_000, started_at) == {"22"}

    def test_a_log_that_has_grown_beyond_its_beginning_again(self, log: Path) -> None:
        since = self.began(log)
        self.writes(log, created(22), *[NOISE] * 20)
        self.rotated(log)
        self.writes(log, created(33), *[NOISE] * 40)
        assert log.stat().st_size > since
        assert registrations_in(log, since, NOW - 10) == {"22", "33"}

    def test_a_copy_from_before_it_began_is_anothers(self, log: Path) -> None:
        self.began(log)
        assert "instance_id=1 " in self.rotated(log)
        os.utime(log.with_name(f"{log.name}.1"), (NOW - HOUR, NOW - HOUR))
        self.writes(log, NOISE, created(22))
        assert registrations_in(log, len(NOISE), NOW - 10) == {"22"}
        assert registrations_in(log, log.stat().st_size, NOW - 10) == frozenset()
