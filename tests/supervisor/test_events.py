"""The history: written, remembered, followed."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import anyio
import pytest
from lab import events_of

from dynkv.children.output import rotate
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import Event, EventLog

pytestmark = pytest.mark.anyio


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "events.jsonl")


def following(log: EventLog, after_seq: int = 0) -> aclosing[AsyncGenerator[Event, None]]:
    return aclosing(cast("AsyncGenerator[Event, None]", log.follow(after_seq)))


async def test_each_is_a_line_with_its_cause_and_duration(log: EventLog, tmp_path: Path) -> None:
    log.record(EventKind.STATE, "a → b", unit="worker-0", cause="because", duration_s=1.23456, old="a")
    log.record(EventKind.DEPLOYMENT, "up")
    first, second = [json.loads(line) for line in lines_of(tmp_path)]
    at = first.pop("at")
    assert at.endswith("+00:00")
    assert first == {
        "seq": 1,
        "kind": "state",
        "unit": "worker-0",
        "message": "a → b",
        "cause": "because",
        "duration_s": 1.235,
        "data": {"old": "a"},
    }
    assert (second["seq"], second["unit"], second["duration_s"]) == (2, None, None)


def lines_of(directory: Path) -> list[str]:
    return (directory / "events.jsonl").read_text().splitlines()


async def test_another_supervisors_lines_stay(log: EventLog, tmp_path: Path) -> None:
    log.record(EventKind.LOG, "one")
    EventLog(tmp_path / "events.jsonl").record(EventKind.LOG, "two")
    assert [json.loads(line)["message"] for line in lines_of(tmp_path)] == ["one", "two"]


@pytest.mark.parametrize("moved", [False, True])
async def test_another_supervisor_counts_on(log: EventLog, tmp_path: Path, moved: bool) -> None:
    """A client that reconnects names the last event that it saw, whichever supervisor recorded it."""
    for word in ("one", "two"):
        log.record(EventKind.LOG, word)
    if moved:
        rotate(tmp_path / "events.jsonl", 10, 1)
        (tmp_path / "events.jsonl.1").write_text(
            '{"half\n{"seq": 2, "at": "", "kind": "", "unit": null, "message": ""}\n'
        )
    second = EventLog(tmp_path / "events.jsonl")
    second.record(EventKind.LOG, "three")
    async with following(second, after_seq=2) as events:
        with anyio.fail_after(3):
            event = await anext(events)
    assert (event.seq, event.message) == (3, "three")


async def test_it_counts_on_from_before_lines_that_make_no_sense(log: EventLog, tmp_path: Path) -> None:
    log.record(EventKind.LOG, "one")
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"seq": 1e400}\n' * 50)
    second = EventLog(tmp_path / "events.jsonl")
    second.record(EventKind.LOG, "two")
    assert json.loads(lines_of(tmp_path)[-1])["seq"] == 2


@pytest.mark.parametrize(
    "left", [b"", b"\xff\0[[[[", b'{"seq": 1e400}', b'{"seq": -5, "at": "", "kind": "", "unit": null}']
)
async def test_where_nothing_tells_it_counts_anew_and_hides_nothing(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "events.jsonl").write_bytes(left)
    log = EventLog(tmp_path / "events.jsonl")
    log.record(EventKind.LOG, "first")
    async with following(log, after_seq=500) as events:
        with anyio.fail_after(3):
            event = await anext(events)
    assert (event.seq, event.message) == (1, "first")


async def test_who_follows_gets_the_remembered_and_then_the_new(log: EventLog) -> None:
    for word in ("one", "two", "three"):
        log.record(EventKind.LOG, word)
    async with following(log, after_seq=1) as events:
        with anyio.fail_after(3):
            assert [(await anext(events)).message for _ in range(2)] == ["two", "three"]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(record_soon, log)
                assert (await anext(events)).message == "four"


async def record_soon(log: EventLog) -> None:
    await anyio.wait_all_tasks_blocked()
    log.record(EventKind.LOG, "four")


async def test_two_followers_get_all_each(log: EventLog) -> None:
    log.record(EventKind.LOG, "one")
    async with following(log) as first, following(log) as second:
        with anyio.fail_after(3):
            assert (await anext(first)).seq == (await anext(second)).seq == 1


async def test_one_that_is_recorded_while_the_remembered_are_handed_out_is_not_lost(log: EventLog) -> None:
    log.record(EventKind.LOG, "one")
    async with following(log) as events:
        with anyio.fail_after(3):
            assert (await anext(events)).message == "one"
            log.record(EventKind.LOG, "two")
            assert (await anext(events)).message == "two"


async def test_a_slow_listener_costs_the_others_nothing_and_its_stream_ends(log: EventLog) -> None:
    log.record(EventKind.LOG, "first")
    async with following(log) as slow:
        with anyio.fail_after(3):
            await anext(slow)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(record_many, log, 3000)
                got = [event.seq async for event in slow]
        assert 1000 <= len(got) < 3000
        assert got == list(range(2, 2 + len(got)))
    assert (await events_of(log))[-1].seq == 3001


async def record_many(log: EventLog, number: int) -> None:
    await anyio.wait_all_tasks_blocked()
    for n in range(number):
        log.record(EventKind.LOG, str(n))


async def test_the_oldest_are_forgotten(log: EventLog) -> None:
    for n in range(1500):
        log.record(EventKind.LOG, str(n))
    assert len(await events_of(log)) < 1001


async def test_a_file_that_cannot_be_written_is_told_and_stops_nobody(tmp_path: Path) -> None:
    directory = tmp_path / "later"
    log = EventLog(directory / "events.jsonl")
    log.record(EventKind.LOG, "one")
    assert log.write_error is not None
    assert "No such file" in log.write_error
    assert [event.message for event in await events_of(log)] == ["one"]
    directory.mkdir()
    log.record(EventKind.LOG, "two")
    assert log.write_error is None
