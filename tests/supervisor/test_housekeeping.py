"""Logs do not fill the disk, even if the disk fails."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import cast

import anyio
import pytest
from lab import Lab
from msgspec.structs import replace

from dynkv.host.asking import Questions
from dynkv.plan.model import LogPolicy
from dynkv.supervisor import housekeeping
from dynkv.supervisor.events import Event
from dynkv.supervisor.housekeeping import rotate_logs

pytestmark = pytest.mark.anyio


async def told(lab: Lab) -> Event:
    """The first event recorded during rotation."""
    plan = replace(lab.plan(lab.unit("web")), logs=LogPolicy(max_bytes=10, keep=1))
    shared = lab.shared(plan)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rotate_logs, plan, shared)
        with anyio.fail_after(30):
            async with aclosing(cast("AsyncGenerator[Event, None]", shared.events.follow())) as events:
                found = await anext(events)
        tasks.cancel_scope.cancel()
    return found


async def test_a_log_is_rotated(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    log = lab.place.logs / "web.log"
    log.write_bytes(b"line\n" * 4)
    event = await told(lab)
    assert (event.unit, event.message, log.read_bytes()) == ("web", "web.log was rotated", b"")
    assert (lab.place.logs / "web.log.1").read_bytes() == b"line\n" * 2


async def test_a_disk_that_does_not_answer_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor can also end: no thread of a pool waits for the disk."""
    lab, answer, threads = Lab(tmp_path), threading.Event(), list[threading.Thread]()
    (lab.place.logs / "web.log").write_bytes(b"line\n" * 4)

    def hang(*_: object) -> None:
        threads.append(threading.current_thread())
        answer.wait(60)

    monkeypatch.setattr(housekeeping, "rotate", hang)
    monkeypatch.setattr(housekeeping, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(housekeeping, "_DISK", Questions())
    try:
        event = await told(lab)
        assert event.message == "web.log cannot be emptied: its disk has not answered for 0.05 s"
        assert [thread.daemon for thread in threads] == [True]
    finally:
        answer.set()
