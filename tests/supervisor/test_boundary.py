"""Observing tasks may fail: the failure is reported, and they continue."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from lab import events_of

from dynkv.supervisor import boundary
from dynkv.supervisor.boundary import described, outliving
from dynkv.supervisor.events import EventLog

pytestmark = pytest.mark.anyio


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EventLog:
    monkeypatch.setattr(boundary, "_FIRST_PAUSE_S", 0.001)
    return EventLog(tmp_path / "events.jsonl")


async def test_it_is_started_again_until_it_returns(events: EventLog) -> None:
    failures = [ValueError("x foo"), OSError(24, "Too many open files"), ExceptionGroup("tasks", [KeyError("y")])]

    async def work() -> None:
        if failures:
            raise failures.pop(0)

    await outliving("scraping", work, events)
    told = [(event.kind, event.message) for event in await events_of(events)]
    assert told == [
        ("fault", "scraping: ValueError: x foo"),
        ("fault", "scraping: OSError: [Errno 24] Too many open files"),
        ("fault", "scraping: KeyError: 'y'"),
    ]


async def test_the_same_fault_is_told_once_until_it_is_another(events: EventLog) -> None:
    failures = ["a", "a", "a", "b", "a"]

    async def work() -> None:
        if failures:
            raise ValueError(failures.pop(0))

    await outliving("scraping", work, events)
    assert [event.message[-1] for event in await events_of(events)] == ["a", "b", "a"]


async def test_a_fault_of_one_leaves_the_others_alone(events: EventLog) -> None:
    async def fails() -> None:
        raise ValueError("always")

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outliving, "scraping", fails, events)
            await anyio.lowlevel.checkpoint()
            await events_of(events)
            tasks.cancel_scope.cancel()


def test_a_group_is_what_is_in_it() -> None:
    assert described(ExceptionGroup("g", [ExceptionGroup("h", [ValueError("x")])])) == "ValueError: x"
    assert described(ExceptionGroup("g", [ValueError("x"), KeyError("y")])).startswith("ExceptionGroup: g (2")
