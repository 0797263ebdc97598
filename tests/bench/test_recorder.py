"""Reading the frontend's file as it grows, and writing the trace meanwhile."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from dynkv.bench.recorder import Followed, Recorder
from dynkv.bench.recording import SCHEMA
from dynkv.bench.trace import read


def line(ended_at_ms: int = 1000, block_tokens: int = 16, hashes: tuple[int, ...] = (1, 2)) -> str:
    replay = {
        "trace_block_size": block_tokens,
        "input_length": block_tokens * len(hashes),
        "input_sequence_hashes": hashes,
    }
    request = {"request_received_ms": ended_at_ms - 5, "output_tokens": 3, "replay": replay}
    event = {"schema": SCHEMA, "event_type": "request_end", "event_time_unix_ms": ended_at_ms, "request": request}
    return json.dumps({"event": event}) + "\n"


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    path.write_text("long before\n")
    return path


def test_a_file_is_followed_from_its_end_line_by_line(source: Path) -> None:
    followed = Followed(source)
    add(source, "one\ntw")
    assert list(followed.lines()) == [b"one"]
    add(source, "o\n")
    assert list(followed.lines()) == [b"two"]
    followed.close()


def test_one_that_is_emptied_is_read_on(source: Path) -> None:
    followed = Followed(source)
    add(source, "half a li")
    assert list(followed.lines()) == []
    os.truncate(source, 0)
    add(source, "next\n")
    assert list(followed.lines()) == [b"next"]
    followed.close()


def test_of_one_that_another_takes_the_place_of_the_rest_is_read_and_then_the_other(source: Path) -> None:
    followed = Followed(source)
    add(source, "last\n")
    source.unlink()
    add(source, "first\n")
    assert list(followed.lines()) == [b"last", b"first"]
    source.unlink()
    assert list(followed.lines()) == []
    followed.close()


def test_one_that_is_not_there_yet_is_read_from_its_beginning(tmp_path: Path) -> None:
    followed = Followed(tmp_path / "later")
    assert list(followed.lines()) == []
    add(tmp_path / "later", "first\n")
    assert list(followed.lines()) == [b"first"]
    followed.close()


def test_what_ended_before_is_no_part_of_a_trace_that_only_its_owner_reads(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace"
    recorder = Recorder(source, out, since_ms=1000)
    add(source, line(ended_at_ms=999) + line() + "no request\n" + line(block_tokens=32) + line(hashes=(1, 3)))
    recorder.take()
    with out.open() as lines:
        trace = read(lines)
    (one, other), at = (it.blocks for it in trace.requests), stat.S_IMODE(out.stat().st_mode)
    assert (trace.block_tokens, one[0] == other[0], one[1] == other[1], at) == (16, True, False, 0o600)
    assert (recorder.requests, recorder.passed.without_blocks, recorder.passed.other_blocks) == (2, 1, 1)
    recorder.close()


def test_an_empty_trace_is_removed_and_one_that_is_there_is_kept(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "trace"
    Recorder(source, out, since_ms=0).close()
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(FileExistsError):
        Recorder(source, out, since_ms=0)
    assert out.read_text() == "mine"


def test_on_a_full_disk_what_was_recorded_stays_readable(
    source: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    out = tmp_path / "trace"
    recorder = Recorder(source, out, since_ms=0)
    add(source, line() * 20)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    request.addfinalizer(lambda: signal.signal(signal.SIGXFSZ, handler))
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            recorder.take()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    recorder.close()
    with out.open() as lines:
        assert 0 < len(read(lines).requests) < 20
