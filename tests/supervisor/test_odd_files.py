"""Whatever is in the place of a running supervisor's files, it keeps serving, and makes again what it needs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from daemons import daemon, pids, status_once
from lab import Lab
from odd import ODD, Odd, directory, put
from processes import is_alive, until

from dynkv.children.stop import kill_tree
from dynkv.control.handshake import READY
from dynkv.owned import not_own
from dynkv.plan.model import Plan, Role
from dynkv.supervisor.journal import read_journal
from dynkv.supervisor.survivors import survivors

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def plan(lab: Lab) -> Plan:
    return lab.plan(lab.unit("frontend", role=Role.FRONTEND), lab.unit())


@pytest.fixture(autouse=True)
def clean_up(lab: Lab) -> Iterator[None]:
    yield
    anyio.run(kill_tree, lambda: survivors(None, lab.place))


def files(lab: Lab, odd: Odd) -> set[Path]:
    """The files to replace: not the draft by a directory, since then there can be no journal."""
    where = lab.place
    draft = where.journal.with_suffix(".tmp")
    logs = (where.logs / "worker-0.log", where.logs / "worker-0.log.1")
    return {where.events, *logs, where.journal, where.socket, *(() if odd is directory else (draft,))}


def restarted(lab: Lab) -> None:
    before = pids(status_once(lab))["worker-0"]
    os.kill(before or 0, signal.SIGKILL)
    until(lambda: pids(status_once(lab))["worker-0"] not in (None, before), 30)


@pytest.mark.parametrize("odd", ODD)
def test_while_it_runs(lab: Lab, plan: Plan, odd: Odd) -> None:
    with daemon(lab, plan) as (process, _):
        status_once(lab)
        for path in {*files(lab, odd), lab.place.lock}:
            put(odd, path)
        until(lambda: lab.place.has_supervisor(), 30)
        restarted(lab)
        journal = until(lambda: read_journal(lab.place.journal), 30)
        assert journal is not None
        assert {name: child.pid for name, child in journal.children.items()} == pids(status_once(lab))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not_own(lab.place.lock) == not_own(lab.place.journal) == ""


@pytest.mark.parametrize("odd", ODD)
def test_before_it_starts(lab: Lab, plan: Plan, odd: Odd) -> None:
    for path in files(lab, odd):
        put(odd, path)
    with daemon(lab, plan) as (process, reported):
        assert reported == READY, lab.place.supervisor_log.read_text()
        restarted(lab)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert lab.place.supervisor_log.read_text() == ""


def test_a_log_that_takes_no_output_is_told_once(lab: Lab, plan: Plan) -> None:
    os.mkfifo(lab.place.logs / "worker-0.log")
    with daemon(lab, plan):
        status_once(lab)
        until(lambda: "worker-0.log takes no output: it is a FIFO" in lab.place.events.read_text(), 30)
        restarted(lab)
    assert lab.place.events.read_text().count("takes no output") == 1


def test_a_directory_in_the_place_of_the_draft_is_told(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan):
        status_once(lab)
        lab.place.journal.with_suffix(".tmp").mkdir()
        lab.place.journal.unlink()
        until(lambda: "cannot write" in status_once(lab).detail, 30)


def test_the_lock_that_somebody_removes_is_made_again_and_nobody_is_taken_for_dead(lab: Lab, plan: Plan) -> None:
    with daemon(lab, plan) as (process, _):
        before = pids(status_once(lab))
        lab.place.lock.unlink()
        until(lambda: lab.place.has_supervisor(), 30)
        assert pids(status_once(lab)) == before
        assert process.poll() is None
    assert all(is_alive(pid or 0) for pid in before.values())


@pytest.mark.parametrize("written", [b"", b"{}", b"\0\xff" * 100, b'{"children": "x"}'])
def test_a_journal_that_somebody_overwrites_is_written_anew(lab: Lab, plan: Plan, written: bytes) -> None:
    with daemon(lab, plan):
        before = pids(status_once(lab))
        lab.place.journal.write_bytes(written)
        journal = until(lambda: (found := read_journal(lab.place.journal)) and found.is_understood and found, 30)
        assert journal
        assert {name: child.pid for name, child in journal.children.items()} == before
