"""`logs`: which lines of which files it shows, and in which order."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dynkv.children.lines import Level
from dynkv.children.output import rotate
from dynkv.cli import log_files
from dynkv.cli.log_files import Follower, blocks_backward
from dynkv.cli.logs import Wanted, last_lines
from dynkv.cli.since import moment
from dynkv.errors import UsageError

NOW = datetime(2026, 11, 24, 19, 0, tzinfo=timezone(timedelta(hours=1)))


def vllm(minute: int, text: str, level: str = "INFO") -> str:
    return f"{level} 11-24 18:{minute:02}:00 [x.py:1] {text}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker-0.log"


def shown(log: Path, wanted: Wanted, count: int | None = None) -> list[str]:
    return [line.text for line in last_lines(log, wanted, count, NOW)]


def test_the_last_lines_of_a_log_and_of_the_copies_that_rotation_made(log: Path) -> None:
    log.write_text("d\ne\n")
    log.with_name("worker-0.log.1").write_text("b\nc\n")
    log.with_name("worker-0.log.2").write_text("a\n")
    log.with_name("worker-0.log.old").write_text("not a copy\n")
    assert shown(log, Wanted()) == ["a", "b", "c", "d", "e"]
    assert shown(log, Wanted(), 3) == ["c", "d", "e"]
    assert shown(log, Wanted(), 0) == []


def test_blocks_hold_whole_lines(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "_BLOCK_BYTES", 64)
    lines = [f"line {number} " + "x" * (number % 40) for number in range(200)] + ["y" * 500, "end"]
    log.write_text("\n".join(lines))
    blocks = list(blocks_backward(log))
    assert len(blocks) > 50
    assert "".join("".join(block) for block in reversed(blocks)) == "".join(lines)
    assert shown(log, Wanted(), 3)[-1] == "end"


def test_since_a_moment(log: Path) -> None:
    log.write_text("\n".join([vllm(10, "old"), "of it", vllm(50, "new"), "of that"]))
    log.with_name("worker-0.log.1").write_text(vllm(5, "older"))
    assert shown(log, Wanted(since=moment("15m", NOW))) == [vllm(50, "new"), "of that"]


def test_lines_that_tell_no_time_are_never_too_old(log: Path) -> None:
    log.write_text("a\nb\n")
    assert shown(log, Wanted(since=moment("1s", NOW))) == ["a", "b"]


def test_a_level_and_what_belongs_to_it(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        vllm(1, "a"),
        vllm(2, "b", "ERROR"),
        *(f"  frame {n}" for n in range(9)),
        vllm(3, "c"),
        vllm(4, "d", "WARN"),
    ]
    log.write_text("\n".join(lines))
    assert shown(log, Wanted(level=Level.ERROR)) == lines[1:11]
    assert shown(log, Wanted(level=Level.WARNING)) == [*lines[1:11], lines[-1]]
    monkeypatch.setattr(log_files, "_BLOCK_BYTES", 40)
    assert shown(log, Wanted(level=Level.ERROR)) == lines[1:11], "also where it is read in pieces"


def test_grep_looks_at_what_is_shown(log: Path) -> None:
    import re

    log.write_text("\x1b[31mKV\x1b[0m cache\nother\nkv cache again\n")
    assert shown(log, Wanted(pattern=re.compile("kv cache", re.IGNORECASE)), 5) == ["KV cache", "kv cache again"]


def test_following_a_log_across_its_rotation(log: Path) -> None:
    log.write_text("before\n" * 100)
    follower = Follower(log)
    assert follower.new_lines() == []
    with log.open("a") as writer:
        writer.write("one\ntw")
        writer.flush()
        assert follower.new_lines() == ["one"], "half a line waits for its end"
        writer.write("o\nthree\n" + "x" * 100 + "\n")
        writer.flush()
        assert rotate(log, 700, 3)
        writer.write("four\n")
        writer.flush()
    assert follower.new_lines() == ["two", "three", "x" * 100, "four"]
    assert follower.new_lines() == []


def test_following_a_log_that_comes_later(log: Path) -> None:
    follower = Follower(log)
    assert follower.new_lines() == []
    log.write_text("first\n")
    assert follower.new_lines() == ["first"]


@pytest.mark.parametrize(
    ("text", "ago"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("500ms", 0.5), ("1.5h", 5400), ("0s", 0)],
)
def test_how_long_ago(text: str, ago: float) -> None:
    assert moment(text, NOW) == NOW - timedelta(seconds=ago)


def test_a_moment() -> None:
    assert moment("2026-11-24T12:00", NOW) == NOW.replace(hour=12)
    assert moment("2026-11-24T12:00:00Z", NOW) == NOW.replace(hour=13)


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "10mm", "yesterday", "-5m", "99999999999d"])
def test_neither(text: str) -> None:
    with pytest.raises(UsageError):
        moment(text, NOW)
